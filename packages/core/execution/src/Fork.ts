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
 * Where the old execution was itself a fork, it was to take the calls of its origin up to where it took another way, and in turn the
 * calls of the origin's origin. Those that it did not come to, or was stopped at, are taken from there.
 *
 * What is taken is written to the journal of the new execution, which so has a whole one of its own. A crash before that loses
 * nothing: whoever goes on reads the old journal again, and comes to the same decision for each call.
 */
import type { ToolInvocation } from "@executor/kernel"
import type { DBError, ExecutionId, ExecutionJournal, ExecutionNotFound, JournaledCall } from "@executor/sdk"
import { Deferred, Effect } from "effect"
import { type Divergence, ExecutionNotResumable, type ForkReport } from "./ExecutionEngine.ts"
import { isMarked } from "./ForkMark.ts"
import type { EarlierCall } from "./InDoubt.ts"
import type { Outcome } from "./Outcomes.ts"
import { divergenceOf, outcomeOf, shapeOf } from "./Recorded.ts"
import { whyNotEnded, whyNotResumable } from "./Resumable.ts"

/** What the old journal has for a call that is the same. */
export interface Taken {
  /** Its outcome; nothing where the call is to be made anew. */
  readonly outcome: Outcome | undefined
  /** The call as it was made then, if it may have had its effect although it has no outcome. */
  readonly inDoubt: EarlierCall | undefined
  /** Waits until it is its turn. */
  readonly turn: Effect.Effect<void>
  /** The code is told the outcome: the next may come. */
  readonly told: () => void
}

/** A call as the new code makes it. */
export type Made = Pick<ToolInvocation, "path" | "argsJson"> & { readonly seq: number }

/** The old journal, as far as it is not used up. */
export interface Fork {
  /** Takes what is recorded of a call; nothing if it is another call. Asked for every call, in the order of `seq`. */
  readonly take: (call: Made) => Taken | undefined
  /** The code rests: the outcome comes that came next, or what is made anew, unless the code is yet to be told the last one. */
  readonly codeRests: () => void
  /** The program has ended: all that still wait have their turn. */
  readonly programEnds: () => void
  readonly report: () => ForkReport
}

/** A call of the old journals. */
interface Entry {
  readonly journaled: JournaledCall
  /** Its place in the order in which outcomes are told. */
  readonly place: number
  /** What is taken; nothing where the call is made anew. */
  readonly outcome: Outcome | undefined
}

/** So many journals are read: forks of forks of forks. */
const maxGenerations = 100

/** What a journal is opened with. */
export interface ForkReading {
  /** The build of the sandbox that runs the new code. */
  readonly build: string
  /** Takes a journal that another build made. */
  readonly anyBuild?: boolean | undefined
  /** Reads the journals that the old one comes from. */
  readonly journalOf: (id: ExecutionId) => Effect.Effect<ExecutionJournal, DBError | ExecutionNotFound>
}

/** Opens the old journal. */
export const make = Effect.fnUntraced(function* (
  journal: ExecutionJournal,
  options: ForkReading
): Effect.fn.Return<Fork, ExecutionNotResumable | DBError> {
  const problem = whyNotEnded(journal) ?? whyNotResumable(journal, options.build, options.anyBuild)
  if (problem !== undefined) return yield* problem
  const generations = yield* generationsOf(journal, options)
  const entries = generations.reduceRight<ReadonlyMap<number, Entry>>(
    (origin, generation) => entriesOf(generation, origin),
    new Map()
  )

  const queue = new Map<Deferred.Deferred<void>, number>()
  let reused = 0
  let untold = 0
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

  const diverges = (where: Divergence): undefined => {
    divergence ??= where
    live = true
    return undefined
  }

  return {
    take: (invocation) => {
      if (live) return undefined
      const made = { seq: invocation.seq, path: invocation.path, argsJson: invocation.argsJson ?? null }
      const entry = entries.get(invocation.seq)
      if (entry === undefined) return diverges({ recorded: undefined, made })
      const { journaled, outcome, place } = entry
      const other = divergenceOf(journaled, invocation)
      if (other !== undefined) return diverges(other)
      if (outcome === undefined) {
        divergence ??= { recorded: shapeOf(journaled.call), made }
        return { outcome, inDoubt: inDoubt(journaled), turn: turn(Infinity), told: () => undefined }
      }
      reused++
      return { outcome, inDoubt: undefined, turn: turn(place), told: () => untold-- }
    },
    codeRests: () => {
      if (untold > 0) return
      let next = Infinity
      for (const place of queue.values()) next = Math.min(next, place)
      for (const [comes, place] of queue) {
        if (place !== next) continue
        if (place !== Infinity) untold++
        letGo(comes)
      }
    },
    programEnds: () => {
      for (const comes of queue.keys()) letGo(comes)
    },
    report: () => ({ reused, recorded: entries.size, divergence })
  }
})

/** The journal, and those that it comes from: the newest first. */
const generationsOf = Effect.fnUntraced(function* (
  journal: ExecutionJournal,
  { build, journalOf }: ForkReading
): Effect.fn.Return<ReadonlyArray<ExecutionJournal>, ExecutionNotResumable | DBError> {
  const generations = [journal]
  for (let read = journal; ;) {
    const { parentExecutionId } = read.execution
    if (!isMarked(read.optionsJson) || parentExecutionId === null) return generations
    if (generations.length === maxGenerations) {
      return yield* unreadable(journal, `has more than ${maxGenerations} origins, one of the other`)
    }
    // Without it, calls that it recorded would be made again.
    const gone = unreadable(journal, `is a fork of ${parentExecutionId}, whose journal is there no more`)
    const origin = yield* Effect.catchTag(journalOf(parentExecutionId), "ExecutionNotFound", () => gone)
    // Whoever made the fork took the build of its origin.
    const unfit = whyNotResumable(origin, build, true)
    if (unfit !== undefined) return yield* unfit
    generations.push(origin)
    read = origin
  }
})

const unreadable = ({ execution: { id } }: ExecutionJournal, why: string) =>
  new ExecutionNotResumable({
    executionId: id,
    reason: "journal_incomplete",
    message: `Execution ${id} ${why}: what it took over is not known. Look at what it did, and send the code again.`
  })

/** The calls of a journal, and of its origin those that it was to take. */
const entriesOf = (journal: ExecutionJournal, origin: ReadonlyMap<number, Entry>): ReadonlyMap<number, Entry> => {
  const { calls } = journal
  const endedWith = failureThatEnded(journal)
  const divergedAt = divergenceFrom(origin, journal)
  const entries = new Map<number, Entry>()
  for (const [seq, entry] of origin) {
    if (seq < divergedAt) entries.set(seq, { ...entry, place: entry.place + 2 * calls.length })
  }
  for (const journaled of calls) {
    const { seq, settleSeq } = journaled.call
    const inherited = entries.get(seq)
    // A call that was taken was not made here, whatever became of the taking.
    const wasTaken = inherited?.outcome !== undefined
    const isLastWord = () => settleSeq === null || !wentOnAfter(journal, journaled)
    const hasFailed = outcomeOf(journaled)?._tag === "Failure"
    const isMadeAnew = hasFailed && (journaled === endedWith || (!wasTaken && isLastWord()))
    entries.set(seq, {
      journaled,
      // What the old code was not told comes after all that it was told.
      place: settleSeq ?? inherited?.place ?? calls.length + seq,
      outcome: isMadeAnew ? undefined : (inherited?.outcome ?? outcomeOf(journaled))
    })
  }
  return entries
}

/** The first call of a fork that its origin has not. */
const divergenceFrom = (origin: ReadonlyMap<number, Entry>, { calls }: ExecutionJournal): number => {
  const isOther = ({ call: { argsJson, seq, toolPath } }: JournaledCall) => {
    const entry = origin.get(seq)
    const made = { path: toolPath, argsJson: argsJson ?? undefined }
    return entry === undefined || divergenceOf(entry.journaled, made) !== undefined
  }
  return calls.find(isOther)?.call.seq ?? Infinity
}

/** A call that is made anew, if it may have had its effect: one in doubt, and one whose result could not be kept. */
const inDoubt = (journaled: JournaledCall): EarlierCall | undefined => {
  const { executionId, startedAt, status } = journaled.call
  if (status === "in_doubt" || status === "running") return { executionId, startedAt, tookEffect: false }
  const outcome = outcomeOf(journaled)
  const isUnkept = outcome?._tag === "Failure" && outcome.error.outcome === "happened"
  return isUnkept ? { executionId, startedAt, tookEffect: true } : undefined
}

/** The failure that an execution ended with, if it was one of a call: the last that the code was told of those in whose words it ended. */
const failureThatEnded = ({ calls, execution }: ExecutionJournal): JournaledCall | undefined => {
  const isNamed = (failed: JournaledCall) => {
    const outcome = outcomeOf(failed)
    if (outcome?._tag !== "Failure") return false
    return execution.errorText?.startsWith(`${outcome.error.name}: ${outcome.error.message}`) === true
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
