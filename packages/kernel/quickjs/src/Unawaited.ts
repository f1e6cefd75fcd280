/**
 * What a program has begun and not seen the end of, and what it is told if it comes to its own end before that.
 *
 * A program that returns a value is over. A program that comes to its end without a value is over as a process of Node is: when nothing that it
 * began is under way any more. So the rest of an async function that was called without `await` is done, and an error in it is not
 * lost. Either way a line of its console output says what it did not wait for.
 */

/** Paths of calls that are named in a message. */
const maxNamed = 3

/** The calls and timers that a program may go on after. */
export class Unawaited {
  private readonly sleepPath: string
  private readonly open = new Map<number, string>()

  constructor(sleepPath: string) {
    this.sleepPath = sleepPath
  }

  get isEmpty(): boolean {
    return this.open.size === 0
  }

  begin(seq: number, path: string): void {
    this.open.set(seq, path)
  }

  /** It has ended, or is a timer that was cleared. */
  end(seq: number): void {
    this.open.delete(seq)
  }

  /** For a program that comes to its end without a value. */
  get goesOn(): string {
    return (
      `The program came to its end while ${this.description} still under way. It is over when that has ended, as in Node, but then it ` +
      "gives no result. Await what you call, and return what you want as the result: `return await main()`."
    )
  }

  /** For a program that returns a value. */
  get isLeft(): string {
    return (
      `The program returned while ${this.description} still under way. It did not wait for that: what was to follow is not done, and a ` +
      "call may be cut off. Await what you call before you return, and stop a timer with clearTimeout."
    )
  }

  private get description(): string {
    const all = Array.from(this.open.values(), (path) => (path === this.sleepPath ? "a timer" : `tools.${path}`))
    const more = all.length > maxNamed ? ` and ${all.length - maxNamed} more` : ""
    return `${all.slice(0, maxNamed).join(", ")}${more} ${all.length === 1 ? "was" : "were"}`
  }
}
