/**
 * The engine: the life of an execution from top to bottom.
 *
 * ```
 * check the submission                        -- refused whole, or it runs
 *   -> mint the id, write the row (running)
 *     -> run the program in the sandbox       -- its calls: ToolCalls, Journal; its questions: Interactions
 *   <- close the calls it left open
 *   <- write the terminal state, tell everybody who waits
 * ```
 *
 * Whatever happens on the way (the store fails, the caller goes away, the engine closes), the second half is reached: the fiber that
 * lives this life cannot be interrupted, and everything it waits for is bounded. Only the program itself takes the time it
 * takes, until it is stopped.
 */
import { type CodeExecutionError, type CodeExecutor, type ExecuteResult, Limits, type LogEntry } from "@executor/kernel"
import { type Execution, type ExecutionId, type Executor, isTerminal } from "@executor/sdk"
import { Effect, Exit, FiberSet, type Scope } from "effect"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as BoundedWrites from "./BoundedWrites.ts"
import * as BuiltinTools from "./BuiltinTools.ts"
import { conclude } from "./Conclusion.ts"
import * as Description from "./Description.ts"
import * as Events from "./Events.ts"
import {
  type ExecutionEngine,
  ExecutionNotCancellable,
  ExecutionNotPaused,
  type ExecutionOptions,
  type ExecutionOutcome,
  ExecutionRefused,
  type FinishedExecution
} from "./ExecutionEngine.ts"
import type { InlineHandler } from "./Interactions.ts"
import { type EngineParts, type LiveExecution, make as makeLiveExecution } from "./LiveExecution.ts"
import * as Submission from "./Submission.ts"

/** How long a stopped sandbox may take to let go of its program. One that takes longer is left behind. */
export const sandboxStopMs = 5_000

/** What an engine is made of. */
export interface ExecutionEngineOptions {
  readonly executor: Executor
  readonly codeExecutor: CodeExecutor["Service"]
  /** The limits of executions that do not change them; `Limits.defaults` if absent. */
  readonly limits?: Limits | undefined
  /** Names this engine in the rows of its executions, and no other engine ever; random if absent. */
  readonly owner?: string | undefined
}

/** Makes an engine. When its scope closes, what runs or waits ends as `cancelled`. */
export const createExecutionEngine = Effect.fnUntraced(function* (
  options: ExecutionEngineOptions
): Effect.fn.Return<ExecutionEngine, never, Scope.Scope> {
  const { codeExecutor, executor } = options
  const limits = options.limits ?? Limits.defaults
  const scopeId = executor.scopes[0]
  const store = executor.executions
  const executions = new Map<ExecutionId, LiveExecution>()
  const events = yield* Events.make
  const runInBackground = yield* FiberSet.makeRuntime()
  let dropped = 0
  let closed = false

  const parts: EngineParts = {
    executor,
    codeExecutor,
    builtins: BuiltinTools.make(executor),
    writes: yield* BoundedWrites.make,
    events,
    owner: options.owner ?? uuidV7Unsafe(),
    onDrop: () => dropped++,
    runInBackground
  }

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      const left = Array.from(executions.values())
      const message =
        "The engine that ran it was closed: its process is shutting down. Send the code again to start over."
      for (const execution of left) execution.stop({ _tag: "Cancelled", message })
      return Effect.forEach(left, toEnd, { concurrency: "unbounded", discard: true })
    })
  )

  const start = Effect.fnUntraced(function* (
    code: string,
    options: ExecutionOptions,
    inline: InlineHandler | undefined
  ) {
    if (closed) return yield* new ExecutionRefused({ field: "engine", message: "The engine is closed." })
    const submission = yield* Submission.parse(code, options, limits)
    const context = yield* Effect.context<never>()
    const execution = makeLiveExecution(parts, submission, context, inline)
    options.onStart?.(execution.id)
    executions.set(execution.id, execution)
    const life = Effect.catchCause(run(execution), (bug) => finish(execution, Exit.failCause(bug)))
    Effect.runForkWith(context)(life, { uninterruptible: true })
    return execution
  })

  const run = Effect.fnUntraced(function* (execution: LiveExecution) {
    const { id: executionId, recorder, startedAt, submission } = execution
    yield* recorder.begin
    events.publish({ _tag: "ExecutionStarted", executionId, trigger: submission.trigger, at: startedAt })

    execution.wallTime.run()
    const { exit, logs } = yield* runProgram(execution)
    execution.wallTime.hold()
    execution.progress.close()

    yield* closeCalls(execution)
    yield* execution.interactions.close
    yield* recorder.drained
    yield* finish(execution, exit, logs)
  })

  const finish = Effect.fnUntraced(function* (
    execution: LiveExecution,
    exit: Exit.Exit<ExecuteResult, CodeExecutionError>,
    stoppedLogs: ReadonlyArray<LogEntry> = []
  ) {
    const { id: executionId, journal, recorder, startedAt } = execution
    const completedAt = execution.now()
    const { finished, row } = yield* conclude({
      executionId,
      exit,
      stopped: execution.stopped(),
      stoppedLogs,
      toolCallCount: journal.count(),
      startedAt,
      completedAt
    })
    yield* recorder.end(row)
    executions.delete(executionId)
    events.publish({ _tag: "ExecutionFinished", executionId, status: finished.status, at: completedAt })
    execution.end(finished)
  })

  const runProgram = (execution: LiveExecution) => {
    const { context, progress, seed, startedAt: startTime, submission, toolCalls } = execution
    const runFork = Effect.runForkWith(context)
    let logs: ReadonlyArray<LogEntry> = []
    return Effect.callback<ProgramEnd>((resume) => {
      const end = (exit: ProgramEnd["exit"]) => resume(Effect.succeed({ exit, logs }))
      if (execution.stopped() !== undefined) return end(Exit.interrupt())
      const sandbox = runFork(
        Effect.suspend(() =>
          codeExecutor.execute(submission.code, toolCalls.invoker, {
            limits: withoutWallTime(submission.limits),
            seed,
            startTime,
            onIdle: progress.codeRests,
            onStopped: (told) => (logs = told)
          })
        )
      )
      sandbox.addObserver(end)
      execution.onStop(() => {
        sandbox.interruptUnsafe()
        if (sandbox.pollUnsafe() !== undefined) return
        const giveUp = Effect.sync(() => end(Exit.interrupt()))
        const timer = runFork(Effect.andThen(Effect.sleep(sandboxStopMs), giveUp))
        sandbox.addObserver(() => timer.interruptUnsafe())
      })
    })
  }

  const closeCalls = (execution: LiveExecution) => {
    const stopped = execution.stopped()
    return execution.toolCalls.close({
      grace: stopped === undefined,
      why:
        stopped === undefined
          ? "The program ended before this call did: it did not wait for it."
          : "The execution was stopped while this call was under way."
    })
  }

  const toEnd = (execution: LiveExecution) =>
    Effect.callback<FinishedExecution>((resume) => {
      const forget = execution.onEnd((finished) => resume(Effect.succeed(finished)))
      return Effect.sync(forget)
    })

  const toEndOrPause = (execution: LiveExecution) =>
    Effect.callback<ExecutionOutcome>((resume) => {
      const forgetEnd = execution.onEnd((finished) => resume(Effect.succeed(finished)))
      const forgetPause = execution.progress.onWaiting(() => {
        forgetEnd()
        resume(Effect.succeed(pausedNow(execution)))
      })
      return Effect.sync(() => {
        forgetEnd()
        forgetPause()
      })
    })

  /** Ties an execution to whoever waits for it. */
  const toEndOrGone = (execution: LiveExecution) =>
    Effect.onInterrupt(toEnd(execution), () => {
      execution.stop({ _tag: "Cancelled", message: "Its caller went away before it ended." })
      return toEnd(execution)
    })

  return {
    execute: Effect.fn("ExecutionEngine.execute")(function* (code, options = {}) {
      const { onElicitation: handler, trigger } = options
      const inline = handler === undefined ? nobody : { handler, answeredBy: trigger?.kind ?? "sdk" }
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(start(code, options, inline), (execution) => restore(toEndOrGone(execution)))
      )
    }),
    executeWithPause: Effect.fn("ExecutionEngine.executeWithPause")(function* (code, options = {}) {
      return yield* toEndOrPause(yield* start(code, options, undefined))
    }),
    resume: Effect.fn("ExecutionEngine.resume")(function* (executionId, answer) {
      const execution = executions.get(executionId)
      if (execution !== undefined) {
        yield* execution.interactions.answer(answer)
        return yield* toEndOrPause(execution)
      }
      const { execution: row } = yield* store.get(scopeId, executionId)
      return yield* new ExecutionNotPaused({ executionId, message: `It waits for no answer here: ${stateOf(row)}` })
    }),
    cancel: Effect.fn("ExecutionEngine.cancel")(function* (executionId) {
      const execution = executions.get(executionId)
      if (execution === undefined) {
        const { execution: row } = yield* store.get(scopeId, executionId)
        return yield* new ExecutionNotCancellable({ executionId, message: `It cannot be cancelled: ${stateOf(row)}` })
      }
      execution.stop({ _tag: "Cancelled", message: "It was cancelled on request." })
      const { status } = yield* toEnd(execution)
      if (status === "cancelled") return
      const message = `It cannot be cancelled: execution ${executionId} had ended already (${status}).`
      return yield* new ExecutionNotCancellable({ executionId, message })
    }),
    getDescription: Effect.suspend(() => Description.describe(executor, limits)),
    events: events.stream,
    droppedWrites: Effect.sync(() => dropped)
  }
})

/** How the sandbox let go of a program, and what the program had logged if it was stopped. */
interface ProgramEnd {
  readonly exit: Exit.Exit<ExecuteResult, CodeExecutionError>
  readonly logs: ReadonlyArray<LogEntry>
}

/** Where nobody can be asked, a question is recorded and answered at once. */
const nobody: InlineHandler = { handler: () => Effect.succeed({ action: "cancel" }), answeredBy: null }

/** The sandbox cannot know what a call waits for, so this limit is kept here: see `WallTime`. */
const withoutWallTime = (limits: Limits): Limits =>
  limits.wallTimeMs === null ? limits : new Limits({ ...limits, wallTimeMs: null })

const pausedNow = ({ id, interactions, journal }: LiveExecution): ExecutionOutcome => {
  const pending = interactions.pending()
  const [interaction] = pending
  if (interaction === undefined) throw new Error(`execution ${id} waits, but asks nothing`)
  return {
    status: "paused",
    execution: { id, interaction, interactions: pending, toolCallCount: journal.count() }
  }
}

const stateOf = ({ id, status }: Execution): string =>
  isTerminal(status)
    ? `execution ${id} has ended (${status}). Send its code again to run it once more.`
    : `execution ${id} is ${status} in another process, or in one that is gone. Only the process that runs it can do this.`
