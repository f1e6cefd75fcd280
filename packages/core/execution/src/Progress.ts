/**
 * Whether an execution goes on, or does nothing but wait for a person.
 *
 * It **waits** while at least one question is open and nothing else can bring it further:
 *
 * - no tool call is under way, except those that wait for an answer themselves;
 * - the code is idle: it has received every settlement there is, and had nothing left to run when it said so. So it has made all
 *   the calls it can, and two questions of one `Promise.all` are always shown together.
 *
 * A timer of the code is neither: a race of an approval against a `setTimeout` shows its question at once. When the timer fires, the code
 * goes on for a moment, and is not said to wait before it is idle again.
 *
 * On entering that state the row says `waiting_for_interaction`, and only then the callers that wait for a pause are told; it says
 * `running` again once a call goes on or no question is left. Status writes of one execution are made one after the other, and a
 * state that was left before its turn came is skipped: a host that answers at once costs no write, nor does a timer.
 */
import { Effect, type Fiber } from "effect"

/** What `Progress` is made with. */
export interface ProgressOptions {
  readonly writeStatus: (status: "running" | "waiting_for_interaction") => Effect.Effect<void>
  readonly runFork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** Told when the first question opens, and when the last one is answered. */
  readonly onThinking: () => void
  /** Told, maybe more than once, while the execution waits and its row says so. It must not end the execution at once. */
  readonly onWaits: () => void
}

/** The progress of one execution. All methods are synchronous. */
export interface Progress {
  /** A tool call begins, or goes on after its answer. */
  readonly callGoesOn: () => void
  /** A tool call ends, or begins to wait for an answer. */
  readonly callRests: () => void
  /** There is one settlement more for the code, of a tool call or a timer. */
  readonly codeGoesOn: () => void
  /** The code had nothing left to run when it had received so many settlements. */
  readonly codeRests: (received: number) => void
  readonly questionOpens: () => void
  readonly questionCloses: () => void
  /** Calls back once, as soon as the execution waits and its row says so, or now. Gives what takes the callback back. */
  readonly onWaiting: (listener: () => void) => () => void
  readonly isWaiting: () => boolean
  /** Whether a question is open. */
  readonly isThinking: () => boolean
  /** Whether the code has received all that there is, and has nothing left to run. */
  readonly isCodeIdle: () => boolean
  /** The execution ends: nothing is written or told any more. */
  readonly close: () => void
}

/** Makes the progress of an execution that is about to start. */
export const make = (options: ProgressOptions): Progress => {
  let callsUnderWay = 0
  let openQuestions = 0
  let settlements = 0
  let idleAfter = -1
  let written: "running" | "waiting_for_interaction" = "running"
  let writing = false
  let closed = false
  const listeners = new Set<() => void>()

  const waits = () => !closed && openQuestions > 0 && callsUnderWay === 0 && idleAfter >= settlements

  /** What the row should say and does not. */
  const unwritten = (): "running" | "waiting_for_interaction" | undefined => {
    if (closed) return undefined
    if (written === "running") return waits() ? "waiting_for_interaction" : undefined
    return openQuestions === 0 || callsUnderWay > 0 ? "running" : undefined
  }

  const changed = () => {
    if (writing || closed) return
    if (unwritten() === undefined) return tell()
    writing = true
    options.runFork(writeUntilTrue)
  }

  const writeUntilTrue = Effect.gen(function* () {
    // A question that its host answers at once is answered a turn later.
    if (written === "running") yield* Effect.yieldNow
    for (let status = unwritten(); status !== undefined; status = unwritten()) {
      yield* options.writeStatus(status)
      written = status
    }
    writing = false
    tell()
  })

  const tell = () => {
    if (!waits()) return
    // First, so that whoever is told that it waits finds what is done about it under way.
    options.onWaits()
    const told = Array.from(listeners)
    listeners.clear()
    for (const listener of told) listener()
  }

  return {
    callGoesOn: () => {
      callsUnderWay++
      changed()
    },
    callRests: () => {
      callsUnderWay--
      changed()
    },
    codeGoesOn: () => {
      settlements++
    },
    codeRests: (received) => {
      idleAfter = received
      changed()
    },
    questionOpens: () => {
      if (openQuestions++ === 0) options.onThinking()
      changed()
    },
    questionCloses: () => {
      if (--openQuestions === 0) options.onThinking()
      changed()
    },
    onWaiting: (listener) => {
      listeners.add(listener)
      if (!writing && unwritten() === undefined) tell()
      return () => listeners.delete(listener)
    },
    isWaiting: waits,
    isThinking: () => openQuestions > 0,
    isCodeIdle: () => idleAfter >= settlements,
    close: () => {
      closed = true
      listeners.clear()
    }
  }
}
