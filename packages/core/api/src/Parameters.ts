/**
 * How query parameters and headers are read from text: strictly, so that a value is understood or refused.
 *
 * Each codec's message says what was expected. Lists may be comma-separated, repeated, or both; a comma that belongs to a value
 * is written `\,`, and a backslash before a comma or a backslash `\\`.
 */
import { ExecutionSort, TriggerKind } from "@executor/sdk"
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"

/** The values of a list as it is written: between commas that no backslash stands before. */
export const splitList = (text: string): ReadonlyArray<string> => {
  const values = [""]
  for (const [part] of text.matchAll(/\\[\\,]|[^]/g)) {
    if (part === ",") values.push("")
    else values[values.length - 1] += part.length === 2 ? part.slice(1) : part
  }
  return values
}

const escapeValue = (value: string): string => value.replace(/[\\,]/g, "\\$&")

/** A list: `a,b`, or the parameter repeated. Every value is checked; an empty one is refused. */
export const listOf = <S extends Schema.Codec<string, string>>(item: S) =>
  Schema.Array(Schema.String).pipe(
    Schema.decodeTo(
      Schema.Array(item),
      SchemaTransformation.transform({
        decode: (texts: ReadonlyArray<string>): ReadonlyArray<string> => texts.flatMap(splitList),
        encode: (items: ReadonlyArray<string>): ReadonlyArray<string> => items.map(escapeValue)
      })
    )
  )

/** A whole number from `minimum` to `maximum`, in decimal digits. */
export const wholeNumber = (minimum: number, maximum: number) => {
  const message = `Expected a whole number from ${minimum} to ${maximum}`
  return Schema.String.check(Schema.isPattern(/^[0-9]{1,9}$/, { message })).pipe(
    Schema.decodeTo(
      Schema.Int.check(Schema.isBetween({ minimum, maximum }, { message })),
      SchemaTransformation.numberFromString
    )
  )
}

/** `true` or `false`. */
export const flag = Schema.Literals(["true", "false"]).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform({
      decode: (text) => text === "true",
      encode: (value) => (value ? ("true" as const) : ("false" as const))
    })
  )
)

const epochMillis = /^[0-9]{1,16}$/
// A time without an offset would mean another moment on each machine.
const isoDate = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** `Date.parse` takes the 30th of February for the 2nd of March. A day that there is, is on the same day when it is read alone. */
const isDay = (date: string): boolean => new Date(date).toISOString().startsWith(date)

const parseIso = (text: string): number => {
  const day = text.slice(0, 10)
  return isoDate.test(text) && !Number.isNaN(Date.parse(day)) && isDay(day) ? Date.parse(text) : Number.NaN
}

/** A moment, in milliseconds since the epoch: given as such, or as ISO 8601 with an offset (a date alone is its start in UTC). */
export const moment = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Int,
    SchemaTransformation.transformEffect({
      decode: (text, options) => {
        const value = epochMillis.test(text) ? Number(text) : parseIso(text)
        return Number.isSafeInteger(value)
          ? Effect.succeed(value)
          : Effect.fail(
              new SchemaIssue.InvalidValue(
                {
                  message:
                    "Expected milliseconds since the epoch, or ISO 8601 with an offset such as 2026-11-22T16:00:00Z " +
                    "(a '+' in a query is written %2B)"
                },
                text,
                options
              )
            )
      },
      encode: (value) => Effect.succeed(String(value))
    })
  )
)

/** `createdAt:desc`, or the field alone (ascending) or after a minus (descending). */
export const sort = Schema.Literals([
  "createdAt:desc",
  "createdAt:asc",
  "durationMs:desc",
  "durationMs:asc",
  "-createdAt",
  "createdAt",
  "-durationMs",
  "durationMs"
]).pipe(
  Schema.decodeTo(
    ExecutionSort,
    SchemaTransformation.transform({
      decode: (text): ExecutionSort => ({
        field: text.includes("createdAt") ? "createdAt" : "durationMs",
        direction: text.startsWith("-") || text.endsWith(":desc") ? "desc" : "asc"
      }),
      encode: ({ direction, field }) => `${field}:${direction}` as const
    })
  )
)

/** A program that calls, and its version. */
export interface ClientName {
  readonly name: string
  readonly version: string
}

const clientMessage = "Expected name/version, such as my-app/1.2.0, in at most 128 printable ASCII characters"

/** `name/version`; a name may have slashes of its own (`@acme/tool/1.0.0`). */
export const clientName = Schema.String.check(
  Schema.isPattern(/^(?=.{3,128}$)[!-~]+\/[!-.0-~]+$/, { message: clientMessage })
).pipe(
  Schema.decodeTo(
    Schema.Struct({ name: Schema.String, version: Schema.String }),
    SchemaTransformation.transform({
      decode: (text): ClientName => {
        const slash = text.lastIndexOf("/")
        return { name: text.slice(0, slash), version: text.slice(slash + 1) }
      },
      encode: ({ name, version }) => `${name}/${version}`
    })
  )
)

/** The name of a person, as header values can carry it. */
export const userName = Schema.String.check(
  Schema.isPattern(/^(?=.{1,128}$)[!-~]+( [!-~]+)*$/, {
    message: "Expected a name of at most 128 printable ASCII characters"
  })
)

/** What a request says about its caller. Whoever has the token may say anything here. */
export const TriggerHeaders = {
  /** The trigger's kind; `http` without it. */
  "x-executor-trigger": Schema.optionalKey(TriggerKind),
  /** Recorded as `client` of the trigger's meta. */
  "x-executor-client": Schema.optionalKey(clientName),
  /** The person on whose behalf the program calls: recorded as `user` of the trigger's meta, and as who answered a question. */
  "x-executor-user": Schema.optionalKey(userName),
  /** Recorded in the trigger's meta. As its specification says, one that is malformed is left out, not refused. */
  traceparent: Schema.optionalKey(Schema.String)
}

/** What a submission says beside its body. */
export const SubmissionHeaders = {
  ...TriggerHeaders,
  /** Has it done once. */
  "idempotency-key": Schema.optionalKey(Schema.String)
}
