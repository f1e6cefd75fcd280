/**
 * What a call of a tool gives to a script.
 *
 * The result of a server is read as what it plainly means: `null` is absent, a text or one part stands for a list of one, and parts of
 * unknown kinds are kept as they are. Then it becomes the value that a script would expect:
 *
 * - the structured content; an object of it carries the parts of content that tell something else as `_content`
 * - `{ structuredContent, content }` where there are such parts and the structured content is no object
 * - without structured content: the text, if one text is all there is; `null` for nothing; else `{ content: [...] }`
 */
import { inSlices, parseJsonSteps } from "@executor/kernel"
import { ToolFailed } from "@executor/sdk"
import { Effect, Predicate } from "effect"
import { type AnswerUnreadable, unreadable } from "./Answers.ts"
import type { Steps } from "./MessageText.ts"

/** The key beside structured content for what the content tells besides. */
export const contentKey = "_content"

/** A page of a failure's text is enough for a reader; the rest is in its data. */
const maxFailureLength = 8192

/** A result of `tools/call`, read. */
export interface CallResult {
  readonly isError: boolean
  readonly content: ReadonlyArray<unknown>
  /** Absent if `undefined`. */
  readonly structuredContent: unknown
}

/** Fields of a result that are not its content. */
const envelope = new Set(["_meta", "isError", "resultType", "content", "structuredContent"])

/** Reads a result as the server gave it. */
export const readResult = (raw: unknown): Effect.Effect<CallResult, AnswerUnreadable> => {
  const result = typeof raw === "string" || Array.isArray(raw) ? { content: raw } : raw
  if (!Predicate.isObject(result)) return unreadable("tools/call", `has a result that is ${kindOf(raw)}`)
  return Effect.flatMap(inSlices(readSteps(result)), (read) =>
    "problem" in read ? unreadable("tools/call", read.problem) : Effect.succeed(read)
  )
}

function* readSteps(raw: Readonly<Record<string, unknown>>): Steps<CallResult | { readonly problem: string }> {
  const isError = raw["isError"] === true || raw["isError"] === "true"
  const structured = raw["structuredContent"] ?? undefined
  const given = raw["content"]
  if (given == null && structured === undefined) {
    // What protocols before 2024-11-05 and some servers send in its place is not dropped.
    const rest = Object.entries(raw).filter(([key, value]) => !envelope.has(key) && value !== null)
    const value = rest.length === 1 && rest[0]?.[0] === "toolResult" ? rest[0][1] : Object.fromEntries(rest)
    return { isError, content: [], structuredContent: rest.length === 0 ? undefined : value }
  }
  const content: Array<unknown> = []
  for (const part of Array.isArray(given) ? given : [given]) {
    if (content.length % 256 === 255) yield
    if (part == null) continue
    if (typeof part !== "string" && !Predicate.isObject(part))
      return { problem: `has a part of content that is ${kindOf(part)}` }
    content.push(readPart(part))
  }
  return { isError, content, structuredContent: structured }
}

const knownTypes = new Set(["text", "image", "audio", "resource", "resource_link"])

const readPart = (part: string | Readonly<Record<PropertyKey, unknown>>): unknown => {
  if (typeof part === "string") return { type: "text", text: part }
  const type = part["type"] ?? (typeof part["text"] === "string" ? "text" : undefined)
  if (typeof type !== "string" || !knownTypes.has(type)) return part
  const resource = part["resource"]
  const read: Record<string, unknown> = withoutNulls({
    ...part,
    type,
    ...(Predicate.isObject(resource) ? { resource: withoutNulls(resource) } : {})
  })
  if (type === "text") return { ...read, text: typeof read["text"] === "string" ? read["text"] : asText(read["text"]) }
  return type === "image" || type === "audio" ? withPlainData(read) : read
}

const asText = (value: unknown): string => (value === undefined ? "" : JSON.stringify(value))

const withoutNulls = (object: object): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object)) if (value !== null) out[key] = value
  return out
}

/** A data URL holds the bytes, and the type where that is not given. */
const withPlainData = (part: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const url = typeof part["data"] === "string" ? dataUrl.exec(part["data"]) : null
  if (url === null || typeof part["data"] !== "string") return part
  return { ...part, data: part["data"].slice(url[0].length), mimeType: part["mimeType"] ?? (url[1] || "text/plain") }
}

const dataUrl = /^data:([^;,]{0,100})(?:;[^;,]{0,100})*;base64,/i

/** The value for the script. */
export const toValue = ({ content, structuredContent }: CallResult): Effect.Effect<unknown> => {
  if (structuredContent === undefined) return Effect.succeed(ofContent(content))
  return Effect.map(inSlices(besides(content, structuredContent)), (parts) => beside(structuredContent, parts))
}

const ofContent = (content: ReadonlyArray<unknown>): unknown => {
  const [first, ...rest] = content
  if (first === undefined) return null
  return rest.length === 0 && Predicate.isObject(first) && first["type"] === "text" ? first["text"] : { content }
}

const beside = (structuredContent: unknown, parts: ReadonlyArray<unknown>): unknown => {
  if (parts.length === 0) return structuredContent
  return Predicate.isObject(structuredContent) && !Object.hasOwn(structuredContent, contentKey)
    ? { ...structuredContent, [contentKey]: parts }
    : { structuredContent, content: parts }
}

/** The failure of a tool, in the server's own words. All else that it said is in its data. */
export const toFailure = (path: string, { content, structuredContent }: CallResult): ToolFailed => {
  const texts = content.flatMap((part) => (isText(part) ? [part.text] : []))
  const text = texts.join("\n")
  const others = text.length > maxFailureLength ? content : content.filter((part) => !isText(part))
  const data =
    structuredContent !== undefined
      ? beside(structuredContent, others)
      : others.length > 0
        ? { content: others }
        : undefined
  return new ToolFailed({
    path,
    message: text.trim() === "" ? "the tool failed and did not say why" : text.slice(0, maxFailureLength),
    ...(data === undefined ? {} : { data })
  })
}

const isText = (part: unknown): part is { readonly text: string } =>
  Predicate.isObject(part) && part["type"] === "text" && typeof part["text"] === "string"

/**
 * The parts of content that the structured content does not tell. Servers repeat it as text, whole, or each of its fields or items: that
 * is left out.
 */
function* besides(content: ReadonlyArray<unknown>, structuredContent: unknown): Steps<ReadonlyArray<unknown>> {
  const fields = Predicate.isObjectOrArray(structuredContent) ? Object.values(structuredContent) : []
  const items = fields.length === 1 && Array.isArray(fields[0]) ? (fields[0] as ReadonlyArray<unknown>) : []
  const told = [structuredContent, ...fields, ...items]
  const texts = new Set(told.filter((value) => typeof value === "string"))
  const values = told.filter((value) => typeof value !== "string")
  const out: Array<unknown> = []
  let budget = maxComparisons
  for (const part of content) {
    if (!isText(part)) out.push(part)
    else if (part.text.trim() !== "" && !texts.has(part.text)) {
      const value = yield* parseText(part.text)
      let isTold = false
      if (value !== undefined) {
        for (let at = 0; at < values.length && !isTold && budget > 0; at++, budget--) {
          isTold = yield* isSame(value, values[at])
        }
      }
      if (!isTold) out.push(part)
    }
    yield
  }
  return out
}

/** Parts are compared with fields this often at most: beyond that they are kept. */
const maxComparisons = 100_000

/** Deeper values are told apart. */
const maxDepth = 200

/** The value of JSON text. `undefined` for other text. */
function* parseText(text: string): Steps<unknown> {
  if (!/^\s*[[{"\d\-tfn]/.test(text)) return undefined
  try {
    return yield* parseJsonSteps(text, { wideIntegers: true })
  } catch {
    return undefined
  }
}

function* isSame(a: unknown, b: unknown, depth = maxDepth): Steps<boolean> {
  if (!Predicate.isObjectOrArray(a) || !Predicate.isObjectOrArray(b)) return a === b
  if (depth === 0 || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  for (const key of keys) {
    if (!Object.hasOwn(b, key) || !(yield* isSame(Reflect.get(a, key), Reflect.get(b, key), depth - 1))) return false
  }
  yield
  return true
}

const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`
