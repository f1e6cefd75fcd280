/**
 * Whether an execution goes on, or does nothing but wait for a person.
 *
 * It **waits** while at least one question is open and nothing else can bring it further: no tool call is under way except those
 * that wait for an answer themselves, and the code has been quiet for {@link quietMs}, the time it gets to make another call
 * (so that two questions of one `Promise.all` are shown together). A timer of the code does not count as going on: a race of an approval
 * against a `setTimeout` shows its question at once.
 *
 * On entering that state the row says `waiting_for_interaction`, and only then the callers that wait for a pause are told; on leaving
 * it the row says `running`. Status writes of one execution are made one after the other, and a state that was left before
 * its turn came is skipped: a host that answers at once costs no write.
 */
import { Effect, type Fiber } from "effect"

/**
 * How long the code gets, after the last thing that happened to it, to make another call. It is the real time of
 * another thread, so it does not follow the `Clock`.
 */
export const quietMs = 50

/** What `Progress` is made with. */
export interface ProgressOptions {
  readonly writeStatus: (status: "running" | "waiting_for_interaction") => Effect.Effect<void>
  readonly runFork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** Told when the first question opens, and when the last one is answered. */
  readonly onThinking: (thinking: boolean) => void
}

/** The progress of one execution. All methods are synchronous. */
export interface Progress {
  /** A tool call begins, or goes on after its answer. */
  readonly callGoesOn: () => void
  /** A tool call ends, or begins to wait for an answer. */
  readonly callRests: () => void
  readonly questionOpens: () => void
  readonly questionCloses: () => void
  /** Calls back once, as soon as the execution waits and its row says so, or now. Gives what takes the callback back. */
  readonly onWaiting: (listener: () => void) => () => void
  /** The execution ends: nothing is written or told any more. */
  readonly close: () => void
}

/** Makes the progress of an execution that is about to start. */
export const make = (options: ProgressOptions): Progress => {
  let callsUnderWay = 0
  let openQuestions = 0
  let quiet: ReturnType<typeof setTimeout> | undefined
  let waiting = false
  let written: "running" | "waiting_for_interaction" = "running"
  let writing = false
  let closed = false
  const listeners = new Set<() => void>()

  const changed = () => {
    waiting = false
    if (quiet !== undefined) clearTimeout(quiet)
    quiet = undefined
    if (!closed && openQuestions > 0 && callsUnderWay === 0) {
      quiet = setTimeout(() => {
        quiet = undefined
        waiting = true
        publish()
      }, quietMs)
    } else {
      publish()
    }
  }

  /** What the row should say and does not. */
  const unwritten = (): "running" | "waiting_for_interaction" | undefined => {
    const wanted = waiting ? "waiting_for_interaction" : "running"
    return closed || written === wanted ? undefined : wanted
  }

  const publish = () => {
    if (writing || closed) return
    if (unwritten() === undefined) return tell()
    writing = true
    options.runFork(writeUntilTrue)
  }

  const writeUntilTrue = Effect.gen(function* () {
    for (let status = unwritten(); status !== undefined; status = unwritten()) {
      yield* options.writeStatus(status)
      written = status
    }
    writing = false
    tell()
  })

  const tell = () => {
    if (closed || !waiting || listeners.size === 0) return
    const told = Array.from(listeners)
    listeners.clear()
    for (const listener of told) listener()
  }

  return {
    callGoesOn: () => {
      callsUnderWay++
      if (openQuestions > 0 || waiting) changed()
    },
    callRests: () => {
      callsUnderWay--
      if (openQuestions > 0) changed()
    },
    questionOpens: () => {
      if (openQuestions++ === 0) options.onThinking(true)
      changed()
    },
    questionCloses: () => {
      if (--openQuestions === 0) options.onThinking(false)
      changed()
    },
    onWaiting: (listener) => {
      listeners.add(listener)
      if (written === "waiting_for_interaction") tell()
      return () => listeners.delete(listener)
    },
    close: () => {
      closed = true
      listeners.clear()
      changed()
    }
  }
}
