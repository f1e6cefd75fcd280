/**
 * Programs that try to take the host down. Each must end with an error that names the limit (or with the right result), leave
 * another execution undisturbed, leave the pool working, and never keep the host's loop from turning.
 */
import { CodeExecutor, Limits, type ExecuteResult } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { leastLoopGap } from "@executor/sdk/testing"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { tools } from "./support.ts"

interface Hostile {
  readonly name: string
  readonly code: string
  /** The limits that may stop it, or the result it may have. */
  readonly ends:
    | ReadonlyArray<keyof typeof Limits.fields>
    | { readonly result: unknown }
    | { readonly error: string | RegExp }
}

const cpu = ["cpuTimeMs"] as const
const heap = ["heapBytes"] as const
const heapOrCpu = ["heapBytes", "cpuTimeMs"] as const
const deep = ["stackBytes", "heapBytes", "cpuTimeMs"] as const

const programs: ReadonlyArray<Hostile> = [
  { name: "an endless loop", code: "for (;;) {}", ends: cpu },
  { name: "an endless loop after an unawaited call", code: "tools.never(); for (;;) {}", ends: cpu },
  { name: "an endless loop after an await", code: "await tools.echo(1); while (true) {}", ends: cpu },
  {
    name: "an endless chain of microtasks",
    code: "const f = () => { Promise.resolve().then(f) }; f(); await new Promise(() => {})",
    ends: cpu
  },
  { name: "endless awaits", code: "for (;;) await null", ends: cpu },
  {
    name: "endless microtasks beside a result",
    code: "const f = () => queueMicrotask(f); f(); return 1",
    ends: { result: 1 }
  },
  { name: "an endless loop in catch", code: "try { throw 1 } catch { for (;;) {} }", ends: cpu },
  { name: "an endless loop in finally", code: "try { for (;;) {} } finally { for (;;) {} }", ends: cpu },
  { name: "an endless loop in a getter of the result", code: "return { get x() { for (;;) {} } }", ends: cpu },
  {
    name: "an endless loop in toString of an error",
    code: "throw { get message() { for (;;) {} }, stack: 'x' }",
    ends: cpu
  },
  { name: "an endless loop in a console argument", code: "console.log({ get x() { for (;;) {} } })", ends: cpu },
  { name: "regex backtracking", code: "return /^(a+)+$/.test('a'.repeat(40) + 'b')", ends: cpu },
  {
    name: "indexOf over enormous strings",
    code: "const s = 'a'.repeat(1 << 24), t = 'a'.repeat(1 << 23) + 'b'; for (;;) s.indexOf(t)",
    ends: heapOrCpu
  },
  {
    name: "split, reverse and join of a megabyte",
    code: "let s = 'ab'.repeat(1 << 19); for (;;) s = s.split('').reverse().join('')",
    ends: heapOrCpu
  },
  { name: "sort with an endless comparator", code: "[3, 2, 1].sort(() => { for (;;) {} })", ends: cpu },
  { name: "replaceAll that explodes", code: "let s = 'a'; for (;;) s = s.replaceAll('a', 'aa')", ends: heapOrCpu },
  { name: "arrays", code: "const a = []; for (;;) a.push(new Array(1000).fill(1))", ends: heap },
  { name: "one array", code: "const a = []; for (;;) a.push(1)", ends: heap },
  { name: "one huge array", code: "return new Array(1e9).fill(0).length", ends: heap },
  { name: "objects", code: "const a = []; for (;;) a.push({ a: { b: {} } })", ends: heap },
  { name: "strings", code: "const a = []; for (let i = 0; ; i++) a.push('x'.repeat(10000) + i)", ends: heap },
  { name: "a doubling string", code: "let s = 'x'; for (;;) s += s", ends: { error: /string too long|heapBytes/ } },
  { name: "array buffers", code: "const a = []; for (;;) a.push(new ArrayBuffer(1 << 20))", ends: heap },
  { name: "one huge array buffer", code: "return new ArrayBuffer(1 << 30).byteLength", ends: heap },
  { name: "a Map", code: "const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })", ends: heap },
  { name: "promises", code: "const a = []; for (;;) a.push(new Promise(() => {}))", ends: heap },
  {
    name: "closures over a resolved promise",
    code: "const p = Promise.resolve(); for (;;) p.then(() => 1)",
    ends: heap
  },
  {
    name: "memory, caught and tried again",
    code: "for (;;) { try { const a = []; for (;;) a.push(new Array(1e5).fill(1)) } catch {} }",
    ends: heapOrCpu
  },
  {
    name: "memory, caught once",
    code: "try { const a = []; for (;;) a.push(1) } catch { return 'caught' }",
    ends: heap
  },
  { name: "CPU time, caught", code: "try { for (;;) {} } catch { return 'caught' }", ends: cpu },
  { name: "recursion", code: "const f = () => f() + 1; return f()", ends: deep },
  { name: "recursion, caught and tried again", code: "const f = () => { try { f() } catch { f() } }; f()", ends: deep },
  {
    name: "mutual recursion through async functions",
    code: "const f = async () => { await f() }; await f()",
    ends: deep
  },
  {
    name: "recursion in toJSON",
    code: "const o = { toJSON() { return { o } } }; return o",
    ends: { error: /nested deeper|contains itself/ }
  },
  {
    name: "deep JSON to parse",
    code: "return JSON.parse('['.repeat(1e6))",
    ends: { error: /stackBytes|SyntaxError|heapBytes/ }
  },
  {
    name: "deep JSON to write",
    code: "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return JSON.stringify(a)",
    ends: { error: /stackBytes|heapBytes/ }
  },
  {
    name: "a deep result",
    code: "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a",
    ends: { error: /nested deeper/ }
  },
  { name: "a cyclic result", code: "const a = {}; a.b = { a }; return a", ends: { error: /contains itself/ } },
  {
    name: "nested proxies",
    code: "let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.x",
    ends: { error: /stackBytes|heapBytes/ }
  },
  {
    name: "a proxy that is endlessly deep",
    code: "const p = new Proxy({}, { get: (_, k) => k === 'toJSON' ? undefined : p, ownKeys: () => ['a'], getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }) }); return p",
    ends: { error: /contains itself|nested deeper/ }
  },
  {
    name: "a structured clone of a deep value",
    code: "let a = {}; for (let i = 0; i < 1e5; i++) a = { a }; return structuredClone(a)",
    ends: ["stackBytes"]
  },
  {
    name: "flat of a deep array",
    code: "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a.flat(Infinity)",
    ends: { error: /stackBytes|heapBytes/ }
  },
  {
    name: "a deep regex",
    code: "return new RegExp('('.repeat(1e5) + ')'.repeat(1e5))",
    ends: { error: /stackBytes|SyntaxError|heapBytes/ }
  },
  { name: "nested eval", code: "const f = (n) => eval('f(n + 1)'); return f(0)", ends: deep },
  {
    name: "deep source for eval",
    code: "return eval('('.repeat(1e5) + '1' + ')'.repeat(1e5))",
    ends: { error: /stackBytes|SyntaxError|heapBytes/ }
  },
  { name: "a flood of calls", code: "for (;;) tools.never()", ends: ["toolCalls"] },
  { name: "a flood of calls, awaited", code: "for (;;) await tools.echo()", ends: ["toolCalls", "cpuTimeMs"] },
  {
    name: "a flood of calls, caught",
    code: "for (;;) { try { await tools.echo() } catch {} }",
    ends: ["toolCalls", "cpuTimeMs"]
  },
  { name: "a flood of timers", code: "for (;;) setTimeout(() => {}, 1e6)", ends: ["toolCalls"] },
  { name: "a flood of logs", code: "for (;;) console.log('x'.repeat(1000))", ends: cpu },
  { name: "a flood of empty logs", code: "for (;;) console.log()", ends: cpu },
  { name: "a huge result", code: "return 'x'.repeat(11e6)", ends: ["resultBytes"] },
  {
    name: "a huge result that shares",
    code: "let a = [1]; for (let i = 0; i < 40; i++) a = [a, a]; return a",
    ends: ["resultBytes"]
  },
  { name: "a huge sparse result", code: "return new Array(4e9)", ends: ["resultBytes"] },
  { name: "huge arguments", code: "await tools.echo('x'.repeat(2e6))", ends: ["argumentsBytes"] },
  {
    name: "huge arguments, caught",
    code: "try { await tools.echo('x'.repeat(2e6)) } catch {} return 1",
    ends: ["argumentsBytes"]
  },
  {
    name: "large arguments in parallel",
    code: "const o = Object.fromEntries(Array.from({ length: 60000 }, (_, i) => ['k' + i, 0])); return (await Promise.all(Array.from({ length: 12 }, () => tools.echo(o)))).length",
    ends: { result: 12 }
  },
  { name: "a huge error message", code: "throw new Error('x'.repeat(2e7))", ends: { error: /\(cut\)/ } },
  {
    name: "a long path",
    code: "let t = tools; for (let i = 0; i < 1e5; i++) t = t.abcdefghij; return t()",
    ends: { error: /at most 1024/ }
  },
  {
    name: "an overwritten JSON",
    code: "globalThis.JSON = { stringify: () => 'evil', parse: () => 'evil' }; return await tools.echo({ a: 1 })",
    ends: { result: { a: 1 } }
  },
  {
    name: "JSON's methods overwritten",
    code: "JSON.stringify = () => 'evil'; JSON.parse = () => 'evil'; return await tools.echo({ a: 1 })",
    ends: { result: { a: 1 } }
  },
  {
    name: "an overwritten Promise",
    code: "globalThis.Promise = class {}; return await tools.echo(1)",
    ends: { result: 1 }
  },
  {
    name: "an overwritten then",
    code: "Promise.prototype.then = () => { throw 1 }; return await tools.echo(1)",
    ends: { result: 1 }
  },
  {
    name: "an overwritten promise constructor",
    code: "Object.defineProperty(Promise.prototype, 'constructor', { get() { for (;;) {} } }); return await tools.echo(1)",
    ends: cpu
  },
  {
    name: "an overwritten Array.prototype",
    code: "for (const k of Object.getOwnPropertyNames(Array.prototype)) if (k !== 'constructor' && k !== 'length') Array.prototype[k] = () => { throw new Error('evil') }; return await tools.echo({ a: { b: [] } })",
    ends: { result: { a: { b: [] } } }
  },
  {
    name: "a setter on Array.prototype",
    code: "Object.defineProperty(Array.prototype, 0, { set() { throw new Error('mine') } }); return await tools.echo({ a: [1] })",
    ends: { error: /mine/ }
  },
  {
    name: "an overwritten Object.prototype",
    code: "Object.prototype.toJSON = () => 'evil'; Object.prototype.get = () => 1; Object.prototype.value = 1; return await tools.echo(1)",
    ends: { result: 1 }
  },
  {
    name: "setters on Object.prototype",
    code: "Object.defineProperty(Object.prototype, 'a', { set() { throw new Error('evil') } }); return await tools.echo(JSON.parse('{\"a\":1}'))",
    ends: { result: { a: 1 } }
  },
  {
    name: "an overwritten Symbol.iterator",
    code: "Array.prototype[Symbol.iterator] = function* () { for (;;) yield 1 }; return await tools.echo(2)",
    ends: { result: 2 }
  },
  {
    name: "an overwritten Error",
    code: "globalThis.Error = class { constructor() { for (;;) {} } }; try { await tools.fail() } catch (e) { return e.message }",
    ends: { result: "There is no such thing" }
  },
  {
    name: "Error.prepareStackTrace",
    code: "Error.prepareStackTrace = () => { for (;;) {} }; return new Error('x').stack",
    ends: cpu
  },
  {
    name: "functions of the prelude, on the stack of a getter",
    code: "const seen = []; Error.prepareStackTrace = (_, sites) => { for (const s of sites) seen.push(typeof s.getFunction) }; await tools.echo({ get a() { new Error().stack } }); return [...new Set(seen)]",
    ends: { result: ["undefined"] }
  },
  {
    name: "a getter that throws in arguments",
    code: "try { await tools.echo({ get a() { throw new Error('mine') } }) } catch (e) { return e.message }",
    ends: { result: "mine" }
  },
  {
    name: "a getter that lies",
    code: "let n = 0; return { get a() { return n++ % 2 ? 10n : 1 } }",
    ends: { error: /BigInt|a/ }
  },
  { name: "a proxy in the result", code: "return new Proxy({ a: 1 }, { get: () => 2 })", ends: { result: { a: 2 } } },
  {
    name: "a thenable result",
    code: "return { then(resolve) { resolve({ then(r) { r(5) } }) } }",
    ends: { result: 5 }
  },
  { name: "a thenable that never settles", code: "return { then() {} }", ends: { error: "UnsettledPromise" } },
  { name: "endless thenables", code: "const t = { then(r) { r(t) } }; return t", ends: cpu },
  { name: "a promise that never settles", code: "await new Promise(() => {})", ends: { error: "UnsettledPromise" } },
  {
    name: "constructor.constructor",
    code: "return typeof tools.constructor('return process') + typeof (() => {}).constructor('return typeof process + typeof require')()",
    ends: { result: "objectstring" }
  },
  {
    name: "the global of Function",
    code: "return (() => {}).constructor('return typeof process + typeof fetch + typeof require + typeof WebAssembly + typeof std + typeof os')()",
    ends: { result: "undefinedundefinedundefinedundefinedundefinedundefined" }
  },
  { name: "replaced tools", code: "try { tools.x = 1 } catch (e) { return e.name }", ends: { result: "TypeError" } },
  { name: "closing the wrapper", code: "}); (async () => { return 5", ends: { error: "SyntaxError" } },
  {
    name: "an error that looks like a limit",
    code: "throw Object.assign(new Error('x'), { name: 'LimitExceeded', limit: 'heapBytes' })",
    ends: { error: "LimitExceeded" }
  }
]

/** Little CPU time where that is what ends it, so that the suite is quick; more than any machine needs where something else must. */
const cpuTimeMsOf = ({ ends }: Hostile): number => {
  if (ends === cpu) return 300
  return Array.isArray(ends) && ends.includes("cpuTimeMs") ? 10_000 : 300_000
}

const limitsOf = (program: Hostile): Limits =>
  Limits.with({ cpuTimeMs: cpuTimeMsOf(program), heapBytes: 48 * 1024 * 1024, toolCalls: 5_000 })

const check = (ends: Hostile["ends"], result: ExecuteResult): void => {
  if ("result" in ends) {
    expect(result.error).toBeUndefined()
    expect(result.result).toEqual(ends.result)
  } else if ("error" in ends) {
    if (result.error === undefined) expect.fail(`completed with ${result.resultJson?.slice(0, 100)}`)
    const { limit, message, name } = result.error
    expect(`${name} ${message} ${limit}`).toMatch(ends.error)
  } else {
    expect(result.error?.name).toBe("LimitExceeded")
    expect(ends).toContain(result.error?.limit)
    expect(result.error?.message).toContain(`\`${result.error?.limit}\``)
    expect(result.error?.message).toContain("raise the setting")
  }
}

/** A program that goes on all the while, on the same workers, and must not notice anything. */
const neighbour =
  "let n = 0; while (!(await tools.stopped())) { n++; await new Promise((r) => setTimeout(r, 5)) } return 'undisturbed'"

const maxGapMs = 20

describe("hostile programs", () => {
  it.layer(QuickJsExecutor.layer({ workers: 2 }), { excludeTestServices: true })((it) => {
    it.effect.each(programs)("$name", (program) =>
      Effect.gen(function* () {
        const { code, ends } = program
        const executor = yield* CodeExecutor
        const beside = (stopped: () => boolean) =>
          executor.execute(
            neighbour,
            { invoke: (call) => (call.path === "stopped" ? Effect.sync(stopped) : tools.invoke(call)) },
            { limits: Limits.with({ toolCalls: 1e6, cpuTimeMs: 300_000 }) }
          )
        const disturbing = Effect.gen(function* () {
          let stopped = false
          const other = yield* Effect.forkChild(beside(() => stopped))
          check(ends, yield* executor.execute(code, tools, { limits: limitsOf(program), seed: 1 }))
          stopped = true
          const { error, result } = yield* Fiber.join(other)
          expect(error).toBeUndefined()
          expect(result).toBe("undisturbed")
          const after = yield* executor.execute("return (await tools.echo(20)) + 22", tools)
          expect(after.result).toBe(42)
        })
        const gap = yield* leastLoopGap(disturbing)
        expect(gap).toBeLessThan(maxGapMs)
      })
    )
  })
})
