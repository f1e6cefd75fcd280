/**
 * The sandbox of this process. Its first worker starts in a thread of its own while the rest of the command still loads, so it is
 * asked for as early as possible. It lives as long as the process: idle workers keep nothing alive.
 */
import type { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { Effect, Scope } from "effect"

let started: CodeExecutor["Service"] | undefined

/** Starts the sandbox, once. The bundle has its worker and its WebAssembly beside it. */
export const sandbox = (): CodeExecutor["Service"] =>
  (started ??= QuickJsExecutor.make({
    prewarm: 1,
    workerUrl: new URL("../worker.js", import.meta.url),
    assetsUrl: new URL("../assets/", import.meta.url)
  }).pipe(Scope.provide(Scope.makeUnsafe()), Effect.runSync))
