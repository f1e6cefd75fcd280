/**
 * Other code on the journal of an execution that was: a script that failed at its last step is corrected and does not repeat the others.
 *
 * The calls of the new code are held against the old journal one after the other. One that is the same (path and arguments) gets the
 * recorded outcome; with the first that is not, or has none, the execution goes **live**, and every later call is made. Recorded
 * outcomes are told in their old order, each when the code has come to rest, so that calls which ran beside each other come out as they did.
 *
 * A failure is taken only where the old code went on after it. A script that ended with it was most likely corrected, or waited
 * until what failed works again, so that call is made anew. A call in doubt is asked for, as after a crash.
 *
 * What is taken is written to the journal of the new execution, which so has a whole one of its own. A crash before that loses
 * nothing: the old journal is read again.
 */
import type { ToolInvocation } from "@executor/kernel"
import type { ExecutionJournal, JournaledCall } from "@executor/sdk"
import { Deferred, Effect } from "effect"
import type { CallShape, Divergence, ExecutionNotResumable, ForkReport } from "./ExecutionEngine.ts"
import type { Outcome } from "./Outcomes.ts"
import { divergenceOf, outcomeOf, shapeOf } from "./Recorded.ts"
import { whyNotEnded, whyNotResumable } from "./Resumable.ts"
import type { Submission } from "./Submission.ts"

/** What the old journal has for a call. */
export type Taken =
  | { readonly _tag: "Outcome"; readonly outcome: Outcome; readonly turn: Effect.Effect<void> }
  | { readonly _tag: "InDoubt" }

/** A call as the new code makes it. */
export type Made = Pick<ToolInvocation, "path" | "argsJson"> & { readonly seq: number }

/** The old journal, as far as it is not used up. */
export interface Fork {
  /** Takes the recorded outcome of the next call; nothing if the call is to be made. */
  readonly take: (call: Made) => Taken | undefined
  /** The code rests: the outcome comes that came next. */
  readonly codeRests: () => void
  readonly report: () => ForkReport
}

/** Opens the old journal, for an execution that has made some calls already. */
export const make = Effect.fnUntraced(function* (
  journal: ExecutionJournal,
  build: string,
  own: ReadonlyArray<JournaledCall> = []
): Effect.fn.Return<Fork, ExecutionNotResumable> {
  const problem = whyNotResumable(journal, build) ?? whyNotEnded(journal)
  if (problem !== undefined) return yield* problem
  const calls = new Map(journal.calls.map((journaled) => [journaled.call.seq, journaled]))
  const waiting = new Map<number, Deferred.Deferred<void>>()
  let reused = 0
  let divergence: Divergence | undefined

  const goLive = (recorded: CallShape | undefined, made: CallShape): undefined => {
    divergence = { recorded, made }
    return undefined
  }

  const take: Fork["take"] = (invocation) => {
    if (divergence !== undefined) return undefined
    const made = { seq: invocation.seq, path: invocation.path, argsJson: invocation.argsJson ?? null }
    const old = calls.get(invocation.seq)
    if (old === undefined) return goLive(undefined, made)
    divergence = divergenceOf(old, invocation)
    if (divergence !== undefined) return undefined
    const outcome = outcomeOf(old)
    const { settleSeq, status } = old.call
    if (outcome === undefined || settleSeq === null) {
      goLive(shapeOf(old.call), made)
      return status === "in_doubt" || status === "running" ? { _tag: "InDoubt" } : undefined
    }
    if (status === "failed" && !wentOnAfter(journal.calls, old)) return goLive(shapeOf(old.call), made)
    reused++
    const turn = Deferred.makeUnsafe<void>()
    waiting.set(settleSeq, turn)
    return { _tag: "Outcome", outcome, turn: Deferred.await(turn) }
  }

  for (const { call } of own) {
    const taken = take({ seq: call.seq, path: call.toolPath, argsJson: call.argsJson ?? undefined })
    if (taken === undefined) break
  }
  waiting.clear()

  return {
    take,
    codeRests: () => {
      const [next] = Array.from(waiting.keys()).toSorted((a, b) => a - b)
      if (next === undefined) return
      const turn = waiting.get(next)
      waiting.delete(next)
      if (turn !== undefined) Deferred.doneUnsafe(turn, Effect.void)
    },
    report: () => ({ reused, recorded: journal.calls.length, divergence })
  }
})

/** Whether the code made other calls once it had been told of this one. */
const wentOnAfter = (calls: ReadonlyArray<JournaledCall>, { call }: JournaledCall): boolean =>
  calls.some((other) => other.call.seq > call.seq && other.call.startedAt >= (call.completedAt ?? Infinity))

/** What a fork has of the execution that it comes from. */
export const inherited = ({ execution: { id, seed } }: ExecutionJournal) => ({ parentExecutionId: id, seed })

/** A submission whose row says that its execution is a fork of its parent. */
export const marked = (submission: Submission): Submission => ({
  ...submission,
  optionsJson: JSON.stringify({ ...(JSON.parse(submission.optionsJson ?? "{}") as object), fork: true })
})

/** Whether the options of a row say so. */
export const isMarked = (optionsJson: string | null): boolean =>
  optionsJson !== null && (JSON.parse(optionsJson) as { readonly fork?: boolean }).fork === true
