/**
 * JSON-RPC messages as a client sends them, and the answers to input that is no message.
 *
 * An answer bears the id of the request it belongs to. Where that cannot be told it is null, as JSON-RPC wants it; so also for
 * what may be a response, whose id is one of ours: the client could take the answer for that of a request of its own.
 */
import {
  type JSONRPCMessage,
  parseJSONRPCMessage,
  PROTOCOL_VERSION_META_KEY,
  ProtocolErrorCode,
  type RequestId,
  UnsupportedProtocolVersionError
} from "@modelcontextprotocol/server"
import { Predicate, Schema } from "effect"

/** The revisions of the era in which each request names its own. */
export const modernVersions = ["2026-07-28"]

/** An answer to what cannot be served. */
export interface ErrorAnswer {
  readonly jsonrpc: "2.0"
  readonly id: RequestId | null
  readonly error: { readonly code: number; readonly message: string; readonly data?: unknown }
}

/** What a line, or an element of a batch, came to. */
export type Reading =
  | { readonly _tag: "Message"; readonly message: JSONRPCMessage }
  | { readonly _tag: "Refused"; readonly answer: ErrorAnswer }

const isId = Schema.is(Schema.Union([Schema.String, Schema.Int]))

/** The id of what is, or was meant to be, a request. */
const requestIdOf = (value: unknown): RequestId | null =>
  Predicate.isObject(value) && !("result" in value) && !("error" in value) && "id" in value && isId(value.id)
    ? value.id
    : null

const errorAnswer = (id: RequestId | null, code: number, message: string, data?: unknown): ErrorAnswer => ({
  jsonrpc: "2.0",
  id,
  error: { code, message, ...(data === undefined ? {} : { data }) }
})

/** Answers a request, or something like one, that is not valid. */
export const invalid = (value: unknown, message: string): ErrorAnswer =>
  errorAnswer(requestIdOf(value), ProtocolErrorCode.InvalidRequest, message)

const utf8 = new TextDecoder("utf-8", { fatal: true })

const parseError = (why: string) =>
  errorAnswer(
    null,
    ProtocolErrorCode.ParseError,
    `Parse error: ${why}. Each line is one JSON-RPC message. Nothing of this one was done.`
  )

/** The JSON of a line; `undefined` for an empty one. A byte order mark is passed over. */
export const parseLine = (
  bytes: Uint8Array
): { readonly value: unknown } | { readonly answer: ErrorAnswer } | undefined => {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return { answer: parseError("the line is not UTF-8") }
  }
  if (text.trim() === "") return undefined
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return { answer: parseError(`the line is not JSON (${error instanceof Error ? error.message : String(error)})`) }
  }
}

/** Reads one value as a message. A request that names a revision that does not exist is refused, whenever it comes. */
export const read = (value: unknown): Reading => {
  let message: JSONRPCMessage
  try {
    message = parseJSONRPCMessage(value)
  } catch {
    const expected =
      'Not a JSON-RPC 2.0 message: expected an object with "jsonrpc": "2.0", a "method" and perhaps "params" (an object) and "id" ' +
      '(a text or an integer), or a response with the "id" of its request and "result" or "error". Nothing of it was done.'
    return { _tag: "Refused", answer: invalid(value, expected) }
  }
  if (!("method" in message) || !("id" in message)) return { _tag: "Message", message }
  const requested = message.params?._meta?.[PROTOCOL_VERSION_META_KEY]
  if (typeof requested !== "string" || modernVersions.includes(requested)) return { _tag: "Message", message }
  const { code, data, message: text } = new UnsupportedProtocolVersionError({ supported: modernVersions, requested })
  return { _tag: "Refused", answer: errorAnswer(message.id, code, text, data) }
}
