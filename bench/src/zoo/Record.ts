/**
 * What is known of a server from a run, kept in `bench/zoo/learned.json` and shown in `bench/zoo.md`, and when a later run is worse.
 */
import { Schema } from "effect"

const Counts = Schema.Record(Schema.String, Schema.Int)

export const Record = Schema.Struct({
  version: Schema.String,
  /** The version of the protocol that the server answered with. */
  protocol: Schema.String,
  /** The tools that it lists by itself. */
  listed: Schema.Int,
  /** The names of its tools in the command. */
  tools: Schema.Array(Schema.String),
  annotations: Counts,
  odd: Counts,
  /** Lines on standard output that are no messages. */
  noise: Schema.Int,
  /** Seconds to list the tools: by the server alone, and by the command. */
  bareSeconds: Schema.Finite,
  seconds: Schema.Finite,
  /** What goes otherwise than it should; nothing, where all is well. */
  problems: Schema.Array(Schema.String)
})
export type Record = typeof Record.Type

/** Records by the name of the package. */
export const Records = Schema.Record(Schema.String, Record)
export type Records = typeof Records.Type

/** Slower by this much, beside the server alone and in the same run, is worse; on a busy machine both are slow. */
const slowerFactor = 3
/** Fewer seconds than these are noise. */
const slowerSeconds = 10

/** In which ways a record is worse than the one before. A problem that was there before is not worse. */
export const worse = (before: Record, now: Record): ReadonlyArray<string> => {
  const has = new Set(now.tools)
  const lost = before.tools.filter((name) => !has.has(name))
  const beside = (record: Record) => record.seconds / record.bareSeconds
  const slower =
    now.seconds - now.bareSeconds > slowerSeconds &&
    beside(now) > slowerFactor * beside(before) &&
    now.seconds > before.seconds
  return [
    ...(lost.length === 0 ? [] : [`lost ${lost.length} of ${before.tools.length} tools: ${lost.join(", ")}`]),
    ...now.problems.filter((problem) => !before.problems.includes(problem)),
    ...(slower
      ? [`lists in ${now.seconds} s instead of ${before.seconds}, the server alone in ${now.bareSeconds}`]
      : [])
  ]
}

/** The verdict on a server in one word, and in full where not all is well. */
export const verdict = ({ problems }: Record): string => (problems.length === 0 ? "whole" : problems.join("; "))
