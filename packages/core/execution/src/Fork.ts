/**
 * Other code on the journal of an execution that was: a script that failed at its last step is corrected and does not repeat the others.
 *
 * The calls of the new code are held against the old journal one after the other. One that is the same (path and arguments) gets the
 * recorded outcome; with the first that is not, the execution goes **live**, and every later call is made. Recorded outcomes are
 * told in their old order, each when the code has come to rest, so that calls which ran beside each other come out as they did.
 *
 * A call that is the same is nevertheless **made anew** where there is no outcome to take: one that never began; one in doubt, which is
 * asked for as after a crash; and a failure that the old code ended with, or after which it made no other call: most likely it was
 * corrected, or waited until what failed works again. The recorded calls beside it did not depend on how it ended, so
 * they are still taken, and it is made when all of them have been told.
 *
 * What is taken is written to the journal of the new execution, which so has a whole one of its own. A crash before that loses
 * nothing: whoever goes on reads the old journal again, and comes to the same decision for each call.
 */
import type { ToolInvocation } from "@executor/kernel"
import type { ExecutionJournal, JournaledCall } from "@executor/sdk"
import { Deferred, Effect } from "effect"
import type { Divergence, ExecutionNotResumable, ForkReport } from "./ExecutionEngine.ts"
import type { Outcome } from "./Outcomes.ts"
import { divergenceOf, outcomeOf, shapeOf } from "./Recorded.ts"
import { whyNotEnded, whyNotResumable } from "./Resumable.ts"
import type { Submission } from "./Submission.ts"

/** What the old journal has for a call that is the same. */
export interface Taken {
  /** Its outcome; nothing where the call is to be made anew. */
  readonly outcome: Outcome | undefined
  /** Whether it may have had its effect then, although it has no outcome. */
  readonly inDoubt: boolean
  /** Waits until it is its turn. */
  readonly turn: Effect.Effect<void>
}

/** A call as the new code makes it. */
export type Made = Pick<ToolInvocation, "path" | "argsJson"> & { readonly seq: number }

/** The old journal, as far as it is not used up. */
export interface Fork {
  /** Takes what is recorded of a call; nothing if it is another call. Asked for every call, in the order of `seq`. */
  readonly take: (call: Made) => Taken | undefined
  /** The code rests: the outcome comes that came next, or what is made anew. */
  readonly codeRests: () => void
  /** The program has ended: all that still wait have their turn. */
  readonly programEnds: () => void
  readonly report: () => ForkReport
}

/** Opens the old journal. */
export const make = Effect.fnUntraced(function* (
  journal: ExecutionJournal,
  build: string
): Effect.fn.Return<Fork, ExecutionNotResumable> {
  const problem = whyNotResumable(journal, build) ?? whyNotEnded(journal)
  if (problem !== undefined) return yield* problem
  const calls = new Map(journal.calls.map((journaled) => [journaled.call.seq, journaled]))
  const endedWith = failureThatEnded(journal)
  const queue = new Map<Deferred.Deferred<void>, number>()
  let reused = 0
  let live = false
  let divergence: Divergence | undefined

  const turn = (place: number) =>
    Effect.suspend(() => {
      const comes = Deferred.makeUnsafe<void>()
      queue.set(comes, place)
      return Effect.onInterrupt(Deferred.await(comes), () => Effect.sync(() => queue.delete(comes)))
    })

  const letGo = (comes: Deferred.Deferred<void>) => {
    queue.delete(comes)
    Deferred.doneUnsafe(comes, Effect.void)
  }

  const isMadeAnew = (failed: JournaledCall): boolean =>
    failed === endedWith || failed.call.settleSeq === null || !wentOnAfter(journal, failed)

  const diverges = (where: Divergence): undefined => {
    divergence ??= where
    live = true
    return undefined
  }

  return {
    take: (invocation) => {
      if (live) return undefined
      const made = { seq: invocation.seq, path: invocation.path, argsJson: invocation.argsJson ?? null }
      const old = calls.get(invocation.seq)
      if (old === undefined) return diverges({ recorded: undefined, made })
      const other = divergenceOf(old, invocation)
      if (other !== undefined) return diverges(other)
      const { settleSeq, status } = old.call
      const outcome = outcomeOf(old)
      if (outcome === undefined || (status === "failed" && isMadeAnew(old))) {
        divergence ??= { recorded: shapeOf(old.call), made }
        return { outcome: undefined, inDoubt: status === "in_doubt" || status === "running", turn: turn(Infinity) }
      }
      reused++
      // What the old code was not told comes after all that it was told.
      return { outcome, inDoubt: false, turn: turn(settleSeq ?? journal.calls.length + old.call.seq) }
    },
    codeRests: () => {
      let next = Infinity
      for (const place of queue.values()) next = Math.min(next, place)
      for (const [comes, place] of queue) if (place === next) letGo(comes)
    },
    programEnds: () => {
      for (const comes of queue.keys()) letGo(comes)
    },
    report: () => ({ reused, recorded: journal.calls.length, divergence })
  }
})

/** The failure that an execution ended with, if it was one of a call: the last that the code was told of those in whose words it ended. */
const failureThatEnded = ({ calls, execution }: ExecutionJournal): JournaledCall | undefined => {
  const isNamed = (failed: JournaledCall) => {
    const outcome = outcomeOf(failed)
    const words = outcome?._tag === "Failure" ? outcome.error.message : ""
    return words !== "" && execution.errorText?.includes(words) === true
  }
  return calls
    .filter(({ call }) => call.settleSeq !== null)
    .toSorted((a, b) => (a.call.settleSeq ?? 0) - (b.call.settleSeq ?? 0))
    .findLast(isNamed)
}

/** Whether a call was begun when this one had failed, perhaps because the code had been told so. */
const wentOnAfter = ({ calls }: ExecutionJournal, { call: { completedAt, seq } }: JournaledCall): boolean =>
  calls.some(({ call }) => call.seq > seq && call.startedAt >= (completedAt ?? Infinity))

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
