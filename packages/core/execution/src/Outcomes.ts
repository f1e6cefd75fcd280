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
  readJson,
  type ToolRejection,
  type UnserializableValue
} from "@executor/kernel"
import type { DBError, InvokeError, ListOptionsInvalid, OutcomeUnknown } from "@executor/sdk"
import { Cause, Effect } from "effect"
import type { Call } from "./Journal.ts"

/** What came of a call, ready to be written and to be handed over. */
export type Outcome =
  | { readonly _tag: "Success"; readonly json: string | undefined }
  | { readonly _tag: "Failure"; readonly error: ToolRejection; readonly errorText: string }

/** What came of making a call once: it may have had its effect without anybody knowing. `why` is a sentence for readers. */
export type Attempt = Outcome | { readonly _tag: "Unknown"; readonly why: string }

/** The message of a rejection is for reading: what is longer is cut. */
export const maxMessageLength = 64 * 1024

/** The data of a rejection is for correcting the call: what is longer is left out. It is written and read several times on its way. */
export const maxDataBytes = 64 * 1024

/** All that a call can fail with. */
export type CallError = InvokeError | ListOptionsInvalid

/** Performs a call and gives its outcome, however it ends. A call that had begun when its host broke has an unknown outcome. */
export const attempt = Effect.fnUntraced(function* (
  call: Call,
  perform: Effect.Effect<unknown, CallError>,
  limits: Limits
): Effect.fn.Return<Attempt> {
  let hasReturned = false
  const written = Effect.flatMap(perform, (value) => {
    hasReturned = true
    return encodeJson(value, {
      root: `the result of ${call.path}`,
      limit: { name: "toolResultBytes", bytes: limits.toolResultBytes },
      wideIntegers: true
    })
  })
  const exit = yield* Effect.exit(written)
  if (exit._tag === "Success") return { _tag: "Success", json: exit.value }
  if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
  const expected = Cause.findErrorOption(exit.cause)
  const hasBegun = call.state === "started" && call.tool?.annotations.readOnly !== true
  const unkept = (rejection: ToolRejection): ToolRejection =>
    hasReturned && hasBegun
      ? { ...rejection, message: `${rejection.message} The call has taken effect.`, outcome: "happened" }
      : rejection
  if (expected._tag === "Some" && expected.value._tag !== "DBError") {
    if (expected.value._tag === "OutcomeUnknown") return { _tag: "Unknown", why: expected.value.message }
    return yield* failure(unkept(rejectionOf(expected.value)))
  }
  yield* Effect.logError(`Tool call ${call.id} (${call.path}) failed inside its host`, exit.cause)
  const name = expected._tag === "None" ? "InternalError" : expected.value._tag
  const message = `The tool ${call.path} failed inside its host, for a reason that is not the program's. The host's log has the cause under "${call.id}".`
  return hasBegun && !hasReturned ? { _tag: "Unknown", why: message } : bare(unkept({ name, message }))
})

/** The outcome of a call that only its host knows: the code is told that nobody knows it. */
export const unknown = ({ path }: Pick<Call, "path">, why: string): Outcome =>
  bare({
    name: "OutcomeUnknown",
    message: `${path} may have taken effect: ${why}`,
    outcome: "unknown"
  })

/** The outcome of a call that did not answer and has no effects. */
export const unanswered = (why: string): Outcome => bare({ name: "ToolFailed", message: why })

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
  return bare({ ...rest, message, data: readJson(data.success ?? "null", { wideIntegers: true }) })
})

const bare = (error: ToolRejection): Outcome => ({ _tag: "Failure", error, errorText: JSON.stringify(error) })

const rejectionOf = (
  error: Exclude<CallError, DBError | OutcomeUnknown> | LimitExceeded | UnserializableValue
): ToolRejection => {
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
    case "SourceUnavailable":
      return { name, message, data: { namespace: error.namespace } }
    case "ListOptionsInvalid":
      return { name, message, data: { option: error.option } }
    case "LimitExceeded":
    case "UnserializableValue":
      return { name, message }
  }
}
