/**
 * What came of a load, in lines to read.
 */
import type { LoadOptions, LoadOutcome } from "./run.ts"

const countBy = <A>(items: ReadonlyArray<A>, key: (item: A) => string): string => {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ") || "none"
}

const figure = (value: number | undefined, unit: string): string =>
  value === undefined ? "not told by this system" : `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`

/** The keys that were written more than once. */
export const doubledIn = (effects: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  return [...new Set(effects.filter((key) => seen.size === seen.add(key).size))]
}

/** Errors without what differs from execution to execution. */
export const errorsIn = ({ executions }: LoadOutcome): ReadonlyArray<string> => [
  ...new Set(executions.flatMap(({ errorText }) => errorText?.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "<id>") ?? []))
]

/** The status in the body of an answer, or what there was instead. */
const toldIn = ({ status, text }: LoadOutcome["answers"][number]): string => {
  if (status === undefined) return `broken (${text})`
  return status === 200 || status === 202 ? `${status} ${JSON.parse(text).status}` : String(status)
}

/** A line for each figure. */
export const reportOf = ({ count, database, kill }: LoadOptions, outcome: LoadOutcome): string => {
  const { answers, durationMs, effects, executions, health, used } = outcome
  const served = answers.filter(({ status }) => status === 200).length
  const lines = {
    load: `${count} at once on ${database}${kill ? ", killed in the middle" : ""}`,
    answers: countBy(answers, toldIn),
    duration: `${figure(durationMs / 1000, "s")}, ${figure((served * 1000) / durationMs, "executions/s")}`,
    executions: countBy(executions, ({ status }) => status),
    settled: outcome.settled ? "yes" : "NO",
    "incomplete journals": executions.filter(({ journalComplete }) => !journalComplete).length,
    calls: countBy(executions, ({ calls }) => JSON.stringify(calls)),
    effects: `${effects.length}, doubled ${doubledIn(effects).length}`,
    "asked about calls in doubt": outcome.doubts,
    "dropped writes": outcome.droppedWrites,
    "peak memory": figure(used.peakMemoryMb, "MB"),
    "CPU of the server": figure(used.cpuSeconds, "s"),
    "/health": `max ${figure(health.maxMs, "ms")}, p99 ${figure(health.p99Ms, "ms")}, ${health.asked} asked, ${health.failed} failed`,
    errors: errorsIn(outcome).join("\n  ") || "none"
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n")
}
