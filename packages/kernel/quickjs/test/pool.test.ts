/** The pool as its users meet it: what a process costs, how it ends, and where its files may be. */
import { CodeExecutor, Limits } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { execFile } from "node:child_process"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { once } from "node:events"
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { Worker } from "node:worker_threads"
import { rolldown } from "rolldown"
import { tools, value } from "./support.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

/** Runs a program of the host in a process of its own, on the sources. */
const host = (body: string) =>
  Effect.callback<{ readonly code: number | string | null; readonly stdout: string; readonly stderr: string }>(
    (resume) => {
      const source = `
      import { QuickJsExecutor } from "@executor/runtime-quickjs"
      import { Effect, Exit, Scope } from "effect"
      const scope = Scope.makeUnsafe()
      const executor = await Effect.runPromise(Scope.provide(QuickJsExecutor.make({ workers: 1 }), scope))
      const tools = { invoke: ({ path }) => path === "later" ? Effect.delay(Effect.succeed(1), 100) : Effect.never }
      ${body}`
      const child = execFile(
        process.execPath,
        ["--conditions=@executor/source", "--input-type=module", "--eval", source],
        { cwd: root, timeout: 300_000 },
        (error, stdout, stderr) =>
          resume(Effect.succeed({ code: error === null ? 0 : (error.code ?? null), stdout, stderr }))
      )
      return Effect.sync(() => void child.kill())
    }
  )

describe("the pool", () => {
  it.live("does not keep an idle process alive", () =>
    Effect.gen(function* () {
      const unused = yield* host("console.log('made')")
      expect(unused).toMatchObject({ code: 0, stdout: "made\n" })
      const idle = yield* host("console.log((await Effect.runPromise(executor.execute('return 1', tools))).resultJson)")
      expect(idle).toMatchObject({ code: 0, stdout: "1\n", stderr: "" })
    })
  )

  it.live("keeps a process alive while a program runs", () =>
    Effect.gen(function* () {
      const running = yield* host(
        "Effect.runFork(Effect.map(executor.execute('for (let i = 0; i < 3e6; i++); return await tools.later()', tools), (r) => console.log(r.resultJson)))"
      )
      expect(running).toMatchObject({ code: 0, stdout: "1\n" })
    })
  )

  it.live("fails what runs when it is closed, and what comes after", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const executor = yield* Scope.provide(QuickJsExecutor.make({ workers: 1 }), scope)
      const running = yield* Effect.forkChild(Effect.flip(executor.execute("await tools.never()", tools)))
      yield* executor.execute("return 1", tools)
      yield* Scope.close(scope, Exit.void)
      expect((yield* Fiber.join(running)).message).toContain("closed")
      expect((yield* Effect.flip(executor.execute("return 1", tools))).message).toContain("closed")
    })
  )

  it.live("ends workers that are idle, and starts others when they are needed", () =>
    Effect.gen(function* () {
      const ended: Array<Promise<unknown>> = []
      const onWorker = (message: unknown) => {
        const { worker } = message as { readonly worker: Worker }
        ended.push(once(worker, "exit"))
      }
      subscribe("worker_threads", onWorker)
      yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("worker_threads", onWorker)))
      const executor = yield* QuickJsExecutor.make({ workers: 1, prewarm: 1, idleWorkerMs: 1 })
      const allEnded = Effect.promise(() => Promise.all(ended))
      // One that was started ahead and never used ends too.
      yield* allEnded
      expect((yield* executor.execute("return 1", tools)).result).toBe(1)
      expect(ended).toHaveLength(2)
      yield* allEnded
      // One whose executions all wait for long is not needed either, until one of them goes on.
      const answer = yield* Deferred.make<number>()
      const waiting = yield* Effect.forkChild(
        executor.execute(
          "return [await tools.ask(), Math.random()]",
          { invoke: () => Deferred.await(answer) },
          { seed: 1 }
        ),
        { startImmediately: true }
      )
      expect(ended).toHaveLength(3)
      yield* allEnded
      yield* Deferred.succeed(answer, 7)
      expect((yield* Fiber.join(waiting)).result).toEqual([7, expect.any(Number)])
      expect(ended).toHaveLength(4)
    })
  )

  it.live("says so when no worker can be started", () =>
    Effect.gen(function* () {
      const missing = new URL("./not-there/", import.meta.url)
      const executor = yield* QuickJsExecutor.make({ assetsUrl: missing })
      const error = yield* Effect.flip(executor.execute("return 1", tools))
      expect(error._tag).toBe("CodeExecutionError")
      expect(error.message).toContain("No sandbox worker could be started")
      const again = yield* Effect.flip(executor.execute("return 1", tools))
      expect(again.message).toContain("No sandbox worker could be started")
    })
  )

  it.live("moves programs away from one that computes, and they notice nothing", () =>
    Effect.gen(function* () {
      // One worker, so that all share it with the one that computes.
      const executor = yield* QuickJsExecutor.make({ workers: 1, maxWorkers: 3 })
      const made: Array<string> = []
      const patient = (name: string) =>
        Effect.gen(function* () {
          const { result } = yield* executor.execute(
            "const seen = []; for (let i = 0; i < 20; i++) { seen.push(await tools.step(i), Math.random()); await new Promise((r) => setTimeout(r, 20)) } console.log('done'); return seen",
            {
              invoke: (call) => {
                if (call.path !== "step") return tools.invoke(call)
                made.push(`${name} ${call.seq}`)
                return Effect.succeed(call.args)
              }
            },
            { seed: 1 }
          )
          return result
        })
      const alone = yield* patient("alone")
      const limits = Limits.with({ cpuTimeMs: 800 })
      for (const hog of ["for (;;) {}", "let s = 'ab'.repeat(1 << 19); for (;;) s = s.split('').reverse().join('')"]) {
        made.length = 0
        const others = yield* Effect.forkChild(
          Effect.all([patient("a"), patient("b"), patient("c")], { concurrency: "unbounded" })
        )
        yield* Effect.sleep(60)
        const { error } = yield* executor.execute(hog, tools, { limits })
        expect(error?.name).toBe("LimitExceeded")
        expect(yield* Fiber.join(others)).toEqual([alone, alone, alone])
        // No call was made twice.
        expect(made).toHaveLength(60)
        expect(new Set(made).size).toBe(60)
      }
    })
  )

  it.live("saves a program from any number of threads that others have brought down", () =>
    Effect.gen(function* () {
      const executor = yield* QuickJsExecutor.make({ workers: 1, maxWorkers: 1 })
      const limits = Limits.with({ cpuTimeMs: 100 })
      const rounds = 8
      const gates = yield* Effect.all(Array.from({ length: rounds }, () => Deferred.make<void>()))
      const patient = yield* Effect.forkChild(
        executor.execute(`for (let i = 0; i < ${rounds}; i++) await tools.next(i); return "saved"`, {
          invoke: ({ args }) => Deferred.await(gates[Number(args)]!)
        })
      )
      // One operation that takes minutes, so only the end of its thread stops it. The other has something to do at that time.
      const stubborn = "await tools.next(); 'a'.repeat(1 << 24).indexOf('a'.repeat(1 << 23) + 'b')"
      for (const gate of gates) {
        const { error } = yield* executor.execute(
          stubborn,
          { invoke: () => Deferred.succeed(gate, undefined) },
          { limits }
        )
        expect(error?.limit).toBe("cpuTimeMs")
      }
      expect((yield* Fiber.join(patient)).result).toBe("saved")
    })
  )

  it.live("runs from one bundled file, with its worker and its WebAssembly elsewhere", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "runtime-quickjs-"))),
      (folder) =>
        Effect.gen(function* () {
          yield* Effect.promise(async () => {
            const bundle = await rolldown({
              input: { worker: join(root, "src/worker.ts") },
              platform: "node",
              resolve: { conditionNames: ["@executor/source", "node", "import", "default"] },
              logLevel: "silent"
            })
            await bundle.write({ dir: folder, format: "esm", entryFileNames: "[name].mjs", minify: true })
            await bundle.close()
          })
          for (const url of QuickJsExecutor.assetUrls()) copyFileSync(url, join(folder, basename(url.pathname)))
          writeFileSync(join(folder, "package.json"), "{}")
          const layer = QuickJsExecutor.layer({
            workers: 1,
            workerUrl: pathToFileURL(join(folder, "worker.mjs")),
            assetsUrl: pathToFileURL(folder)
          })
          const code =
            "const x: number = await tools.echo(20)\nconsole.log(new URL('http://a.test').host)\nreturn x + 22"
          expect(yield* Effect.provide(value(code), layer)).toBe(42)
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
  )

  it.live("starts workers ahead when asked to", () =>
    Effect.gen(function* () {
      const layer = QuickJsExecutor.layer({ workers: 2, prewarm: 2 })
      expect(
        yield* Effect.provide(Effect.all([value("return 1"), value("return 2")], { concurrency: 2 }), layer)
      ).toEqual([1, 2])
      expect(
        yield* Effect.provide(
          Effect.map(CodeExecutor, ({ build }) => build),
          layer
        )
      ).toContain("quickjs-wasi")
    })
  )
})
