/**
 * An execution as it lives in this process: its submission and identity, the parts that serve it, and who waits for it.
 *
 * It belongs to the engine, not to whoever asked for it: it runs in a fiber of its own until it has ended, and everybody who
 * is interested in it waits beside it. It is stopped by saying why; the first reason counts.
 */
import type { CodeExecutor } from "@executor/kernel"
import {
  type CreateExecution,
  ExecutionId,
  type ExecutionInteraction,
  type Executor,
  type JournaledCall
} from "@executor/sdk"
import { Clock, Context, Effect } from "effect"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import type { Place } from "./Admission.ts"
import type { BoundedWrites } from "./BoundedWrites.ts"
import type * as BuiltinTools from "./BuiltinTools.ts"
import type { StopReason } from "./Conclusion.ts"
import type { Events } from "./Events.ts"
import { type Divergence, ExecutionInterrupted, type FinishedExecution } from "./ExecutionEngine.ts"
import type { Fork } from "./Fork.ts"
import type { InDoubtPolicy } from "./InDoubt.ts"
import * as Interactions from "./Interactions.ts"
import * as Journal from "./Journal.ts"
import * as Progress from "./Progress.ts"
import * as Recorded from "./Recorded.ts"
import * as Recorder from "./Recorder.ts"
import type { Submission } from "./Submission.ts"
import * as ToolCalls from "./ToolCalls.ts"
import type { UnwrittenEnds } from "./UnwrittenEnds.ts"
import * as WallTime from "./WallTime.ts"

/** What all executions of one engine share. */
export interface EngineParts {
  readonly executor: Executor
  readonly codeExecutor: CodeExecutor["Service"]
  readonly builtins: ReturnType<typeof BuiltinTools.make>
  readonly writes: BoundedWrites
  readonly unwritten: UnwrittenEnds
  readonly events: Events
  /** Names this engine in the rows of its executions. */
  readonly owner: string
  /** How long an execution belongs to this engine when it says nothing more. */
  readonly leaseMs: number
  readonly inDoubt: InDoubtPolicy
  /** What becomes of executions when the process that ran them ends. */
  readonly recovery: "resume" | "end"
  /** Whether the history outlives the process. */
  readonly keepsHistory: boolean
  readonly onDrop: () => void
  readonly runInBackground: (effect: Effect.Effect<unknown>) => void
}

/** What tells an execution from others: new, or as its row has it. */
export interface Identity {
  readonly id: ExecutionId
  readonly startedAt: number
  /** Seeds the sandbox: an unsigned 32-bit integer. */
  readonly seed: number
  readonly parentExecutionId: ExecutionId | null
  /** The epoch of the lease under which it runs here. */
  readonly epoch: number
  /** Until when the lease is held, unless it is prolonged. */
  readonly leaseUntil: number
  /** How many processes in a row were lost over it when it was taken up: see `Crashes`. */
  readonly crashesBefore: number
  /** What was recorded of it, where it is continued. */
  readonly written:
    | {
        readonly calls: ReadonlyArray<JournaledCall>
        readonly interactions: ReadonlyArray<ExecutionInteraction>
      }
    | undefined
  /** Whether its row is in the store already. */
  readonly isRowWritten: boolean
  /** The journal of another execution that it takes results from. */
  readonly fork: Fork | undefined
}

/** How long a call waits to hear whether the lease is still held, when it may not be. */
const confirmWaitMs = 500

/** Why an execution is here no more, although it has not ended. */
export type Departure = "parked" | "handed_over" | "lease_lost"

/** One execution. */
export interface LiveExecution extends Identity {
  readonly submission: Submission
  /** When it began in this process. */
  readonly startedHereAt: number
  /** The services of whoever submitted it: its clock, its logger, its span. */
  readonly context: Context.Context<never>
  /** Its place among what is under way. */
  readonly place: Place
  readonly recorder: Recorder.Recorder
  readonly recorded: Recorded.Recorded
  readonly journal: Journal.Journal
  readonly interactions: Interactions.Interactions
  readonly progress: Progress.Progress
  readonly toolCalls: ToolCalls.ToolCalls
  readonly wallTime: WallTime.WallTime
  /** The lease was prolonged. */
  readonly prolonged: (leaseUntil: number) => void
  /** How many processes in a row were lost over it. */
  readonly crashes: () => number
  /** This process has held it for so long that its crashes count no more. */
  readonly survived: () => void
  /** The code had nothing left to run when it had received so many settlements. */
  readonly codeRests: (received: number) => void
  /** Milliseconds since the epoch; never goes backwards. */
  readonly now: () => number
  readonly stop: (reason: StopReason) => void
  readonly stopped: () => StopReason | undefined
  /** Calls back when it is stopped, at once if it was. */
  readonly onStop: (listener: () => void) => void
  /** Its end is being written: it is handed over no more. */
  readonly concludes: () => void
  readonly end: (finished: FinishedExecution) => void
  /** It goes on elsewhere, or later: whoever waits here is told so. */
  readonly leave: (departure: Departure) => void
  readonly left: () => Departure | undefined
  /** Calls back when it has ended or left, at once if it has. Gives what takes the callback back. */
  readonly onEnd: (listener: (ending: Ending) => void) => () => void
}

/** How an execution has ended here. */
export type Ending = Effect.Effect<FinishedExecution, ExecutionInterrupted>

/** The identity of an execution that was never seen before. */
export const mint = (submission: Submission, startedAt: number, leaseMs: number): Identity => ({
  id: ExecutionId.make(uuidV7Unsafe()),
  startedAt,
  seed: randomSeed(),
  parentExecutionId: parentOf(submission),
  epoch: 0,
  leaseUntil: startedAt + leaseMs,
  crashesBefore: 0,
  written: undefined,
  isRowWritten: false,
  fork: undefined
})

/** The row of a new execution. */
export const rowOf = (
  { codeExecutor, executor, owner }: EngineParts,
  { id, leaseUntil, parentExecutionId, seed, startedAt }: Identity,
  { code, idempotencyKey, optionsJson, trigger, triggerMetaJson }: Submission
): CreateExecution => ({
  id,
  scopeId: executor.scopes[0],
  status: "running",
  code,
  triggerKind: trigger.kind,
  triggerMetaJson,
  createdAt: startedAt,
  startedAt,
  seed,
  owner,
  leaseUntil,
  parentExecutionId,
  idempotencyKey: idempotencyKey ?? null,
  sandboxBuild: codeExecutor.build,
  optionsJson
})

/** How an execution is run here. */
export interface LiveExecutionOptions {
  readonly context: Context.Context<never>
  readonly inline: Interactions.InlineHandler | undefined
  readonly place: Place
  /** Told, maybe more than once, while it only waits for a person. */
  readonly onWaits: () => void
}

/** Makes an execution of this process. Nothing runs and nothing is written yet. */
export const make = (
  parts: EngineParts,
  identity: Identity,
  submission: Submission,
  { context, inline, onWaits, place }: LiveExecutionOptions
): LiveExecution => {
  const { events } = parts
  const { epoch, fork, id, startedAt, written } = identity
  const recorded = Recorded.make(written?.calls ?? [])
  const clock = Context.get(context, Clock.Clock)
  const runFork = Effect.runForkWith(context)

  let latest = Math.max(startedAt, recorded.toldAt)
  const now = () => (latest = Math.max(latest, clock.currentTimeMillisUnsafe()))

  let reason: StopReason | undefined
  const stopListeners: Array<() => void> = []
  const stop = (why: StopReason) => {
    if (reason !== undefined || ending !== undefined) return
    reason = why
    for (const listener of stopListeners) listener()
  }

  let departure: Departure | undefined
  let concluding = false
  let ending: Ending | undefined
  const endListeners = new Set<(ending: Ending) => void>()
  const tellEnd = (how: Ending) => {
    if (ending !== undefined) return
    ending = how
    for (const listener of endListeners) listener(how)
    endListeners.clear()
  }

  const { limits } = submission
  const recorder = Recorder.make(
    {
      store: parts.executor.executions,
      writes: parts.writes,
      context,
      onDrop: parts.onDrop,
      onLost: () => leave("lease_lost"),
      unwritten: parts.unwritten,
      runInBackground: parts.runInBackground
    },
    { epoch, isNew: !identity.isRowWritten, execution: rowOf(parts, identity, submission) }
  )
  const journal = Journal.make({ executionId: id, recorder, events, now, recorded })
  const wallTime = WallTime.make(context, limits.wallTimeMs, () =>
    stop({ _tag: "WallTime", limitMs: limits.wallTimeMs ?? 0 })
  )
  const progress = Progress.make({
    writeStatus: recorder.status,
    runFork,
    onThinking: () => keepWallTime(),
    onWaits
  })
  /** Neither a person's thinking nor the wait for a place afterwards counts. */
  const keepWallTime = () => {
    if (concluding || reason !== undefined || departure !== undefined) return
    if (progress.isThinking() || !place.isHeld()) wallTime.hold()
    else wallTime.run()
  }
  const goOn = Effect.suspend(() => {
    if (place.isHeld()) return Effect.void
    keepWallTime()
    return Effect.ensuring(place.goOn, Effect.sync(keepWallTime))
  })
  const interactions = Interactions.make({
    executionId: id,
    recorder,
    events,
    progress,
    granted: submission.granted,
    inline,
    goOn,
    now,
    recorded: written?.interactions ?? []
  })
  let { leaseUntil, crashesBefore: crashes } = identity
  /**
   * Right before a call: a process that stood still may have lost its executions without having heard of it. A history that cannot be
   * reached does not stop the work: it is asked again a lease later.
   */
  const confirmLease = (): Effect.Effect<void> | undefined => {
    const at = clock.currentTimeMillisUnsafe()
    if (at < leaseUntil) return undefined
    const { executions: store, scopes } = parts.executor
    let lost = false
    const confirm = Effect.gen(function* () {
      yield* store.renewLeases(scopes[0], parts.owner, [id], at + parts.leaseMs)
      const [held] = yield* store.heldExecutions(scopes[0], [id])
      lost = held !== undefined && held.epoch !== epoch
    })
    const asked = () => (leaseUntil = at + parts.leaseMs)
    const confirmed = parts.writes.run(confirm, confirmWaitMs, asked, { strict: true })
    return Effect.flatMap(confirmed, () => {
      if (!lost) return Effect.void
      leave("lease_lost")
      return Effect.interrupt
    })
  }
  const toolCalls = ToolCalls.make({
    executor: parts.executor,
    builtins: parts.builtins,
    context,
    journal,
    interactions,
    progress,
    recorder,
    limits,
    now,
    goOn,
    confirmLease,
    recorded,
    fork,
    inDoubt: parts.inDoubt,
    onDivergence: (divergence) => stop(divergedBy(divergence)),
    onGiveUp: (message) => stop({ _tag: "Failed", name: "InDoubt", message })
  })
  const leave = (why: Departure) => {
    if (departure !== undefined || ending !== undefined) return
    // One that is stopped is not to go on elsewhere.
    if ((concluding && why !== "lease_lost") || (reason !== undefined && why === "handed_over")) return
    departure = why
    interactions.detach()
    progress.close()
    for (const listener of stopListeners) listener()
    tellEnd(new ExecutionInterrupted({ executionId: id, ...interruption(id, why) }))
  }

  return {
    ...identity,
    submission,
    startedHereAt: clock.currentTimeMillisUnsafe(),
    context,
    place,
    prolonged: (until) => (leaseUntil = until),
    crashes: () => crashes,
    survived: () => (crashes = 0),
    codeRests: (received) => {
      progress.codeRests(received)
      const missing = recorded.missing(journal.count(), received)
      if (missing !== undefined) stop(divergedBy({ recorded: missing, made: undefined }))
      if (progress.isCodeIdle()) fork?.codeRests()
    },
    recorder,
    recorded,
    journal,
    interactions,
    progress,
    toolCalls,
    wallTime,
    now,
    stop,
    stopped: () => reason,
    onStop: (listener) => {
      if (reason === undefined && departure === undefined) stopListeners.push(listener)
      else listener()
    },
    concludes: () => (concluding = true),
    end: (finished) => tellEnd(Effect.succeed(finished)),
    leave,
    left: () => departure,
    onEnd: (listener) => {
      if (ending === undefined) endListeners.add(listener)
      else listener(ending)
      return () => endListeners.delete(listener)
    }
  }
}

/** The end of an execution whose code left its journal. */
export const divergedBy = (divergence: Divergence): StopReason => ({
  _tag: "Failed",
  name: "Diverged",
  message: `The code took another way than it had before, so it cannot be continued. ${Recorded.describeDivergence(divergence)} The calls that were recorded have had their effects.`
})

const interruption = (id: ExecutionId, why: Departure) =>
  why === "lease_lost"
    ? ({
        reason: "lease_lost",
        message: `Another process has taken execution ${id} over, since this one had not prolonged its lease in time. It goes on there.`
      } as const)
    : ({
        reason: "handed_over",
        message: `The process that ran execution ${id} is shutting down. The execution is kept, and goes on in the next process that recovers it.`
      } as const)

/** The execution that the trigger names as its parent. */
export const parentOf = ({ trigger }: Submission): ExecutionId | null => {
  const parent = trigger.meta?.parentExecutionId
  return parent === undefined || parent === "" ? null : ExecutionId.make(parent)
}

const seeds = new Uint32Array(256)
let seedsUsed = seeds.length

/** Drawn many at a time: asking the system for a few bytes costs as much as asking for a thousand. */
const randomSeed = (): number => {
  if (seedsUsed === seeds.length) {
    crypto.getRandomValues(seeds)
    seedsUsed = 0
  }
  return seeds[seedsUsed++] ?? 0
}
