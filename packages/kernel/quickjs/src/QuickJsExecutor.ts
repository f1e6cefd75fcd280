/**
 * The default sandbox: QuickJS compiled to WebAssembly, in a pool of worker threads.
 *
 * Use {@link layer} to provide the kernel's `CodeExecutor`, or {@link make} inside a scope. Making it is cheap: the first worker
 * starts with the first execution, or at once with `prewarm`, and workers end when they have been idle for a while. Idle workers do
 * not keep a process alive, running executions do. When the scope closes, workers end and executions that still run fail.
 *
 * A program that is bundled into one file passes `workerUrl` (the bundled `worker` entry of this package) and `assetsUrl` (a
 * folder with the files of {@link assetUrls}).
 */
import {
  CodeExecutionError,
  CodeExecutor,
  type ExecuteOptions,
  type ExecuteResult,
  Limits,
  type LogEntry,
  maxDepth,
  maxProperties,
  readJson,
  type SandboxToolInvoker,
  sleepPath
} from "@executor/kernel"
import { Clock, Effect, Fiber, Layer } from "effect"
import { createHash } from "node:crypto"
import { availableParallelism } from "node:os"
import { assetUrls, compileAssets } from "./Assets.ts"
import { preludeText } from "./guest/prelude.ts"
import { Pool } from "./Pool.ts"
import { slotsPerWorker } from "./Protocol.ts"
import { Run, type RunEnd } from "./Run.ts"

export { assetUrls }

/** Options of {@link make} and {@link layer}. */
export interface QuickJsExecutorOptions {
  /** Worker threads. Defaults to the number of cores, at most 4. */
  readonly workers?: number | undefined
  /** Worker threads when some are held by long computations, or full of executions that wait and cannot be set aside. Defaults to four times `workers`. */
  readonly maxWorkers?: number | undefined
  /** Workers to start at once, rather than on first use. */
  readonly prewarm?: number | undefined
  /**
   * A worker without executions for this many milliseconds ends, and an execution that has only waited for so long gives its
   * worker up until it goes on. Defaults to 30 s.
   */
  readonly idleWorkerMs?: number | undefined
  /** Executions that a worker holds at once, each in a sandbox of its own. Defaults to 64, which is the most. */
  readonly slotsPerWorker?: number | undefined
  /**
   * Memory for what is kept of executions that wait without a worker: their sources and the outcomes of their calls. Those that do
   * not fit keep their sandboxes. Defaults to 128 MB.
   */
  readonly setAsideBytes?: number | undefined
  /** Limits of an execution that brings none. */
  readonly limits?: Limits | undefined
  /** The worker's entry. Defaults to the one beside this module. */
  readonly workerUrl?: URL | undefined
  /** A folder that holds the WebAssembly files. Defaults to where `quickjs-wasi` is installed. */
  readonly assetsUrl?: URL | undefined
}

/** Changes whenever the prelude does, as a journal may only be replayed on the prelude that wrote it. */
const preludeHash = createHash("sha256").update(preludeText).digest("hex").slice(0, 12)

/** Names the engine, the stripper and the prelude of this build. */
export const build = `quickjs-wasi-3.6.2 amaro-1.2.1 prelude-${preludeHash}`

const maxDefaultWorkers = 4

/** A hundred thousand executions that wait for an answer, with sources and outcomes of the ordinary size; UTF-16 units. */
const defaultSetAside = 64 * 1024 * 1024

/** Longer than the pauses within a burst of work, short enough that a server between two bursts is small. */
const defaultIdleWorkerMs = 30_000

/** The longest that one timer can wait, 25 days; a person may have more time than that. */
const maxTimerMs = 0x7fff_ffff

const defaultWorkerUrl = (): URL =>
  new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)

/** A `CodeExecutor` whose workers live as long as the scope. */
export const make = Effect.fnUntraced(function* (options: QuickJsExecutorOptions = {}) {
  const workers = options.workers ?? Math.min(availableParallelism(), maxDefaultWorkers)
  const defaults = options.limits ?? Limits.defaults
  const pool = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Pool({
          workers,
          maxWorkers: options.maxWorkers ?? workers * 4,
          slots: Math.min(Math.max(options.slotsPerWorker ?? slotsPerWorker, 1), slotsPerWorker),
          maxSetAside: options.setAsideBytes === undefined ? defaultSetAside : Math.floor(options.setAsideBytes / 2),
          idleMs: options.idleWorkerMs ?? defaultIdleWorkerMs,
          workerUrl: options.workerUrl ?? defaultWorkerUrl(),
          compile: () => compileAssets(options.assetsUrl),
          constants: { sleepPath, maxDepth, maxProperties }
        })
    ),
    (pool) => Effect.sync(() => pool.close())
  )
  if (options.prewarm !== undefined) pool.prewarm(options.prewarm)

  const execute = (code: string, invoker: SandboxToolInvoker, executeOptions: ExecuteOptions = {}) =>
    Effect.withFiber<ExecuteResult, CodeExecutionError>((parent) => {
      const clock = parent.getRef(Clock.Clock)
      const now = (): number => clock.currentTimeMillisUnsafe()
      const fork = Effect.runForkWith(parent.context)
      return Effect.callback<ExecuteResult, CodeExecutionError>((resume) => {
        const limits = executeOptions.limits ?? defaults
        let wallTimer: NodeJS.Timeout | undefined
        const run = new Run({
          code,
          invoker,
          limits,
          seed: executeOptions.seed ?? Math.floor(Math.random() * 0x1_0000_0000),
          startTime: executeOptions.startTime ?? now(),
          fork,
          now,
          onIdle: executeOptions.onIdle,
          onEnd: (end) => {
            clearTimeout(wallTimer)
            const told = pool.release(run)
            const open = run.openCallCount === 0 ? Effect.void : Fiber.interruptAll(run.openCalls)
            const ended = Effect.suspend(() => endEffect(end, run))
            if (told !== undefined) resume(open.pipe(Effect.andThen(Effect.promise(() => told)), Effect.andThen(ended)))
            else resume(run.openCallCount === 0 ? ended : Effect.andThen(open, ended))
          }
        })
        if (code.length * 3 > limits.sourceBytes && Buffer.byteLength(code) > limits.sourceBytes) {
          run.endAtLimit("sourceBytes")
          return
        }
        if (limits.wallTimeMs !== null) {
          const until = performance.now() + limits.wallTimeMs
          const wait = (): void => {
            const left = until - performance.now()
            if (left <= 0) run.endAtLimit("wallTimeMs")
            else wallTimer = setTimeout(wait, Math.min(left, maxTimerMs))
          }
          wait()
        }
        pool.submit(run)
        return Effect.suspend(() => {
          clearTimeout(wallTimer)
          run.abandon()
          const told = pool.release(run)
          return Fiber.interruptAll(run.openCalls).pipe(
            Effect.andThen(Effect.promise(async () => told)),
            Effect.andThen(Effect.sync(() => executeOptions.onStopped?.(run.logs)))
          )
        })
      })
    })

  return CodeExecutor.of({ execute, build })
})

/** The `CodeExecutor` as a layer. */
export const layer = (options: QuickJsExecutorOptions = {}): Layer.Layer<CodeExecutor> =>
  Layer.effect(CodeExecutor, make(options))

const endEffect = (end: RunEnd, run: Run): Effect.Effect<ExecuteResult, CodeExecutionError> => {
  switch (end._tag) {
    case "Done":
      return Effect.succeed(new Completed(end.json, run.logs))
    case "Failed":
      return Effect.succeed({ result: undefined, resultJson: undefined, error: end.failure, logs: run.logs })
    case "Broken":
      return Effect.fail(new CodeExecutionError({ message: end.message }))
  }
}

/** Large results are parsed only if somebody reads them. */
class Completed implements ExecuteResult {
  readonly resultJson: string | undefined
  readonly logs: ReadonlyArray<LogEntry>

  constructor(resultJson: string | undefined, logs: ReadonlyArray<LogEntry>) {
    this.resultJson = resultJson
    this.logs = logs
  }

  get result(): unknown {
    const result: unknown = this.resultJson === undefined ? undefined : readJson(this.resultJson)
    Object.defineProperty(this, "result", { value: result, enumerable: true })
    return result
  }
}
