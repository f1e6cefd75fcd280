/**
 * How much goes on at once in a process: a bounded number of executions is under way, and the rest waits in line.
 *
 * Without a bound, a burst of submissions keeps all of them waiting for the same database and the same processors, until each of
 * them looks as if its database hung.
 *
 * - An execution that is **under way** holds a place, from before its first write until its last. While it only waits for a person, it
 *   holds none.
 * - A **submission** that finds no place waits in the line of its scope, in order. The scopes are served in turn, so that a long
 *   line of one keeps no other waiting. A line has a bound: what comes then is refused as {@link TooManyExecutions}, and nothing
 *   of it is recorded.
 * - What **goes on** (an answer has come, or its process was lost) is served before what has not begun.
 * - A submission whose parent is under way here does not wait, nor does it after an answer: its parent may wait for it, and would keep
 *   its place for ever.
 *
 * Engines of one process share the bound by sharing an `Admission`.
 */
import type { ScopeId } from "@executor/sdk"
import { Deferred, Effect } from "effect"
import { type AdmissionLoad, ExecutionRefused, TooManyExecutions } from "./ExecutionEngine.ts"

/** Executions under way at once: several times what the sandboxes of a small machine compute at once, as most wait for their tools. */
export const defaultConcurrentExecutions = 64

/** Submissions of a scope that wait in line: some ten seconds' work, at some 50 KB each where they come over HTTP. */
export const defaultQueuedExecutions = 1_000

/** How soon a refused submission may be sent again, at the least and at the most. */
const minRetryAfterMs = 1_000
const maxRetryAfterMs = 60_000

/** The bounds of a process. */
export interface AdmissionOptions {
  /** {@link defaultConcurrentExecutions} if absent. */
  readonly concurrentExecutions?: number | undefined
  /** In the line of each scope; {@link defaultQueuedExecutions} if absent. */
  readonly queuedExecutions?: number | undefined
}

/** How an execution comes in. */
export interface Entry {
  /** It has begun before: it comes before all that has not. */
  readonly begun?: boolean | undefined
  /** Nothing keeps it waiting, now or after an answer: whoever holds a place may wait for it. */
  readonly nested?: boolean | undefined
}

/** Makes a wait interruptible again, where the rest is not. */
export type Restore = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

/** The place of one execution. */
export interface Place {
  readonly isHeld: () => boolean
  /** Gives the place to others while the execution waits for a person. */
  readonly rest: () => void
  /** Waits until it has its place again; at once where it did not rest. */
  readonly goOn: Effect.Effect<void>
  /** Gives the place up for good. */
  readonly leave: () => void
}

/** The bounds of a process, for all its engines. */
export interface Admission {
  /** The way in for the executions of one scope through one engine. */
  readonly door: (scopeId: ScopeId) => Door
  readonly load: () => AdmissionLoad
}

/** Lets the executions of an engine in. */
export interface Door {
  /** A place, if one is free and nobody waits for it; none when this is closed. */
  readonly tryEnter: () => Place | undefined
  /** Waits in line for a place. To be called where it cannot be interrupted: only the wait is, so that no place is lost. */
  readonly enter: (interruptible: Restore, entry?: Entry) => Effect.Effect<Place, TooManyExecutions | ExecutionRefused>
  /** Refuses what waits here, and whatever still comes. */
  readonly close: () => void
}

/** Who waits for a place: told once when it has one. */
interface Waiter {
  readonly admitted: () => void
}

/** The engine closes: nothing begins here any more. */
export const engineClosed = new ExecutionRefused({ field: "engine", message: "The engine is closed." })

/** Makes the bounds of a process. Throws a `RangeError` where one is no positive whole number. */
export const make = (options: AdmissionOptions = {}): Admission => {
  const limit = positive("concurrentExecutions", options.concurrentExecutions ?? defaultConcurrentExecutions)
  const maxQueued = positive("queuedExecutions", options.queuedExecutions ?? defaultQueuedExecutions)
  /** Lines of what has not begun. The first scope is served next, and goes to the end. */
  const lines = new Map<ScopeId, Set<Waiter>>()
  const begun = new Set<Waiter>()
  let underWay = 0
  let queued = 0
  /** The mean time between two places that became free, in milliseconds. */
  let intervalMs: number | undefined
  let freedAt: number | undefined

  const leaveLine = (scopeId: ScopeId, waiter: Waiter) => {
    const line = lines.get(scopeId)
    if (line?.delete(waiter) !== true) return
    queued--
    if (line.size === 0) lines.delete(scopeId)
  }

  const nextInLines = (): Waiter | undefined => {
    const [entry] = lines
    if (entry === undefined) return undefined
    const [scopeId, line] = entry
    const [first] = line
    lines.delete(scopeId)
    lines.set(scopeId, line)
    if (first !== undefined) leaveLine(scopeId, first)
    return first
  }

  const nextBegun = (): Waiter | undefined => {
    const [first] = begun
    if (first !== undefined) begun.delete(first)
    return first
  }

  const admit = () => {
    while (underWay < limit) {
      const waiter = nextBegun() ?? nextInLines()
      if (waiter === undefined) return
      underWay++
      waiter.admitted()
    }
  }

  const free = () => {
    underWay--
    const now = performance.now()
    if (queued > 0 && freedAt !== undefined) intervalMs = (intervalMs ?? now - freedAt) * 0.9 + (now - freedAt) * 0.1
    freedAt = now
    admit()
  }

  /** The place of an execution that was counted as under way. */
  const takenPlace = (nested = false): Place => {
    let state: "held" | "resting" | "returning" | "left" = "held"
    const returned = new Set<() => void>()
    const waiter: Waiter = {
      admitted: () => {
        state = "held"
        for (const told of returned) told()
        returned.clear()
      }
    }
    const takeBack = () => {
      if (nested) {
        underWay++
        state = "held"
        return
      }
      state = "returning"
      begun.add(waiter)
      admit()
    }
    return {
      isHeld: () => state === "held",
      rest: () => {
        // Nothing waits for it any more: the call that wanted to go on was interrupted.
        if (state === "returning" && returned.size === 0) {
          begun.delete(waiter)
          state = "resting"
        }
        if (state !== "held") return
        state = "resting"
        free()
      },
      goOn: Effect.callback<void>((resume) => {
        if (state === "resting") takeBack()
        if (state !== "returning") return resume(Effect.void)
        const told = () => resume(Effect.void)
        returned.add(told)
        return Effect.sync(() => returned.delete(told))
      }),
      leave: () => {
        begun.delete(waiter)
        const holds = state === "held"
        state = "left"
        for (const told of returned) told()
        if (holds) free()
      }
    }
  }

  const tryEnter = (): Place | undefined => {
    if (underWay >= limit || queued > 0 || begun.size > 0) return undefined
    underWay++
    return takenPlace()
  }

  const tooMany = (waiting: number) => {
    const estimate = Math.ceil(waiting * (intervalMs ?? 0))
    const retryAfterMs = Math.min(Math.max(estimate, minRetryAfterMs), maxRetryAfterMs)
    return new TooManyExecutions({
      limit: "queuedExecutions",
      value: maxQueued,
      retryAfterMs,
      message:
        `Too much is under way: ${limit} executions at once (the setting concurrentExecutions), and ${maxQueued} more wait in line ` +
        `(the setting queuedExecutions). Nothing of this was done: try again in ${Math.ceil(retryAfterMs / 1000)} s, or raise the settings.`
    })
  }

  const door = (scopeId: ScopeId): Door => {
    const waiting = new Set<() => void>()
    let closed = false

    const join = (waiter: Waiter, hasBegun: boolean) => {
      if (hasBegun) return begun.add(waiter)
      lines.set(scopeId, (lines.get(scopeId) ?? new Set()).add(waiter))
      return queued++
    }

    const quit = (waiter: Waiter) => {
      if (!begun.delete(waiter)) leaveLine(scopeId, waiter)
    }

    /** A place that is given as its waiter goes away is given back. */
    const wait = (interruptible: Restore, hasBegun: boolean) =>
      Effect.suspend(() => {
        const place = Deferred.makeUnsafe<Place, ExecutionRefused>()
        let isAdmitted = false
        const waiter: Waiter = {
          admitted: () => {
            isAdmitted = true
            waiting.delete(refuse)
            Deferred.doneUnsafe(
              place,
              Effect.sync(() => takenPlace())
            )
          }
        }
        const refuse = () => {
          quit(waiter)
          Deferred.doneUnsafe(place, Effect.fail(engineClosed))
        }
        waiting.add(refuse)
        join(waiter, hasBegun)
        const goAway = Effect.sync(() => {
          waiting.delete(refuse)
          if (isAdmitted) free()
          else quit(waiter)
        })
        return Effect.onInterrupt(interruptible(Deferred.await(place)), () => goAway)
      })

    return {
      tryEnter: () => (closed ? undefined : tryEnter()),
      enter: (interruptible, { begun: hasBegun = false, nested = false } = {}) =>
        Effect.suspend((): Effect.Effect<Place, TooManyExecutions | ExecutionRefused> => {
          if (closed) return Effect.fail(engineClosed)
          const place = tryEnter()
          if (place !== undefined) return Effect.succeed(place)
          if (nested) {
            underWay++
            return Effect.succeed(takenPlace(nested))
          }
          const length = hasBegun ? begun.size : (lines.get(scopeId)?.size ?? 0)
          return length >= maxQueued ? Effect.fail(tooMany(length)) : wait(interruptible, hasBegun)
        }),
      close: () => {
        closed = true
        for (const refuse of waiting) refuse()
        waiting.clear()
      }
    }
  }

  return { door, load: () => ({ underWay, queued: queued + begun.size }) }
}

const positive = (name: keyof AdmissionOptions, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`The setting \`${name}\` must be a positive whole number, and was ${value}`)
}
