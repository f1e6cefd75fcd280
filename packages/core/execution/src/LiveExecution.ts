/**
 * An execution as it lives in this process: its submission and identity, the parts that serve it, and who waits for it.
 *
 * It belongs to the engine, not to whoever asked for it: it runs in a fiber of its own until it has ended, and everybody who
 * is interested in it waits beside it. It is stopped by saying why; the first reason counts.
 */
import type { CodeExecutor } from "@executor/kernel"
import { ExecutionId, type Executor } from "@executor/sdk"
import { Clock, Context, Effect } from "effect"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import type { BoundedWrites } from "./BoundedWrites.ts"
import type * as BuiltinTools from "./BuiltinTools.ts"
import type { StopReason } from "./Conclusion.ts"
import type { Events } from "./Events.ts"
import type { FinishedExecution } from "./ExecutionEngine.ts"
import * as Interactions from "./Interactions.ts"
import * as Journal from "./Journal.ts"
import * as Progress from "./Progress.ts"
import * as Recorder from "./Recorder.ts"
import type { Submission } from "./Submission.ts"
import * as ToolCalls from "./ToolCalls.ts"
import * as WallTime from "./WallTime.ts"

/** What all executions of one engine share. */
export interface EngineParts {
  readonly executor: Executor
  readonly codeExecutor: CodeExecutor["Service"]
  readonly builtins: ReturnType<typeof BuiltinTools.make>
  readonly writes: BoundedWrites
  readonly events: Events
  /** Names this engine in the rows of its executions. */
  readonly owner: string
  readonly onDrop: () => void
  readonly runInBackground: (effect: Effect.Effect<unknown>) => void
}

/** One execution. */
export interface LiveExecution {
  readonly id: ExecutionId
  readonly submission: Submission
  readonly startedAt: number
  /** Seeds the sandbox: an unsigned 32-bit integer. */
  readonly seed: number
  /** The services of whoever submitted it: its clock, its logger, its span. */
  readonly context: Context.Context<never>
  readonly recorder: Recorder.Recorder
  readonly journal: Journal.Journal
  readonly interactions: Interactions.Interactions
  readonly progress: Progress.Progress
  readonly toolCalls: ToolCalls.ToolCalls
  readonly wallTime: WallTime.WallTime
  /** Milliseconds since the epoch; never goes backwards. */
  readonly now: () => number
  readonly stop: (reason: StopReason) => void
  readonly stopped: () => StopReason | undefined
  /** Calls back when it is stopped, at once if it was. */
  readonly onStop: (listener: () => void) => void
  readonly end: (finished: FinishedExecution) => void
  /** Calls back when it has ended, at once if it has. Gives what takes the callback back. */
  readonly onEnd: (listener: (finished: FinishedExecution) => void) => () => void
}

/** Mints an execution. Nothing runs and nothing is written yet. */
export const make = (
  parts: EngineParts,
  submission: Submission,
  context: Context.Context<never>,
  inline: Interactions.InlineHandler | undefined
): LiveExecution => {
  const { events } = parts
  const id = ExecutionId.make(uuidV7Unsafe())
  const scopeId = parts.executor.scopes[0]
  const clock = Context.get(context, Clock.Clock)
  const startedAt = clock.currentTimeMillisUnsafe()
  const seed = randomSeed()
  const runFork = Effect.runForkWith(context)

  let latest = startedAt
  const now = () => (latest = Math.max(latest, clock.currentTimeMillisUnsafe()))

  let reason: StopReason | undefined
  const stopListeners: Array<() => void> = []
  const stop = (why: StopReason) => {
    if (reason !== undefined || ended !== undefined) return
    reason = why
    for (const listener of stopListeners) listener()
  }

  let ended: FinishedExecution | undefined
  const endListeners = new Set<(finished: FinishedExecution) => void>()

  const { trigger, triggerMetaJson, limits } = submission
  const recorder = Recorder.make(
    {
      store: parts.executor.executions,
      writes: parts.writes,
      context,
      onDrop: parts.onDrop,
      runInBackground: parts.runInBackground
    },
    {
      id,
      scopeId,
      status: "running",
      code: submission.code,
      triggerKind: trigger.kind,
      triggerMetaJson,
      createdAt: startedAt,
      startedAt,
      seed,
      owner: parts.owner,
      parentExecutionId: parentOf(submission)
    }
  )
  const journal = Journal.make({ executionId: id, recorder, events, now })
  const wallTime = WallTime.make(context, limits.wallTimeMs, () =>
    stop({ _tag: "WallTime", limitMs: limits.wallTimeMs ?? 0 })
  )
  const progress = Progress.make({
    writeStatus: recorder.status,
    runFork,
    onThinking: (thinking) => (thinking ? wallTime.hold() : wallTime.run())
  })
  const interactions = Interactions.make({
    executionId: id,
    recorder,
    events,
    progress,
    granted: submission.granted,
    inline,
    now
  })
  const toolCalls = ToolCalls.make({
    executor: parts.executor,
    builtins: parts.builtins,
    context,
    journal,
    interactions,
    progress,
    recorder,
    limits
  })

  return {
    id,
    submission,
    startedAt,
    seed,
    context,
    recorder,
    journal,
    interactions,
    progress,
    toolCalls,
    wallTime,
    now,
    stop,
    stopped: () => reason,
    onStop: (listener) => {
      if (reason === undefined) stopListeners.push(listener)
      else listener()
    },
    end: (finished) => {
      ended = finished
      for (const listener of endListeners) listener(finished)
      endListeners.clear()
    },
    onEnd: (listener) => {
      if (ended === undefined) endListeners.add(listener)
      else listener(ended)
      return () => endListeners.delete(listener)
    }
  }
}

const parentOf = ({ trigger }: Submission): ExecutionId | null => {
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
