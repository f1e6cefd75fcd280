/**
 * The host's way of waiting for a worker's next message without going to sleep: its event loop is kept turning for a moment after
 * something was sent, which holds up nothing else that it has to do.
 *
 * It is `BriefWait` from the other side. Together they take 1,000 calls in sequence from 0.32 to 0.24 s (2 cores, virtual).
 */
import { MissBackoff } from "./MissBackoff.ts"

/** Longer than a program that only passes outcomes on takes to its next call. */
const awakeMs = 0.3

export class BriefAwake {
  private readonly backoff = new MissBackoff()
  /** Until when a message is expected. */
  private until: number | undefined
  private isTurning = false

  /** Something was sent. */
  expect(): void {
    if (!this.backoff.shallLook()) return
    this.until = performance.now() + awakeMs
    if (this.isTurning) return
    this.isTurning = true
    setImmediate(this.turn)
  }

  /** A message has come. */
  received(): void {
    if (this.until !== undefined) this.backoff.hit()
    this.until = undefined
  }

  private readonly turn = (): void => {
    if (this.until !== undefined && performance.now() < this.until) {
      setImmediate(this.turn)
      return
    }
    this.isTurning = false
    if (this.until === undefined) return
    this.until = undefined
    this.backoff.miss()
  }
}
