/**
 * What a server sends, as the client of the protocol takes it.
 *
 * The client checks each message strictly, in one piece, and copies it: it refuses what other clients read as what it plainly means, and of an
 * object with 300,000 keys it takes a second, in which the loop stands still. So the answers to the requests of this package (`tools/list`,
 * `tools/call`) travel beside a minimal message, whatever their size, and are read here and in `Results.ts` and `ToolMapping.ts`. Of other
 * messages it gets what they plainly mean: `null` is the same as absent.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { Data, Effect, Predicate } from "effect"

/** The server answered with an error. */
export class RequestRefused extends Data.TaggedError("RequestRefused")<{
  readonly message: string
  readonly code: number | string | undefined
  /** Any JSON. */
  readonly data: unknown
}> {}

/** The server answered, and nobody can say what. */
export class AnswerUnreadable extends Data.TaggedError("AnswerUnreadable")<{ readonly message: string }> {}

/** The answer to a request of this method cannot be read. `problem` goes on after "it". */
export const unreadable = (method: string, problem: string): AnswerUnreadable =>
  new AnswerUnreadable({ message: `the server's answer to ${method} cannot be read: it ${problem}` })

/** An answer as the server gave it. */
export type Answer = Effect.Effect<unknown, RequestRefused | AnswerUnreadable>

/** A request that waits for its answer. */
export interface Pending {
  readonly id: string | number
  readonly method: string
}

const key = "executor/aside"

/** Made here only: a server can send the key, but no instance. */
class Aside {
  readonly answer: Answer

  constructor(answer: Answer) {
    this.answer = answer
  }
}

/** Takes out the answer that travelled beside what the client gave. */
export const takeAnswer = (result: { readonly _meta?: unknown }): Answer => {
  const aside = Predicate.isObject(result._meta) ? result._meta[key] : undefined
  return aside instanceof Aside ? aside.answer : Effect.succeed(result)
}

/** The methods whose answers are read here. */
const ownMethods = new Set(["tools/list", "tools/call"])

/** Whether the answer to a request is read here. Before the first of these the client has sent no notification. */
export const isOwn = ({ method }: Pending): boolean => ownMethods.has(method)

/** The message by which the client settles a request. */
export const answerMessage = (pending: Pending, answer: Answer): JSONRPCMessage => {
  const { id, method } = pending
  if (isOwn(pending)) {
    const shell = { resultType: "complete", content: [], tools: [], ttlMs: 0, cacheScope: "private" }
    return { jsonrpc: "2.0", id, result: { ...shell, _meta: { [key]: new Aside(answer) } } }
  }
  return Effect.runSync(
    Effect.match(answer, {
      onSuccess: (result): JSONRPCMessage => ({ jsonrpc: "2.0", id, result: otherResult(method, result) }),
      onFailure: ({ message, ...error }): JSONRPCMessage => {
        const { code, data } = error as Partial<RequestRefused>
        return {
          jsonrpc: "2.0",
          id,
          error: { code: Number.isInteger(code) ? Number(code) : internalError, message, ...(data != null && { data }) }
        }
      }
    })
  )
}

/** The protocol's code for an error of the server. */
const internalError = -32_603

/** Reads an answer: what it means, or why nobody can say. */
export const readAnswer = (message: Readonly<Record<string, unknown>>): Answer => {
  const { error, result } = message
  if (!isNothing(error)) {
    return result == null
      ? Effect.fail(readError(error))
      : Effect.fail(new AnswerUnreadable({ message: "has both a result and an error" }))
  }
  return "result" in message
    ? Effect.succeed(result ?? {})
    : Effect.fail(new AnswerUnreadable({ message: "has neither a result nor an error" }))
}

const fields = new Set(["id", "method", "params", "result", "error", "_meta"])

/** Whether an object is marked as a message, or has the keys of one and no others, as the lines of a log have. */
export const mayBeMessage = (message: Readonly<Record<string, unknown>>): boolean =>
  "jsonrpc" in message || Object.keys(message).every((field) => fields.has(field))

/** Whether a message with the id of a request is the answer to it. An error that is not marked as one may be that of a log. */
export const isAnswer = (message: Readonly<Record<string, unknown>>, startsLine: boolean): boolean => {
  const { error, result } = message
  if ("jsonrpc" in message) return true
  if (isNothing(error)) return "result" in message
  return (
    startsLine && result == null && Predicate.isObject(error) && (error["code"] != null || error["message"] != null)
  )
}

/** The protocol's code for a message that the server could not read. */
const parseError = -32_700

/** Why nobody can say what an answer without an id means for this request. `undefined` for a message that is no answer to it. */
export const problemWithoutId = (
  { method }: Pending,
  { error, result }: Readonly<Record<string, unknown>>
): string | undefined => {
  if (Predicate.isObject(error) && error["code"] === parseError)
    return `has no id and says that the server could not read a message (code ${parseError})`
  const isResult = Predicate.isObject(result) && Array.isArray(result[method === "tools/list" ? "tools" : "content"])
  return isResult ? "has no id" : undefined
}

/** Some servers send an empty error beside each result. */
const isNothing = (error: unknown): boolean =>
  Predicate.isObject(error)
    ? Object.values(error).every((value) => value === null || value === 0 || value === "")
    : error == null || error === false || error === ""

const readError = (error: unknown): RequestRefused => {
  const { code, data, message }: Record<string, unknown> = Predicate.isObject(error) ? error : { message: error }
  const known = typeof code === "number" || typeof code === "string" ? code : undefined
  return new RequestRefused({
    message:
      typeof message === "string" && message.trim() !== ""
        ? message
        : `the server answered with an error${known === undefined ? "" : ` (code ${known})`} and did not say why`,
    code: known,
    data: data ?? (typeof message === "string" || !Predicate.isObject(error) ? undefined : error)
  })
}

/** A request or a notification of the server. `undefined` for other messages. */
export const readRequest = (message: Readonly<Record<string, unknown>>): JSONRPCMessage | undefined => {
  const { id, method, params } = message
  if (typeof method !== "string") return undefined
  return {
    jsonrpc: "2.0",
    ...(typeof id === "string" || typeof id === "number" ? { id } : {}),
    method,
    ...(Predicate.isObject(params) ? { params: withoutNulls(params) } : {})
  } as JSONRPCMessage
}

/** A result that the client reads, with what both eras of the protocol demand. */
const otherResult = (method: string, result: unknown): Record<string, unknown> => {
  const { capabilities, serverInfo, ...rest } = withoutNulls(Predicate.isObject(result) ? result : {})
  if (method !== "initialize" && method !== "server/discover") return rest
  const offered = Object.entries(Predicate.isObject(capabilities) ? capabilities : {}).flatMap(([name, value]) =>
    Predicate.isObject(value) ? [[name, value]] : value === true ? [[name, {}]] : []
  )
  if (method === "server/discover")
    return { resultType: "complete", ...rest, capabilities: Object.fromEntries(offered) }
  const { name, version } = Predicate.isObject(serverInfo) ? serverInfo : {}
  return {
    ...rest,
    capabilities: Object.fromEntries(offered),
    serverInfo: { name: asText(name), version: asText(version) }
  }
}

const asText = (value: unknown): string => (typeof value === "string" ? value : "")

/** Keywords of a schema whose value is data. */
const data = new Set(["default", "const", "enum", "examples"])

/** A small object without the keys that are `null`. */
const withoutNulls = (object: Readonly<Record<PropertyKey, unknown>>, depth = maxDepth): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(object).flatMap(([key, value]) => {
      const isWalked = Predicate.isObject(value) && !data.has(key) && depth > 0
      return value === null ? [] : [[key, isWalked ? withoutNulls(value, depth - 1) : value]]
    })
  )

/** Deeper values are left as they are. */
const maxDepth = 64
