/**
 * Runs that wait without a place in a worker.
 *
 * All that is kept of one is its source and the outcomes it has received; its open calls go on at the host. When the next outcome
 * comes, it is woken: it queues for a place like new work, and starts again there.
 */
import type { Run } from "./Run.ts"

/** The longest time a timer can run, in milliseconds. */
const longestTimer = 2 ** 31 - 1

export class SetAside {
  private readonly maxSize: number
  private readonly sizes = new Map<Run, number>()
  private size = 0
  /** A run without a worker keeps the process alive as one with a worker does. */
  private alive: NodeJS.Timeout | undefined

  /** `maxSize` bounds what is kept of all runs together, in UTF-16 units. */
  constructor(maxSize: number) {
    this.maxSize = maxSize
  }

  /** Whether the run can be kept here, and start again. */
  takes(run: Run): boolean {
    return run.history !== undefined && this.size + run.size <= this.maxSize
  }

  /** Keeps a run that has left its place, until its next outcome. */
  add(run: Run, onWake: () => void): void {
    this.sizes.set(run, run.size)
    this.size += run.size
    this.alive ??= setInterval(() => undefined, longestTimer)
    run.wake = () => {
      this.delete(run)
      onWake()
    }
  }

  /** Whether it was here. */
  delete(run: Run): boolean {
    const size = this.sizes.get(run)
    if (size === undefined) return false
    this.sizes.delete(run)
    this.size -= size
    run.wake = undefined
    if (this.sizes.size === 0) {
      clearInterval(this.alive)
      this.alive = undefined
    }
    return true
  }

  /** Takes all of them out. */
  clear(): ReadonlyArray<Run> {
    const runs = Array.from(this.sizes.keys())
    for (const run of runs) this.delete(run)
    return runs
  }
}
