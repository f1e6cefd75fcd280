/**
 * Executions that wait and are set aside for others: nobody is kept out by them, and they notice nothing.
 */
import type { CodeExecutor, LogEntry, SandboxToolInvoker } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { limited, tools } from "./support.ts"

type Sandbox = CodeExecutor["Service"]

/** Room for one execution at a time. */
const cramped = { workers: 1, maxWorkers: 1, slotsPerWorker: 1 }

/** Tools that answer when they are told to, and count what they are asked. */
const patient = Effect.gen(function* () {
  const asked = yield* Deferred.make<void>()
  const answer = yield* Deferred.make<unknown>()
  const calls: Array<string> = []
  let interrupted = 0
  const invoker: SandboxToolInvoker = {
    invoke: (call) =>
      Effect.suspend(() => {
        calls.push(`${call.seq} ${call.path} ${call.argsJson}`)
        if (call.path !== "ask") return tools.invoke(call)
        return Deferred.succeed(asked, undefined).pipe(
          Effect.andThen(Deferred.await(answer)),
          Effect.onInterrupt(() => Effect.sync(() => interrupted++))
        )
      })
  }
  return { invoker, asked, answer, calls, interrupted: () => interrupted }
})

const one = (sandbox: Sandbox) => Effect.map(sandbox.execute("return 1 + 1", tools), ({ result }) => result)

describe("an execution that waits", () => {
  it.live("gives way to others, and goes on as if it had not", () =>
    Effect.gen(function* () {
      const sandbox = yield* QuickJsExecutor.make(cramped)
      const roomy = yield* QuickJsExecutor.make({ workers: 1 })
      const code = `
        const seen: unknown[] = [Date.now(), Math.random(), crypto.randomUUID()]
        console.log("first", Date.now())
        const echoes = [tools.echo({ n: 1 }), tools.later({ n: 2 }), tools.fail().catch((e) => e.message)]
        seen.push(...(await Promise.all(echoes)), Math.random())
        console.warn("asks")
        seen.push(await tools.ask("go on?"), Math.random(), await tools.echo("last"))
        console.log("second", Date.now() >= seen[0])
        return seen`
      const options = { seed: 7, startTime: 1_000 }
      const run = Effect.fnUntraced(function* (sandbox: Sandbox, others: number) {
        const { answer, asked, calls, invoker } = yield* patient
        const idle: Array<number> = []
        const running = yield* Effect.forkChild(
          sandbox.execute(code, invoker, { ...options, onIdle: (received) => void idle.push(received) })
        )
        yield* Deferred.await(asked)
        for (let i = 0; i < others; i++) expect(yield* one(sandbox)).toBe(2)
        yield* Deferred.succeed(answer, { yes: true })
        const { error, logs = [], result } = yield* Fiber.join(running)
        const lines = logs.map(({ level, message }) => [level, message])
        return { calls, error, idle, lines, result }
      })
      const undisturbed = yield* run(roomy, 0)
      expect(undisturbed.error).toBeUndefined()
      expect(undisturbed.lines).toEqual([
        ["log", "first 1000"],
        ["warn", "asks"],
        ["log", "second true"]
      ])
      const disturbed = yield* run(sandbox, 3)
      expect({ ...disturbed, idle: [] }).toEqual({ ...undisturbed, idle: [] })
      // It is told to be idle when it comes to rest, and not while it repeats what it did.
      expect(disturbed.idle.toSorted((a, b) => a - b)).toEqual(disturbed.idle)
      expect(disturbed.idle).toContain(3)
    })
  )

  it.live("is interrupted where it is, with its calls, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const sandbox = yield* QuickJsExecutor.make(cramped)
      const { answer, asked, calls, interrupted, invoker } = yield* patient
      const running = yield* Effect.forkChild(sandbox.execute("await tools.ask(); await tools.echo()", invoker))
      yield* Deferred.await(asked)
      expect(yield* one(sandbox)).toBe(2)
      yield* Fiber.interrupt(running)
      expect(interrupted()).toBe(1)
      yield* Deferred.succeed(answer, 1)
      expect(yield* one(sandbox)).toBe(2)
      expect(calls).toHaveLength(1)
    })
  )

  it.live("tells what it had logged when it is interrupted, in its place and set aside", () =>
    Effect.gen(function* () {
      const sandbox = yield* QuickJsExecutor.make(cramped)
      for (const others of [0, 1]) {
        const { asked, invoker } = yield* patient
        let logs: ReadonlyArray<LogEntry> = []
        const onStopped = (told: ReadonlyArray<LogEntry>) => void (logs = told)
        const code = `console.log("asks"); await tools.ask()`
        const running = yield* Effect.forkChild(sandbox.execute(code, invoker, { onStopped }))
        yield* Deferred.await(asked)
        for (let i = 0; i < others; i++) expect(yield* one(sandbox)).toBe(2)
        yield* Fiber.interrupt(running)
        expect(logs.map(({ message }) => message)).toEqual(["asks"])
      }
    })
  )

  it.live("ends with its pool", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const sandbox = yield* Scope.provide(QuickJsExecutor.make(cramped), scope)
      const { asked, invoker } = yield* patient
      const running = yield* Effect.forkChild(Effect.flip(sandbox.execute("await tools.ask()", invoker)))
      yield* Deferred.await(asked)
      expect(yield* one(sandbox)).toBe(2)
      yield* Scope.close(scope, Exit.void)
      expect((yield* Fiber.join(running)).message).toContain("closed")
    })
  )

  it.live("may receive a large outcome, and then stays where it is", () =>
    Effect.gen(function* () {
      const sandbox = yield* QuickJsExecutor.make({ ...cramped, maxWorkers: 2 })
      const { answer, asked, invoker } = yield* patient
      const running = yield* Effect.forkChild(
        sandbox.execute("const text = await tools.ask(); await tools.later(); return text.length", invoker)
      )
      yield* Deferred.await(asked)
      expect(yield* one(sandbox)).toBe(2)
      yield* Deferred.succeed(answer, "x".repeat(5 * 1024 * 1024))
      expect((yield* Fiber.join(running)).result).toBe(5 * 1024 * 1024)
    })
  )

  it.live("is charged for all it computes, and once for what it computes again", () =>
    Effect.gen(function* () {
      const sandbox = yield* QuickJsExecutor.make(cramped)
      const long = "for (let i = 0; i < 1e6; i++);"
      // What this takes on this machine, now: at most so much, and at least half of it.
      let cpuTimeMs = 5
      while ((yield* sandbox.execute(long, tools, limited({ cpuTimeMs }))).error !== undefined) cpuTimeMs *= 2
      const disturbed = (code: string) =>
        sandbox.execute(code, { invoke: () => one(sandbox) }, limited({ cpuTimeMs: 3 * cpuTimeMs }))
      const once = yield* disturbed(`${long} for (let n = 0; n < 6; n++) await tools.step(n); return "done"`)
      expect(once.error).toBeUndefined()
      const more = yield* disturbed(`for (let n = 0; n < 100; n++) { ${long} await tools.step(n) }`)
      expect(more.error?.limit).toBe("cpuTimeMs")
    })
  )

  it.live("makes other workers start if it cannot be set aside, and then new ones are refused", () =>
    Effect.gen(function* () {
      const sandbox = yield* QuickJsExecutor.make({ ...cramped, maxWorkers: 2, setAsideBytes: 0 })
      const waiting = yield* Effect.forEach([1, 2], (n) =>
        Effect.gen(function* () {
          const { answer, asked, invoker } = yield* patient
          const running = yield* Effect.forkChild(sandbox.execute(`return [${n}, await tools.ask()]`, invoker))
          yield* Deferred.await(asked)
          return { answer, running }
        })
      )
      const refused = yield* Effect.flip(sandbox.execute("return 1", tools))
      expect(refused.message).toContain("2 workers")
      expect(refused.message).toContain("`maxWorkers`")
      for (const { answer } of waiting) yield* Deferred.succeed(answer, "yes")
      expect(yield* Effect.forEach(waiting, ({ running }) => Effect.map(Fiber.join(running), (r) => r.result))).toEqual(
        [
          [1, "yes"],
          [2, "yes"]
        ]
      )
      expect(yield* one(sandbox)).toBe(2)
    })
  )
})
