/**
 * How long programs compute, in the time of the processor.
 *
 * Most entries into a program are over in microseconds, and reading the processor's time takes as long as that. So short ones are
 * measured by the clock on the wall, and it is read again only where an entry takes long or the last reading is old. What
 * is charged for a long entry is at most what the wall says, and at most {@link staleMs} more than the processor does.
 */

/** A reading older than this is not good enough to measure a long entry from. */
const staleMs = 5

/** Entries this long are measured by the processor's time: a thread that has to wait for its processor is not charged for it. */
const longMs = 1

/** The CPU time of this thread, in milliseconds. Older versions of Node only have the clock. */
const threadCpuMs = (): number => {
  if (typeof process.threadCpuUsage !== "function") return performance.now()
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** Measures the entries into the programs of one thread, one at a time. */
export class CpuMeter {
  private cpuMs = 0
  private readAt = -Infinity
  private cpuAtEntry = 0
  private enteredAt = 0

  enter(): void {
    this.enteredAt = performance.now()
    if (this.enteredAt - this.readAt > staleMs) this.read(this.enteredAt)
    this.cpuAtEntry = this.cpuMs
  }

  /** Milliseconds since the entry by the clock on the wall: cheap, and never less than {@link CpuMeter.usedMs}. */
  get elapsedMs(): number {
    return performance.now() - this.enteredAt
  }

  /** CPU time since the entry, in milliseconds. */
  get usedMs(): number {
    const now = performance.now()
    const elapsed = now - this.enteredAt
    return elapsed < longMs ? elapsed : Math.min(elapsed, this.read(now) - this.cpuAtEntry)
  }

  private read(now: number): number {
    this.readAt = now
    return (this.cpuMs = threadCpuMs())
  }
}
