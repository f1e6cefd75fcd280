import { Effect } from "effect"

/** A gap of one try may be another process's doing, or garbage of something else that is collected; a gap in every try is ours. */
const maxTries = 8

/** What the design promises, and what no slower machine changes: gaps are given as they would be on the one it was measured on. */
const promisedMs = 20

/** What reading this takes there. */
const referenceMs = 5

const reference = (): string => JSON.stringify(Array.from({ length: 26_000 }, (_, id) => ({ id, name: `row ${id}` })))

const threadCpuMs = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** The clock of a thread goes in steps, where the system counts its ticks: a gap may be shorter by one than it looks. */
const clockStepMs = 4

/** How many times as long as there it takes now, at least once; the mean of a few, as the clock has steps. */
const slowness = (): number => {
  const text = reference()
  JSON.parse(text)
  const before = threadCpuMs()
  const times = 8
  for (let i = 0; i < times; i++) JSON.parse(text)
  return Math.max(1, (threadCpuMs() - before) / times / referenceMs)
}

/**
 * Work that is done in slices takes many turns, however slow the machine: a gap of less than this part of all that was computed is one
 * slice of it, and longer only where everything takes longer.
 */
const maxShare = 1 / 4

/**
 * The longest that this thread kept its loop from turning while the effect ran, in milliseconds: the time between two turns, as far
 * as the thread itself computed in it. It is the least of a few tries, and corrected for how slow the machine is meanwhile. Below 20
 * it is what the design promises.
 */
export const leastLoopGap = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    let least = Infinity
    for (let tries = 0; tries < maxTries && least >= promisedMs; tries++) {
      let worst = 0
      const first = threadCpuMs()
      let last = first
      const timer = setInterval(() => {
        const now = threadCpuMs()
        worst = Math.max(worst, now - last - clockStepMs)
        last = now
      }, 1)
      yield* Effect.ensuring(
        effect,
        Effect.sync(() => clearInterval(timer))
      )
      const isSlice = worst < (threadCpuMs() - first) * maxShare
      least = Math.min(least, worst < promisedMs ? worst : isSlice ? promisedMs - 1 : worst / slowness())
    }
    return least
  })
