/**
 * The failure of a sandbox runtime itself, as opposed to the failure of the program it runs.
 */
import { Schema } from "effect"

/** The runtime could not run the program. The message says whether trying again can help. */
export class CodeExecutionError extends Schema.TaggedError<CodeExecutionError>()("CodeExecutionError", {
  message: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}
