/**
 * Calls whose outcome nobody knows: their process ended before it was written, or they were sent and no answer came that could be read.
 *
 * A call whose tool only reads, may be repeated (`idempotent`), or recognises a repeated call by its key (`acceptsIdempotencyKey`), is made
 * again, with the same key; in a fork, whose calls have keys of their own, the last does not help. For any other the policy decides. By default a person is asked (an interaction with the purpose
 * {@link inDoubtPurpose}), and says that it happened, and with which result; that it did not, and is to be made again; that nobody knows,
 * which the code is told; or gives up, which ends the execution as failed.
 *
 * Not every call without an outcome is in doubt. One that asked for its approval was invoked only if the answer was there and the call
 * noted (`answersSeen`) that it went on with it. A note that is as high as the number of answers means that it was invoked.
 */
import type { ElicitationRequest, ElicitationResponse, ToolAnnotations } from "@executor/sdk"
import type { Call } from "./Journal.ts"
import type { Gates } from "./RecordedQuestions.ts"

/** What becomes of a call in doubt that must not simply be repeated. */
export type InDoubtPolicy = "ask" | "repeat" | "fail"

/** The purpose of the question, in its record. */
export const inDoubtPurpose = "in_doubt"

/**
 * Whether a call that somebody was asked about has begun: since the last of the answers that are recorded, or since one whose record was
 * lost.
 */
export const hasBegun = (answersSeen: number | null | undefined, answered: number): boolean =>
  answersSeen !== null && answersSeen !== undefined && answersSeen >= answered

/** Whether a recorded call without an outcome may have begun, given what stood before it. */
export const mayHaveBegun = (answersSeen: number | null | undefined, { answered, asked, doubt }: Gates): boolean =>
  !asked || doubt !== undefined || hasBegun(answersSeen, answered)

/** Whether a call may be made again without asking anybody, under the key that it had or under another. */
export const mayRepeat = (
  { acceptsIdempotencyKey, idempotent, readOnly }: typeof ToolAnnotations.Type,
  sameKey: boolean
): boolean => readOnly === true || idempotent === true || (acceptsIdempotencyKey === true && sameKey)

/** What a person said of a call in doubt. */
export type Verdict =
  | { readonly _tag: "Happened"; readonly resultJson: string | undefined }
  | { readonly _tag: "DidNotHappen" }
  | { readonly _tag: "Unknown" }
  | { readonly _tag: "GiveUp" }

/** A call of another execution, which this one is a fork of. */
export interface EarlierCall {
  readonly executionId: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Whether it is known that it did, and only its result could not be kept. */
  readonly tookEffect: boolean
}

const time = (ms: number): string => new Date(ms).toISOString()

/** What is known of a call in doubt: why, or of which earlier call. */
export type Known = { readonly why: string } | EarlierCall

/** Why the code is told of a call that its outcome is not known, where the reason is told to the person alone. */
export const nobodyCouldSay = "its outcome is not known, and nobody who was asked could say what became of it"

/** Why a call is in doubt that its process has left. */
export const processEnded = "the process that ran it ended before it did"

/** Arguments inside the question; it carries them whole as well. */
const maxShownArguments = 200

const argumentsOf = (argsJson: string | null): string => {
  const shown = argsJson ?? ""
  return shown.length > maxShownArguments ? `${shown.slice(0, maxShownArguments)}…` : shown
}

/** With its full stop. */
export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

const whatIsNotKnown = ({ argsJson, path, seq, startedAt }: Call, known: Known): string => {
  if ("why" in known) {
    return `Did ${path}(${argumentsOf(argsJson)}) take effect? Nobody knows: ${sentence(known.why)}\nIt is call ${seq}, made at ${time(startedAt)}. Look where it writes, and say what happened.`
  }
  const earlier = known
  const made = `Call ${seq}, ${path}, was made by execution ${earlier.executionId}, which this one is a fork of, at ${time(earlier.startedAt)}`
  return earlier.tookEffect
    ? `${made}. It took effect, but its result could not be kept. Say that it happened, with a result for the code if it needs one, or have it made again.`
    : `${made}, and nobody knows whether it took effect. Look there, and say what happened.`
}

/** The question about a call, or about the one that it is to repeat. */
export const question = (call: Call, known: Known): ElicitationRequest => ({
  kind: "form",
  toolPath: call.path,
  args: call.args,
  message: whatIsNotKnown(call, known),
  requestedSchema: {
    type: "object",
    properties: {
      outcome: {
        type: "string",
        // What comes first is chosen by who does not read: it must claim nothing.
        enum: ["unknown", "happened", "did_not_happen", "give_up"],
        description:
          "unknown tells the code, which may look for itself; happened goes on with the result; did_not_happen makes the call again; give_up ends the execution as failed."
      },
      result: { type: "string", description: "The result of a call that happened, as JSON; no result if left out." }
    },
    required: ["outcome"],
    additionalProperties: false
  }
})

/** What is wrong with an answer that fits the form. */
export const answerProblem = ({ action, content }: ElicitationResponse): string | undefined => {
  const result = content?.["result"]
  if (action !== "accept" || typeof result !== "string") return undefined
  if (content?.["outcome"] !== "happened")
    return "`result` belongs to the outcome `happened`. The question still waits."
  try {
    JSON.parse(result)
    return undefined
  } catch {
    return '`content.result` must be JSON text, such as `{"id": 7}`. The question still waits.'
  }
}

/** The answer. To decline is to give up; `cancel` means that nobody has answered. */
export const verdictOf = ({ action, content }: ElicitationResponse): Verdict => {
  if (action === "cancel") return { _tag: "Unknown" }
  if (action === "decline") return { _tag: "GiveUp" }
  const result = content?.["result"]
  switch (content?.["outcome"]) {
    case "happened":
      return { _tag: "Happened", resultJson: typeof result === "string" ? result : undefined }
    case "did_not_happen":
      return { _tag: "DidNotHappen" }
    case "unknown":
      return { _tag: "Unknown" }
    default:
      return { _tag: "GiveUp" }
  }
}

/** Why an execution ends with a call in doubt. */
export const gaveUp = (call: Call, policy: InDoubtPolicy): string =>
  `Call ${call.seq}, ${call.path}, is in doubt. ${
    policy === "ask"
      ? "Nobody could say what became of it, so the execution was given up."
      : "Such calls end an execution here."
  } Look whether it took effect before you run the code again.`
