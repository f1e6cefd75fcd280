/**
 * The SDK for people who don't use Effect: the same executor with promises.
 *
 * ```ts
 * const executor = await createExecutor({ plugins: [definePlugin({ id: "local", staticSources: [...] })] })
 * await executor.tools.invoke("local.greet", { name: "Ada" })
 * await executor.close()
 * ```
 *
 * Everything else of `@executor/sdk` is exported here too. What an effect would fail with, the promise rejects with: the
 * same error classes, told apart by `instanceof` or `_tag`. Kinds of dynamic sources are written with Effect in either case.
 */
import { Cause, Effect, Exit, Scope } from "effect"
import type { DBAdapter } from "./DBAdapter.ts"
import type { ElicitationRequest, ElicitationResponse } from "./Elicitation.ts"
import type { ExecutionStore } from "./ExecutionStore.ts"
import type { Executor, ExecutorOptions, InvokeOptions } from "./Executor.ts"
import { createExecutor as createEffectExecutor } from "./internal/executor.ts"
import * as MemoryAdapter from "./MemoryAdapter.ts"
import { type StaticTool, type ToolContext, type ValidatedInput, type ValidationSchema } from "./Plugin.ts"
import type { JsonSchema } from "./Tool.ts"

export * from "./index.ts"

/** The scope of an executor that is made without one. */
export const defaultScope = "default"

/** Methods of `T` that give effects, as methods that give promises. */
export type Promised<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer Args) => Effect.Effect<infer A, infer _E>
    ? (...args: Args) => Promise<A>
    : never
}

/** Asks a person and waits for the answer, however long it takes. */
export type PromiseElicitationHandler = (
  request: ElicitationRequest
) => ElicitationResponse | PromiseLike<ElicitationResponse>

/** Options of one invocation. */
export interface PromiseInvokeOptions extends Omit<InvokeOptions, "onElicitation"> {
  readonly onElicitation?: PromiseElicitationHandler | undefined
  /** Ends the call when it aborts; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** The catalog and the gate, with promises. */
export interface PromiseExecutor {
  readonly scopes: Executor["scopes"]
  readonly sources: Promised<Executor["sources"]>
  readonly tools: Promised<Omit<Executor["tools"], "invoke">> & {
    readonly invoke: (path: string, args?: unknown, options?: PromiseInvokeOptions) => Promise<unknown>
  }
  readonly executions: Promised<ExecutionStore["Service"]>
  /** Closes every opened source. */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
  /** The same executor for code that uses Effect, such as an engine. */
  readonly effect: Executor
}

/** Makes an executor. Without an adapter everything is kept in memory. Close it when done. */
export const createExecutor = async (
  options: {
    readonly scopes?: ExecutorOptions["scopes"] | undefined
    readonly adapter?: DBAdapter["Service"] | undefined
    readonly plugins?: ExecutorOptions["plugins"]
  } = {}
): Promise<PromiseExecutor> => {
  const scope = Scope.makeUnsafe()
  const executor = await runPromise(
    Scope.provide(
      createEffectExecutor({
        scopes: options.scopes ?? [defaultScope],
        adapter: options.adapter ?? MemoryAdapter.make(),
        plugins: options.plugins
      }),
      scope
    )
  )
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const { invoke, ...tools } = executor.tools
  return {
    scopes: executor.scopes,
    sources: promised(executor.sources),
    tools: {
      ...promised(tools),
      invoke: (path, args, { onElicitation, signal, ...rest } = {}) =>
        runPromise(
          invoke(path, args, {
            ...rest,
            onElicitation: onElicitation && ((request) => Effect.promise(async () => onElicitation(request)))
          }),
          signal
        )
    },
    executions: promised(executor.executions),
    close,
    [Symbol.asyncDispose]: close,
    effect: executor
  }
}

/** Runs an effect: rejects with the error itself, or with the reason of the signal that ended it. */
export const runPromise = async <A, E>(effect: Effect.Effect<A, E>, signal?: AbortSignal): Promise<A> => {
  signal?.throwIfAborted()
  const exit = await Effect.runPromiseExit(effect, signal === undefined ? {} : { signal })
  if (Exit.isSuccess(exit)) return exit.value
  if (signal?.aborted === true && Cause.hasInterruptsOnly(exit.cause)) throw signal.reason
  throw Cause.squash(exit.cause)
}

/** An object of functions that give effects, with promises instead. */
export const promised = <T extends object>(methods: T): Promised<T> =>
  Object.fromEntries(
    Object.entries(methods).map(
      ([name, method]: [string, (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown>]) => [
        name,
        (...args: ReadonlyArray<unknown>) => runPromise(method(...args))
      ]
    )
  ) as Promised<T>

/** What a tool is told beside its arguments. */
export interface PromiseToolContext extends Omit<ToolContext, "elicit"> {
  /** Asks a person. The answer may take a month; `cancel` comes back where nobody can be asked. */
  readonly elicit: (request: ElicitationRequest) => Promise<ElicitationResponse>
}

/**
 * Makes a tool of a function, as `tool` of `@executor/sdk` does, with a context whose `elicit` gives a promise.
 */
export function tool<S extends ValidationSchema>(
  definition: Omit<StaticTool, "input" | "handler"> & {
    readonly input: S
    readonly handler: (input: ValidatedInput<S>, context: PromiseToolContext) => unknown
  }
): StaticTool
export function tool<Input = unknown>(
  definition: Omit<StaticTool, "input" | "handler"> & {
    readonly input: JsonSchema
    readonly handler: (input: Input, context: PromiseToolContext) => unknown
  }
): StaticTool
export function tool(
  definition: Omit<StaticTool, "input" | "handler"> & {
    readonly input?: undefined
    readonly handler: (input: Record<string, never>, context: PromiseToolContext) => unknown
  }
): StaticTool
export function tool(
  definition: Omit<StaticTool, "handler"> & {
    readonly handler: (input: never, context: PromiseToolContext) => unknown
  }
): StaticTool {
  const { handler } = definition
  return { ...definition, handler: (input: never, context: ToolContext) => handler(input, promiseContext(context)) }
}

const promiseContext = (context: ToolContext): PromiseToolContext => ({
  path: context.path,
  idempotencyKey: context.idempotencyKey,
  get signal() {
    return context.signal
  },
  elicit: (request) => runPromise(context.elicit(request), context.signal)
})
