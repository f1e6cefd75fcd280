/**
 * The limits one execution runs under, with their defaults and their reasons.
 *
 * Use `Limits.defaults` as it is, or `Limits.with({ cpuTimeMs: 2_000 })` to change some. A limit that is passed ends in a
 * `LimitExceeded`, whose message names the limit, its value and the setting that raises it.
 */
import { Schema } from "effect"

const Positive = Schema.Int.check(Schema.isGreaterThan(0))

/** Limits of one execution. Sizes are bytes of UTF-8, times are milliseconds. */
export class Limits extends Schema.Class<Limits>("Limits")({
  /** Time the code itself computes. Waiting for tools, timers or people does not count. */
  cpuTimeMs: Positive,
  /** Time from start to end, waiting included; `null` for none, so that a person may answer next month. */
  wallTimeMs: Schema.NullOr(Positive),
  /** Memory of the sandbox. */
  heapBytes: Positive,
  /** Stack of the sandbox: bounds recursion. */
  stackBytes: Positive,
  /** The submitted TypeScript. */
  sourceBytes: Positive,
  /** Tool calls over the whole execution. */
  toolCalls: Positive,
  /** Tool calls under way at once; more wait their turn and do not fail. */
  toolCallsInFlight: Positive,
  /** The arguments of one tool call, as JSON. */
  argumentsBytes: Positive,
  /** The result of one tool call, as JSON. */
  toolResultBytes: Positive,
  /** The result of the execution, as JSON. */
  resultBytes: Positive,
  /** All console output; the rest is dropped and a last line says how much. */
  logBytes: Positive
}) {
  static readonly defaults = new Limits({
    cpuTimeMs: 30_000,
    wallTimeMs: null,
    heapBytes: 64 * 1024 * 1024,
    stackBytes: 256 * 1024,
    sourceBytes: 256 * 1024,
    toolCalls: 10_000,
    toolCallsInFlight: 64,
    argumentsBytes: 1024 * 1024,
    toolResultBytes: 8 * 1024 * 1024,
    resultBytes: 10 * 1024 * 1024,
    logBytes: 1024 * 1024
  })

  /** The defaults with some changed. Throws a `RangeError` that names the limit when a value is not a positive whole number. */
  static readonly with = (changes: { readonly [K in LimitName]?: (typeof Limits.Type)[K] | undefined }): Limits => {
    const given = Object.entries(changes).filter(([, value]) => value !== undefined)
    for (const [name, value] of given) {
      const isNone = value === null && name === "wallTimeMs"
      if (!isNone && !(typeof value === "number" && Number.isSafeInteger(value) && value > 0)) {
        throw new RangeError(`The limit \`${name}\` must be a positive whole number, and was ${String(value)}`)
      }
    }
    return new Limits({ ...Limits.defaults, ...Object.fromEntries(given) })
  }
}

/** The name of a limit, as settings spell it. */
export type LimitName = keyof typeof Limits.fields
