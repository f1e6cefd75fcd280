/**
 * The console output of one execution, up to its limit.
 */
import type { FlatLogs } from "./Protocol.ts"

/** What each line counts beside its text, so that a flood of empty lines is bounded too. */
const lineBytes = 64

/** Takes lines until the limit is reached, then counts what it drops. */
export class Logs {
  private readonly lines: Array<string | number> = []
  private readonly limit: number
  private bytes = 0
  private droppedLines = 0
  private droppedBytes = 0

  constructor(limit: number) {
    this.limit = limit
  }

  add(level: string, message: string, at: number): void {
    const size = Buffer.byteLength(message)
    if (this.droppedLines > 0 || this.bytes + size + lineBytes > this.limit) {
      this.droppedLines++
      this.droppedBytes += size
      return
    }
    this.bytes += size + lineBytes
    this.lines.push(level, message, at)
  }

  /** All lines kept, and one that says what was dropped. */
  close(at: number): FlatLogs {
    if (this.droppedLines > 0) {
      this.lines.push(
        "warn",
        `[${this.droppedLines} more lines of console output, ${this.droppedBytes} bytes, were dropped: ` +
          `the limit \`logBytes\` is ${this.limit} bytes. Log less, or raise the setting \`logBytes\`.]`,
        at
      )
    }
    return this.lines
  }
}
