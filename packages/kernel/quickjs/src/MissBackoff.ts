/**
 * Decides when it is worth to look for the other thread's next message rather than to sleep until it comes.
 *
 * After each miss in a row, twice as many turns are let go by without a look, so that threads whose messages take longer than a
 * look soon stop looking.
 */
import { availableParallelism } from "node:os"

/** After many misses in a row, one turn in so many is still tried. */
const maxRest = 256

/** On one core, looking would keep the message from being made. */
const isWorthwhile = availableParallelism() > 1

export class MissBackoff {
  private rest = 0
  private afterMiss = 1

  /** Whether to look this time. */
  shallLook(): boolean {
    if (!isWorthwhile) return false
    if (this.rest === 0) return true
    this.rest--
    return false
  }

  hit(): void {
    this.afterMiss = 1
  }

  miss(): void {
    this.rest = this.afterMiss
    this.afterMiss = Math.min(2 * this.afterMiss, maxRest)
  }
}
