/**
 * What a reader is told when a limit is passed: which one, its value, and the setting that raises it.
 */
import { Schema } from "effect"
import type { LimitName } from "./Limits.ts"

const subjects: Record<LimitName, readonly [what: string, unit: "bytes" | "ms" | "calls"]> = {
  cpuTimeMs: ["The program computed for longer than its CPU time", "ms"],
  wallTimeMs: ["The program took longer than its wall time", "ms"],
  heapBytes: ["The program used more memory than its heap", "bytes"],
  stackBytes: ["The program recursed deeper than its stack", "bytes"],
  sourceBytes: ["The source is longer than the source limit", "bytes"],
  toolCalls: ["The program made more tool calls than it may", "calls"],
  toolCallsInFlight: ["The program had more tool calls under way than it may", "calls"],
  argumentsBytes: ["The arguments of a tool call are larger than they may be", "bytes"],
  toolResultBytes: ["The result of a tool call is larger than it may be", "bytes"],
  resultBytes: ["The returned value is larger than it may be", "bytes"],
  logBytes: ["The console output is larger than it may be", "bytes"]
}

const amount = (value: number, unit: "bytes" | "ms" | "calls"): string => {
  if (unit === "calls") return String(value)
  if (unit === "ms") return value % 1000 === 0 ? `${value / 1000} s` : `${value} ms`
  if (value % (1024 * 1024) === 0) return `${value / (1024 * 1024)} MB`
  return value % 1024 === 0 ? `${value / 1024} KB` : `${value} bytes`
}

/** The sentence for a limit that was passed. `value` is the limit, in its own unit; `detail` says more about this case. */
export const limitMessage = (limit: LimitName, value: number, detail?: string): string => {
  const [what, unit] = subjects[limit]
  const subject = detail === undefined ? what : `${what} (${detail})`
  return `${subject}: the limit \`${limit}\` is ${amount(value, unit)}. Do less in one execution, or raise the setting \`${limit}\`.`
}

/** A limit was passed. */
export class LimitExceeded extends Schema.TaggedError<LimitExceeded>()("LimitExceeded", {
  /** The setting that was passed. */
  limit: Schema.String as Schema.Codec<LimitName>,
  /** Its value, in the unit of that setting. */
  value: Schema.Number,
  message: Schema.String
}) {
  /** The error with its message made from the limit. */
  static readonly of = (limit: LimitName, value: number, detail?: string): LimitExceeded =>
    new LimitExceeded({ limit, value, message: limitMessage(limit, value, detail) })
}
