/**
 * Questions to a human: what a tool (or the approval gate) asks, and what comes back.
 *
 * A host that can ask a person passes an {@link ElicitationHandler}; one that cannot passes none, and whatever needs an answer
 * fails with {@link ElicitationDeclined} whose `action` is `cancel`.
 */
import { type Effect, Schema } from "effect"
import { InteractionKind } from "./Execution.ts"

/** A question. Everything in it may be shown to a person. */
export const ElicitationRequest = Schema.Struct({
  kind: InteractionKind,
  /** The question in words. */
  message: Schema.String,
  /** The tool that asks, and the arguments it was called with. */
  toolPath: Schema.optionalKey(Schema.String),
  args: Schema.optionalKey(Schema.Unknown),
  /** For `form`: a JSON Schema of the wanted content, an object with flat properties. */
  requestedSchema: Schema.optionalKey(Schema.Unknown),
  /** For `url`: the page to visit. */
  url: Schema.optionalKey(Schema.String)
})
export type ElicitationRequest = typeof ElicitationRequest.Type

/** What a person can do with a question: agree (with content, for a form), say no, or walk away. */
export const ElicitationAction = Schema.Literals(["accept", "decline", "cancel"])
export type ElicitationAction = typeof ElicitationAction.Type

/** An answer. */
export const ElicitationResponse = Schema.Struct({
  action: ElicitationAction,
  content: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
})
export type ElicitationResponse = typeof ElicitationResponse.Type

/** Asks a person and waits for the answer, however long it takes. */
export type ElicitationHandler = (request: ElicitationRequest) => Effect.Effect<ElicitationResponse>

/** The person said no (`decline`), or walked away or could not be asked (`cancel`): the tool did not run. */
export class ElicitationDeclined extends Schema.TaggedError<ElicitationDeclined>()("ElicitationDeclined", {
  message: Schema.String,
  toolPath: Schema.String,
  action: Schema.Literals(["decline", "cancel"])
}) {}
