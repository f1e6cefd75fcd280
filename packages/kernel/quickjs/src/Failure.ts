/**
 * From what the engine says of an error to what the program's author is told: positions in the submitted source, frames inside it
 * only, and limits by their names.
 */
import type { ExecutionFailure } from "@executor/kernel"
import { position, type SourcePosition } from "@executor/kernel/source"
import { JSException } from "quickjs-wasi"
import type { Ending } from "./Protocol.ts"
import { programName } from "./Sandbox.ts"

/** Messages and stacks are cut here; a program can make them as long as its memory. */
const maxMessage = 8 * 1024

const cut = (text: string): string => (text.length <= maxMessage ? text : `${text.slice(0, maxMessage)}... (cut)`)

const frame = /^\s*at (?:(.*) )?\(?program\.ts:(\d+):(\d+)\)?$/

/** The frames of a stack that lie in the submitted source, with its positions. */
export const framesOf = (
  stack: string,
  source: string
): { readonly text: string; readonly first: SourcePosition | undefined } => {
  const lines: Array<string> = []
  let first: SourcePosition | undefined
  for (const text of stack.slice(0, maxMessage).split("\n")) {
    const match = frame.exec(text)
    if (match === null) continue
    const at = position(source, Number(match[2]), Number(match[3]))
    first ??= at
    const name = match[1] === undefined || match[1] === "<anonymous>" ? "" : match[1]
    const place = `${programName}:${at.line}:${at.column}`
    lines.push(name === "" ? `    at ${place}` : `    at ${name} (${place})`)
  }
  return { text: lines.join("\n"), first }
}

/** How an execution ends that ended with this error. */
export const failureOf = (
  error: { readonly name: string; readonly message: string; readonly stack: string },
  source: string
): Ending => {
  const { first, text } = framesOf(error.stack, source)
  const at = first === undefined ? {} : { line: first.line, column: first.column }
  const stack = text === "" ? {} : { stack: text }
  if (error.name === "InternalError" && error.message === "out of memory") {
    return { _tag: "Limit", limit: "heapBytes", at: { ...at, ...stack } }
  }
  if (isStackOverflow(error)) {
    return { _tag: "Limit", limit: "stackBytes", at: { ...at, ...stack } }
  }
  const message = cut(error.message) + (error.name === "ReferenceError" ? hintOf(error.message, source) : "")
  const failure: ExecutionFailure = { name: cut(error.name), message, ...at, ...stack }
  return { _tag: "Failed", failure }
}

const undeclared = /^([\p{ID_Start}$_][\p{ID_Continue}$]*) is not defined$/u

const ofTheHost: { readonly [name: string]: string } = {
  fetch: "There is no network here",
  XMLHttpRequest: "There is no network here",
  WebSocket: "There is no network here",
  require: "There are no modules here",
  process: "There is no process and no environment here",
  Buffer: "Buffer is not here: use Uint8Array, atob and btoa",
  setInterval: "setInterval is not here: use setTimeout in a loop"
}

/** What to write instead of a name that nobody has declared. */
const hintOf = (message: string, source: string): string => {
  const name = undeclared.exec(message)?.[1]
  if (name === undefined) return ""
  if (Object.hasOwn(ofTheHost, name)) return `. ${ofTheHost[name]}; the outside is reached by calling tools`
  const isReachedInto = [".", "[", "?."].some((access) => source.includes(name + access))
  return isReachedInto || name === "search" || name === "describe"
    ? `. If it is a namespace of tools, write tools.${name}, and see await tools.executor.sources.list()`
    : ""
}

const isStackOverflow = (error: { readonly name: string; readonly message: string }): boolean =>
  (error.name === "RangeError" || error.name === "InternalError" || error.name === "SyntaxError") &&
  /^(Maximum call stack size exceeded|stack overflow)$/.test(error.message)

/** Whether the engine or its thread ran out of stack. Where the engine does not look how much is left, its WebAssembly traps. */
export const isOutOfStack = (error: unknown): boolean =>
  error instanceof RangeError || (error instanceof WebAssembly.RuntimeError && error.message.includes("out of bounds"))

/** Whether the engine refused a source. */
export const isSyntaxError = (error: unknown): error is JSException =>
  error instanceof JSException && error.name === "SyntaxError"

/** Whether the engine has no stack left to read the source with. */
export const isTooDeepToRead = (error: { readonly name: string; readonly message: string }): boolean =>
  error.name === "SyntaxError" && isStackOverflow(error)

/** The source could not be read. */
export const syntaxFailure = (message: string, at?: SourcePosition): ExecutionFailure => ({
  name: "SyntaxError",
  message: cut(message),
  ...at
})
