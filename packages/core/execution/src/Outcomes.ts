/**
 * From what a call ended with to what is written and what the code is told: JSON text for a value, a rejection for an error.
 *
 * The same text goes to the journal and to the sandbox, so that a replay meets the same bytes. An expected error keeps its name,
 * its message and what helps to correct the call. A defect is a bug of the host, and a database that fails is its trouble: both are logged
 * with their cause under the id of the call, and the code is told that id and nothing else.
 */
import {
  encodeJson,
  type LimitExceeded,
  type Limits,
  type ToolRejection,
  type UnserializableValue
} from "@executor/kernel"
import type { DBError, InvokeError, ListOptionsInvalid } from "@executor/sdk"
import { Cause, Effect } from "effect"
import type { Call } from "./Journal.ts"

/** What came of a call, ready to be written and to be handed over. */
export type Outcome =
  | { readonly _tag: "Success"; readonly json: string | undefined }
  | { readonly _tag: "Failure"; readonly error: ToolRejection; readonly errorText: string }

/** The message of a rejection is for reading: what is longer is cut. */
export const maxMessageLength = 64 * 1024

/** The data of a rejection is for correcting the call: what is longer is left out. It is written and read several times on its way. */
export const maxDataBytes = 64 * 1024

/** All that a call can fail with. */
export type CallError = InvokeError | ListOptionsInvalid

/** Performs a call and gives its outcome, however it ends. */
export const outcomeOf = Effect.fnUntraced(function* (
  call: Call,
  perform: Effect.Effect<unknown, CallError>,
  limits: Limits
): Effect.fn.Return<Outcome> {
  const written = Effect.flatMap(perform, (value) =>
    encodeJson(value, {
      root: `the result of ${call.path}`,
      limit: { name: "toolResultBytes", bytes: limits.toolResultBytes }
    })
  )
  const exit = yield* Effect.exit(written)
  if (exit._tag === "Success") return { _tag: "Success", json: exit.value }
  if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
  const expected = Cause.findErrorOption(exit.cause)
  if (expected._tag === "Some" && expected.value._tag !== "DBError") return yield* failure(rejectionOf(expected.value))
  yield* Effect.logError(`Tool call ${call.id} (${call.path}) failed inside its host`, exit.cause)
  const name = expected._tag === "None" ? "InternalError" : expected.value._tag
  const message = `The tool ${call.path} failed inside its host, for a reason that is not the program's. The host's log has the cause under "${call.id}".`
  return bare({ name, message })
})

/** A rejection as an outcome. Data that is no JSON, or too much of it, is left out, and the message says so. */
const failure = Effect.fnUntraced(function* (rejection: ToolRejection): Effect.fn.Return<Outcome> {
  const { data: given, ...rest } = rejection
  const message =
    rejection.message.length > maxMessageLength
      ? `${rejection.message.slice(0, maxMessageLength)}… (cut at ${maxMessageLength} characters)`
      : rejection.message
  if (given === undefined) return bare({ ...rest, message })
  const data = yield* Effect.result(
    encodeJson(given, { root: "data", limit: { name: "toolResultBytes", bytes: maxDataBytes } })
  )
  if (data._tag === "Failure") {
    const why = data.failure._tag === "LimitExceeded" ? `larger than ${maxDataBytes} bytes` : "no JSON"
    return bare({ ...rest, message: `${message} (Its data is ${why} and was left out.)` })
  }
  return bare({ ...rest, message, data: JSON.parse(data.success ?? "null") as unknown })
})

const bare = (error: ToolRejection): Outcome => ({ _tag: "Failure", error, errorText: JSON.stringify(error) })

const rejectionOf = (error: Exclude<CallError, DBError> | LimitExceeded | UnserializableValue): ToolRejection => {
  const { _tag: name, message } = error
  switch (error._tag) {
    case "ToolNotFound":
      return { name, message, data: { path: error.path, suggestions: error.suggestions } }
    case "ToolInputInvalid":
      return { name, message, data: { path: error.path, issues: error.issues } }
    case "ElicitationDeclined":
      return { name, message, data: { path: error.toolPath, action: error.action } }
    case "ToolFailed":
      return {
        name,
        message,
        ...(error.code !== undefined && { code: error.code }),
        ...(error.data !== undefined && { data: error.data })
      }
    case "OutcomeUnknown":
      return { name, message, outcome: "unknown" }
    case "SourceUnavailable":
      return { name, message, data: { namespace: error.namespace } }
    case "ListOptionsInvalid":
      return { name, message, data: { option: error.option } }
    case "LimitExceeded":
    case "UnserializableValue":
      return { name, message }
  }
}
