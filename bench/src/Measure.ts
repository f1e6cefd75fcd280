/**
 * Measuring, and telling what was measured: medians of several rounds, the subject and its baseline taken in turn so that a
 * machine whose speed drifts slows both.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"

/** The value in the middle. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Milliseconds that one run takes. */
export const time = async (run: () => Promise<unknown>): Promise<number> => {
  const started = performance.now()
  await run()
  return performance.now() - started
}

/** Runs `run` and gives its time beside the 99th percentile of the event loop's lag meanwhile, both in milliseconds. */
export const timeWithLag = async (run: () => Promise<unknown>): Promise<{ ms: number; lagP99: number }> => {
  const resolution = 1
  const histogram = monitorEventLoopDelay({ resolution })
  histogram.enable()
  const ms = await time(run)
  histogram.disable()
  return { ms, lagP99: Math.max(0, histogram.percentile(99) / 1e6 - resolution) }
}

/** Takes the subject and the baseline in turn, after one round that is not counted. */
export const inTurn = async (
  rounds: number,
  subject: () => Promise<number>,
  baseline: () => Promise<number>
): Promise<{ subject: number; baseline: number }> => {
  await subject()
  await baseline()
  const subjects: Array<number> = []
  const baselines: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    subjects.push(await subject())
    baselines.push(await baseline())
  }
  return { subject: median(subjects), baseline: median(baselines) }
}

/** One line of the report. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: "ms" | "per s" | "MB" | "x"
  /** What was measured in the same run to compare with. */
  readonly baseline?: { readonly what: string; readonly value: number } | undefined
  /** The aim: the value is to be at most (or, for rates, at least) this. */
  readonly aim?: number | undefined
}

const round = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

/** Prints a figure: its value, its aim and whether it was met, and the ratio to its baseline. */
export const report = ({ aim, baseline, unit, value, what }: Figure): void => {
  const met = aim === undefined ? "" : (unit === "per s" ? value >= aim : value <= aim) ? "met" : "MISSED"
  const aimed = aim === undefined ? "" : `aim ${unit === "per s" ? ">=" : "<="} ${round(aim)} ${met}`
  const ratio =
    baseline === undefined ? "" : `${round(value / baseline.value)} x ${baseline.what} (${round(baseline.value)})`
  console.log(`${what.padEnd(58)} ${round(value).padStart(8)} ${unit.padEnd(6)} ${aimed.padEnd(20)} ${ratio}`.trimEnd())
}
