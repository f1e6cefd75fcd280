/**
 * The engine for people who don't use Effect: the same engine with promises. It goes with `@executor/sdk/promise`.
 *
 * ```ts
 * const executor = await createExecutor({ plugins: [...] })
 * const engine = await createExecutionEngine({ executor, codeExecutor: QuickJsExecutor.layer() })
 * const { result } = await engine.execute("return await tools.local.greet({ name: 'Ada' })")
 * await engine.close()
 * await executor.close()
 * ```
 *
 * Everything else of `@executor/execution` is exported here too. What an effect would fail with, the promise rejects with: the
 * same error classes, told apart by `instanceof` or `_tag`. A program that fails is no rejection: look at `status` and `error`.
 */
import { CodeExecutor } from "@executor/kernel"
import {
  type ExecutionId,
  type PromiseElicitationHandler,
  type PromiseExecutor,
  runPromise
} from "@executor/sdk/promise"
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { createExecutionEngine as createEffectEngine, type ExecutionEngineOptions } from "./Engine.ts"
import type {
  AdmissionLoad,
  ExecutionEngine,
  ExecutionEvent,
  ExecutionOptions,
  ForkOptions,
  ExecutionOutcome,
  FinishedExecution,
  ForkOutcome,
  ForkReport,
  InteractionAnswer,
  RecoveryReport,
  ReplayOptions,
  ReplayReport
} from "./ExecutionEngine.ts"

export * from "./index.ts"

/** What an engine is made of. */
export interface PromiseExecutionEngineOptions extends Omit<ExecutionEngineOptions, "executor" | "codeExecutor"> {
  readonly executor: PromiseExecutor
  /** The sandbox, such as `QuickJsExecutor.layer()`. It is closed with the engine. */
  readonly codeExecutor: Layer.Layer<CodeExecutor>
}

/** Options of `execute`. */
export interface PromiseExecuteOptions extends ExecutionOptions {
  /** Answers questions there and then; without one they are answered `cancel`. */
  readonly onElicitation?: PromiseElicitationHandler | undefined
  /** Cancels the execution when it aborts; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Runs code against an executor, with promises. */
export interface PromiseExecutionEngine {
  /** See `ExecutionEngine.execute`. */
  readonly execute: (code: string, options?: PromiseExecuteOptions) => Promise<FinishedExecution>
  /** See `ExecutionEngine.executeWithPause`. */
  readonly executeWithPause: (code: string, options?: ExecutionOptions) => Promise<ExecutionOutcome>
  /** See `ExecutionEngine.resume`. */
  readonly resume: (executionId: ExecutionId, answer: InteractionAnswer) => Promise<ExecutionOutcome>
  /** See `ExecutionEngine.cancel`. */
  readonly cancel: (executionId: ExecutionId) => Promise<void>
  /** See `ExecutionEngine.recover`. */
  readonly recover: () => Promise<RecoveryReport>
  /** See `ExecutionEngine.fork`. */
  readonly fork: (executionId: ExecutionId, code: string, options?: ForkOptions) => Promise<ForkOutcome>
  /** See `ExecutionEngine.previewFork`. */
  readonly previewFork: (
    executionId: ExecutionId,
    code: string,
    options?: Pick<ForkOptions, "limits" | "anyBuild">
  ) => Promise<ForkReport>
  /** See `ExecutionEngine.replay`. */
  readonly replay: (executionId: ExecutionId, options?: ReplayOptions) => Promise<ReplayReport>
  /** What an agent is told before it writes code. */
  readonly getDescription: () => Promise<string>
  /** What happens from now on. A reader that lags loses the oldest events. */
  readonly events: () => AsyncIterable<ExecutionEvent>
  /** See `ExecutionEngine.droppedWrites`. */
  readonly droppedWrites: () => Promise<number>
  /** See `ExecutionEngine.load`. */
  readonly load: () => Promise<AdmissionLoad>
  /** Hands over or cancels what runs, as the engine was made, and closes the sandbox. The executor stays open. */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
  /** The same engine for code that uses Effect. */
  readonly effect: ExecutionEngine
}

/** Makes an engine. Close it before its executor. */
export const createExecutionEngine = async (
  options: PromiseExecutionEngineOptions
): Promise<PromiseExecutionEngine> => {
  const scope = Scope.makeUnsafe()
  const make = Effect.gen(function* () {
    const context = yield* Layer.build(options.codeExecutor)
    const codeExecutor = yield* Effect.provide(CodeExecutor, context)
    return yield* createEffectEngine({ ...options, executor: options.executor.effect, codeExecutor })
  })
  const engine = await runPromise(
    Effect.onError(Scope.provide(make, scope), (cause) => Scope.close(scope, Exit.failCause(cause)))
  )
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  return {
    execute: (code, { onElicitation, signal, ...rest } = {}) =>
      runPromise(
        engine.execute(code, {
          ...rest,
          onElicitation: onElicitation && ((request) => Effect.promise(async () => onElicitation(request)))
        }),
        signal
      ),
    executeWithPause: (code, options) => runPromise(engine.executeWithPause(code, options)),
    resume: (executionId, answer) => runPromise(engine.resume(executionId, answer)),
    cancel: (executionId) => runPromise(engine.cancel(executionId)),
    recover: () => runPromise(engine.recover),
    fork: (executionId, code, options) => runPromise(engine.fork(executionId, code, options)),
    previewFork: (executionId, code, options) => runPromise(engine.previewFork(executionId, code, options)),
    replay: (executionId, options) => runPromise(engine.replay(executionId, options)),
    getDescription: () => runPromise(engine.getDescription),
    events: () => Stream.toAsyncIterable(engine.events),
    droppedWrites: () => runPromise(engine.droppedWrites),
    load: () => runPromise(engine.load),
    close,
    [Symbol.asyncDispose]: close,
    effect: engine
  }
}
