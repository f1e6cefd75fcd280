import { CodeExecutor, Settlement, sleepPath, type ToolInvocation } from "@executor/kernel"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { createRequire } from "node:module"
import { error, layer, run, tools, value } from "./support.ts"

/** Notes the calls it gets. */
const recorder = () => {
  const calls: Array<ToolInvocation> = []
  return {
    calls,
    invoke: (call: ToolInvocation) => Effect.sync(() => (calls.push(call), { path: call.path, args: call.args }))
  }
}

describe("an execution", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("calls tools by any path, numbered from 0", () =>
      Effect.gen(function* () {
        const invoker = recorder()
        yield* value(
          "await tools.github.issues.create({ title: 'a' }); await tools['a-b']['c d'](1); await tools.search({ query: 'x' });" +
            "await tools.describe.tool({ path: 'x' }); await tools.executor.sources.list(); const t = tools.x; return typeof t.then",
          { invoker }
        )
        expect(invoker.calls.map(({ argsJson, path, seq }) => [seq, path, argsJson])).toEqual([
          [0, "github.issues.create", '{"title":"a"}'],
          [1, "a-b.c d", "1"],
          [2, "search", '{"query":"x"}'],
          [3, "describe.tool", '{"path":"x"}'],
          [4, "executor.sources.list", undefined]
        ])
      })
    )

    it.effect("does not call a tool that is only looked at", () =>
      Effect.gen(function* () {
        const invoker = recorder()
        const code =
          "const t = await tools.a.b; JSON.stringify({ t: tools.x }); String(tools.y); `${tools.z}`; console.log(tools.w); return 1"
        expect(yield* value(code, { invoker })).toBe(1)
        expect(invoker.calls).toEqual([])
      })
    )

    it.effect("takes one input for a call", () =>
      Effect.gen(function* () {
        expect((yield* error("await tools.a(1, 2)")).message).toContain("takes one input")
      })
    )

    it.effect("runs TypeScript, and JavaScript", () =>
      Effect.gen(function* () {
        expect(
          yield* value("interface A { a: number }\nconst f = <T,>(x: T): T => x\nreturn f<A>({ a: 1 }).a as number")
        ).toBe(1)
        expect(yield* value("return 1 // a comment at the end")).toBe(1)
        expect(yield* value("#!/usr/bin/env executor\nconst a: number = 1\nreturn a")).toBe(1)
      })
    )

    it.effect("places errors in the submitted source", () =>
      Effect.gen(function* () {
        expect(yield* error("throw new Error('x')")).toMatchObject({ message: "x", line: 1, column: 11 })
        expect(yield* error("const é: string = '😀'; throw new Error('x')")).toMatchObject({ line: 1, column: 35 })
        expect(yield* error("const a: number = 1\n\n    null.foo")).toMatchObject({
          name: "TypeError",
          line: 3,
          column: 5
        })
        expect(yield* error("const a = 1\nconst b = ;")).toMatchObject({ name: "SyntaxError", line: 2, column: 11 })
        expect(yield* error("return 1 +")).toMatchObject({ name: "SyntaxError", line: 1 })
        const nested = yield* error(
          "const inner = () => { throw new RangeError('deep') }\nconst outer = () => inner()\nouter()"
        )
        expect(nested.stack).toBe(
          "    at inner (program.ts:1:33)\n    at outer (program.ts:2:21)\n    at program.ts:3:1"
        )
        expect(JSON.stringify(nested)).not.toMatch(/prelude|node_modules/)
        expect(JSON.stringify(nested)).not.toContain(process.cwd())
      })
    )

    it.effect("says what was thrown when it is not an error", () =>
      Effect.gen(function* () {
        expect((yield* error("throw { code: 5 }")).message).toContain("{ code: 5 }")
        expect((yield* error("throw 'text'")).message).toContain('"text"')
        expect((yield* error("throw undefined")).message).toContain("undefined")
      })
    )

    it.effect("captures the console", () =>
      Effect.gen(function* () {
        const { logs } = yield* run(
          "console.log('a', 1, { b: [new Map([['k', new Set([1])]])] }); console.warn(new Error('w')); console.error(null);" +
            "console.info(undefined, () => 1, 5n, Symbol('s')); console.debug(new Date(0), /x/g); const c = {}; c.c = c; console.log(c)",
          { startTime: 5 }
        )
        expect(logs?.map(({ level, message }) => [level, message])).toEqual([
          ["log", 'a 1 { b: [Map(1) { "k" => Set(1) { 1 } }] }'],
          ["warn", expect.stringMatching(/^Error: w\n {4}at program\.ts:1:\d+$/)],
          ["error", "null"],
          ["info", "undefined [Function] 5n Symbol(s)"],
          ["debug", "1970-01-01T00:00:00.000Z /x/g"],
          ["log", "{ c: [Circular] }"]
        ])
        expect(logs?.every(({ at }) => at === 5)).toBe(true)
      })
    )

    it.effect("has useful globals, and none that reach outside", () =>
      Effect.gen(function* () {
        const code = `
          const u = new URL("https://a.test/p?x=1")
          u.searchParams.append("y", "2 3")
          const { x } = Object.fromEntries(u.searchParams)
          return {
            href: u.href, x,
            text: new TextDecoder().decode(new TextEncoder().encode("é😀")),
            clone: structuredClone({ a: new Date(0) }).a.getTime(),
            b64: atob(btoa("hi")),
            uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()),
            zone: new Date(0).getTimezoneOffset(),
            outside: ["process", "require", "fetch", "WebAssembly", "XMLHttpRequest", "Worker", "Deno", "Bun", "std", "os", "WeakRef", "FinalizationRegistry", "SharedArrayBuffer"].filter((n) => n in globalThis)
          }`
        expect(yield* value(code)).toEqual({
          href: "https://a.test/p?x=1&y=2+3",
          x: "1",
          text: "é😀",
          clone: 0,
          b64: "hi",
          uuid: true,
          zone: 0,
          outside: []
        })
        expect((yield* error("await import('fs')")).message).toContain("import is not available")
      })
    )

    it.effect("waits as the host grants it", () =>
      Effect.gen(function* () {
        const invoker = recorder()
        const code = `
          const seen = []
          const id = setTimeout(() => seen.push("cleared"), 10)
          clearTimeout(id)
          setTimeout((a, b) => seen.push(a + b), 20.9, "x", "y")
          await new Promise((resolve) => setTimeout(resolve))
          return seen`
        expect(yield* value(code, { invoker })).toEqual(["xy"])
        expect(invoker.calls.map(({ args, path }) => [path, args])).toEqual([
          [sleepPath, { ms: 10 }],
          [sleepPath, { ms: 20 }],
          [sleepPath, { ms: 0 }]
        ])
        expect((yield* error("setTimeout(() => { throw new Error('late') }); await tools.never()")).message).toBe(
          "late"
        )
      })
    )

    it.effect("keeps nothing from one execution to the next", () =>
      Effect.gen(function* () {
        const leave =
          "globalThis.left = 1; Object.prototype.left = 2; Array.prototype.map = 3; Math.random = () => 4; console.log = 5; " +
          "setTimeout(() => { globalThis.left = 6 }, 0); tools.never(); let a = []; for (let i = 0; i < 1e5; i++) a.push({ i }); "
        const look =
          "return [typeof left, ({}).left === undefined, typeof [].map, Math.random() < 1, typeof console.log]"
        const clean = ["undefined", true, "function", true, "function"]
        for (const end of [
          "return 1",
          "throw new Error('x')",
          "tools.left = 1",
          "for (;;) a.push(a.slice())",
          "const f = () => f(); f()"
        ]) {
          yield* Effect.all(
            Array.from({ length: 4 }, () => run(leave + end)),
            { concurrency: 4 }
          )
          const seen = yield* Effect.all(
            Array.from({ length: 8 }, () => value(look)),
            { concurrency: 8 }
          )
          expect(seen).toEqual(Array.from({ length: 8 }, () => clean))
        }
      })
    )

    it.effect("meets the same chance for the same seed, in a fresh and in a used sandbox", () =>
      Effect.gen(function* () {
        const code =
          "return [Math.random(), crypto.randomUUID(), Date.now(), new Date().getTime(), performance.now(), [...crypto.getRandomValues(new Uint8Array(4))]]"
        const first = yield* value(code, { seed: 7, startTime: 1000 })
        const others = yield* Effect.all(
          Array.from({ length: 20 }, () => value(code, { seed: 7, startTime: 1000 })),
          { concurrency: 20 }
        )
        for (const other of others) expect(other).toEqual(first)
        expect(first).toMatchObject({ 2: 1000, 3: 1000, 4: 0 })
        expect(yield* value(code, { seed: 8, startTime: 1000 })).not.toEqual(first)
      })
    )

    it.effect("reads the time of the last settlement", () =>
      Effect.gen(function* () {
        const invoker = {
          invoke: ({ seq }: ToolInvocation) =>
            Effect.succeed(Settlement.success({ json: "1", at: 2000 + (seq ?? 0), settleSeq: seq ?? 0 }))
        }
        const code =
          "const a = Date.now(); for (let i = 0; i < 1e5; i++); const b = Date.now(); await tools.x(); const c = Date.now(); await tools.x(); return [a, b, c, Date.now()]"
        expect(yield* value(code, { invoker, startTime: 1000 })).toEqual([1000, 1000, 2000, 2001])
      })
    )

    it.effect("delivers numbered settlements in their order, one at a time", () =>
      Effect.gen(function* () {
        const order = [2, 0, 3, 1]
        const gates = yield* Effect.all(order.map(() => Deferred.make<void>()))
        const started = yield* Deferred.make<void>()
        const invoker = {
          invoke: ({ seq = 0 }: ToolInvocation) =>
            Effect.gen(function* () {
              if (seq === 3) yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(gates[seq]!)
              return Settlement.success({ json: String(seq), at: 1000 + seq, settleSeq: order.indexOf(seq) })
            })
        }
        const program =
          "const seen = []; await Promise.all([0, 1, 2, 3].map(async (i) => { seen.push(await tools.x(i)); await null; await null; seen.push('after ' + i) })); return seen"
        const fiber = yield* Effect.forkChild(value(program, { invoker }))
        yield* Deferred.await(started)
        for (const seq of [0, 1, 2, 3]) yield* Deferred.succeed(gates[seq]!, undefined)
        expect(yield* Fiber.join(fiber)).toEqual([2, "after 2", 0, "after 0", 3, "after 3", 1, "after 1"])
      })
    )

    it.effect("has at most 64 calls under way; more wait, in order", () =>
      Effect.gen(function* () {
        let open = 0
        let most = 0
        const order: Array<number | undefined> = []
        const invoker = {
          invoke: ({ seq }: ToolInvocation) =>
            Effect.gen(function* () {
              order.push(seq)
              most = Math.max(most, ++open)
              yield* Effect.yieldNow
              open--
              return seq
            })
        }
        const result = yield* value("return await Promise.all(Array.from({ length: 1000 }, (_, i) => tools.x(i)))", {
          invoker
        })
        expect(result).toEqual(Array.from({ length: 1000 }, (_, i) => i))
        expect(order).toEqual(Array.from({ length: 1000 }, (_, i) => i))
        expect(most).toBe(64)
      })
    )

    it.effect("ends while calls are open, and interrupts them", () =>
      Effect.gen(function* () {
        let interrupted = 0
        const invoker = { invoke: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++)) }
        expect(yield* value("for (let i = 0; i < 100; i++) tools.x(); return 1", { invoker })).toBe(1)
        expect(interrupted).toBe(64)
      })
    )

    it.effect("says at once that a promise can never settle", () =>
      Effect.gen(function* () {
        const never = yield* error("await tools.echo(1); await new Promise(() => {})")
        expect(never.name).toBe("UnsettledPromise")
        expect(never.message).toContain("never settle")
      })
    )

    it.effect("stops when it is interrupted: its calls, its code, and its slot is free", () =>
      Effect.gen(function* () {
        for (const code of [
          "const p = tools.x(); tools.go(); await p",
          "tools.x(); await tools.go(); for (;;) {}",
          "tools.x(); await tools.go(); let s = 'ab'.repeat(1 << 19); for (;;) s = s.split('').reverse().join('')"
        ]) {
          const called = yield* Deferred.make<void>()
          let interrupted = false
          const invoker = {
            invoke: ({ path }: ToolInvocation) =>
              path === "go"
                ? Deferred.succeed(called, undefined)
                : Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
          }
          const fiber = yield* Effect.forkChild(run(code, { invoker }))
          yield* Deferred.await(called)
          const exit = yield* Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber))
          expect(Exit.hasInterrupts(exit)).toBe(true)
          expect(interrupted).toBe(true)
          const after = yield* Effect.all(
            Array.from({ length: 16 }, () => value("return (await tools.echo(1)) + 1")),
            { concurrency: 16 }
          )
          expect(after).toEqual(Array.from({ length: 16 }, () => 2))
        }
      })
    )

    it.effect("leaves room while many wait", () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<number>()
        const invoker = { invoke: () => Deferred.await(gate) }
        const waiting = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 40 }, () => value("return await tools.person()", { invoker })),
            { concurrency: "unbounded" }
          )
        )
        expect(yield* value("return await tools.echo(1)", { invoker: tools })).toBe(1)
        yield* Deferred.succeed(gate, 5)
        expect(yield* Fiber.join(waiting)).toEqual(Array.from({ length: 40 }, () => 5))
      })
    )

    it.effect("names its build after the versions that are installed", () =>
      Effect.gen(function* () {
        const { build } = yield* CodeExecutor
        const require = createRequire(import.meta.url)
        const { version } = require("quickjs-wasi/package.json") as { version: string }
        const amaro = createRequire(createRequire(import.meta.url).resolve("@executor/kernel/source"))
        expect(build).toContain(`quickjs-wasi-${version}`)
        expect(build).toMatch(/amaro-\d+\.\d+\.\d+ prelude-[0-9a-f]{12}$/)
        expect(amaro.resolve("amaro")).toContain("amaro")
      })
    )
  })
})
