/**
 * What started an execution: the surface (`kind`), and what that surface knows about its caller (`meta`).
 *
 * Each way in stamps its own trigger before it calls the engine: `cli`, `http`, `mcp`, or `sdk` for the library.
 */
import { Schema } from "effect"

/** At most this many bytes of UTF-8 for `meta` as JSON: it is a label on every row, not a payload. */
export const maxTriggerMetaBytes = 4096

/** A trigger kind: 1 to 64 of `a-z 0-9 . _ -`. */
export const TriggerKind = Schema.String.check(
  Schema.isPattern(/^[a-z0-9._-]{1,64}$/, {
    message: "a trigger kind is 1 to 64 characters of a-z, 0-9, '.', '_' and '-'"
  })
)
export type TriggerKind = typeof TriggerKind.Type

/** What a surface may know about its caller. Other keys are kept as they are. */
export const TriggerMeta = Schema.StructWithRest(
  Schema.Struct({
    client: Schema.optionalKey(Schema.Struct({ name: Schema.String, version: Schema.optionalKey(Schema.String) })),
    user: Schema.optionalKey(Schema.String),
    parentExecutionId: Schema.optionalKey(Schema.String),
    traceparent: Schema.optionalKey(Schema.String)
  }),
  [Schema.Record(Schema.String, Schema.Json)]
)
export type TriggerMeta = typeof TriggerMeta.Type

/** What started an execution. */
export const ExecutionTrigger = Schema.Struct({ kind: TriggerKind, meta: Schema.optionalKey(TriggerMeta) })
export type ExecutionTrigger = typeof ExecutionTrigger.Type
