/**
 * Random programs of concurrent, data-dependent calls do the same again: they make the same calls in the same order and come to the
 * same result when they are given the same settlements, in whatever order the answers come in, and also when they are set aside and
 * started again on the way.
 */
import { CodeExecutor, type ExecuteResult, Settlement, type SandboxToolInvoker } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { layer } from "./support.ts"

/** Statements; each leaves a trace in `seen`, and `x` carries data from one to the next. */
const program: fc.Arbitrary<string> = fc.letrec<{ readonly block: string; readonly statement: string }>((tie) => ({
  block: fc.array(tie("statement"), { minLength: 1, maxLength: 4 }).map((statements) => statements.join("\n")),
  statement: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    fc.nat(9).map((n) => `x = (x * 7 + (await call(${n}, x))) % 1000; seen.push(x)`),
    fc.nat(9).map((n) => `void call(${n}, x).then((y) => seen.push("late", y))`),
    fc.nat(50).map((ms) => `await new Promise((r) => setTimeout(r, ${ms})); seen.push(Date.now())`),
    fc.nat(50).map((ms) => `setTimeout(() => { seen.push("timer"); void call(1, seen.length) }, ${ms})`),
    fc.constant("seen.push(Math.random()); await null"),
    fc
      .nat(9)
      .map(
        (n) => `try { await tools.fails({ n: ${n}, x }) ; seen.push("ok") } catch (e) { seen.push(e.message, e.data) }`
      ),
    fc
      .array(tie("block"), { minLength: 1, maxLength: 4 })
      .map((blocks) => `await Promise.all([${blocks.map(inner).join(", ")}])`),
    fc
      .array(tie("block"), { minLength: 1, maxLength: 4 })
      .map((blocks) => `seen.push(await Promise.race([${blocks.map(inner).join(", ")}]))`),
    fc
      .array(tie("block"), { minLength: 1, maxLength: 3 })
      .map((blocks) => `await Promise.allSettled([${blocks.map(inner).join(", ")}])`),
    fc.tuple(tie("block"), tie("block")).map(([a, b]) => `if (x % 2 === 0) { ${a} } else { ${b} }`),
    fc
      .tuple(fc.integer({ min: 1, max: 30 }), tie("block"))
      .map(([n, a]) => `for (let i = 0; i < ${n} && seen.length < 300; i++) { ${a} }`),
    fc.integer({ min: 60, max: 90 }).map((n) => `await Promise.all(Array.from({ length: ${n} }, (_, i) => call(i, x)))`)
  )
})).block

const inner = (block: string): string => `(async () => { let x = 3; ${block}; return x })()`

/** Half of the programs return a value; the others leave what they do to itself, and end. */
const wrapped = (block: string, seed: number): string => `
  const seen = []
  let x = 1
  const call = async (n, x) => tools["t" + n]({ x })
  const main = async () => { ${block}
    console.log(seen)
    return { seen, x } }
  ${seed % 2 === 0 ? "return await main()" : "main()"}`

interface Recorded {
  readonly call: string
  settlement?: Settlement
}

const describeCall = (path: string, argsJson: string | undefined): string => `${path} ${argsJson}`

/** A small generator of chance, so that a failing case can be run again. */
const chance = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

const tick = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Answers each call after a random while, and writes everything down. */
const recording = (seed: number) => {
  const random = chance(seed)
  const journal: Array<Recorded> = []
  let settleSeq = 0
  let at = 1_000
  const invoker: SandboxToolInvoker = {
    invoke: ({ argsJson, path, seq = -1 }) =>
      Effect.gen(function* () {
        expect(seq).toBe(journal.length)
        const entry: Recorded = { call: describeCall(path, argsJson) }
        journal.push(entry)
        const ticks = Math.floor(random() ** 3 * 8)
        for (let i = 0; i < ticks; i++) yield* tick
        at += Math.floor(random() * 10)
        const place = { at, settleSeq: settleSeq++ }
        const settlement =
          path === "fails" && random() < 0.5
            ? Settlement.failure({ error: { name: "No", message: `no ${seq}`, data: [seq] }, ...place })
            : Settlement.success({ json: JSON.stringify(Math.floor(random() * 100)), ...place })
        entry.settlement = settlement
        return settlement
      })
  }
  return { invoker, journal }
}

/** Answers from the journal, in an order of its own, some of them after `slowMs`. */
const replaying = (journal: ReadonlyArray<Recorded>, seed: number, slowMs = 0) => {
  const random = chance(seed)
  const calls: Array<string> = []
  const invoker: SandboxToolInvoker = {
    invoke: ({ argsJson, path, seq = -1 }) =>
      Effect.gen(function* () {
        expect(seq).toBe(calls.length)
        calls.push(describeCall(path, argsJson))
        const settlement = journal[seq]?.settlement
        if (settlement === undefined) return yield* Effect.never
        if (slowMs > 0 && random() < 0.2) yield* Effect.sleep(slowMs)
        const ticks = Math.floor(random() ** 2 * 10)
        for (let i = 0; i < ticks; i++) yield* tick
        return settlement
      })
  }
  return { invoker, calls }
}

const outcome = ({ error, logs, resultJson }: ExecuteResult) => ({ error, logs, resultJson })

describe("a program that is given the same settlements", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("makes the same calls and has the same outcome", () =>
      Effect.gen(function* () {
        const executor = yield* CodeExecutor
        const options = { seed: 42, startTime: 500 }
        let calls = 0
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(program, fc.integer({ min: 0, max: 2 ** 31 }), async (block, seed) => {
              const code = wrapped(block, seed)
              const first = recording(seed)
              const live = await Effect.runPromise(executor.execute(code, first.invoker, options))
              calls += first.journal.length
              for (const scramble of [seed + 1, seed + 2]) {
                const again = replaying(first.journal, scramble)
                const replayed = await Effect.runPromise(executor.execute(code, again.invoker, options))
                expect(again.calls).toEqual(first.journal.map(({ call }) => call))
                expect(outcome(replayed)).toEqual(outcome(live))
              }
            }),
            { numRuns: 150 }
          )
        )
        expect(calls).toBeGreaterThan(1000)
      })
    )

    it.effect("does so too where five share the place of one and are set aside in turn", () =>
      Effect.gen(function* () {
        const roomy = yield* CodeExecutor
        const cramped = yield* QuickJsExecutor.make({ workers: 1, maxWorkers: 1, slotsPerWorker: 1 })
        const options = { seed: 42, startTime: 500 }
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(program, fc.integer({ min: 0, max: 2 ** 31 }), async (block, seed) => {
              const code = wrapped(block, seed)
              const { invoker, journal } = recording(seed)
              const live = await Effect.runPromise(roomy.execute(code, invoker, options))
              if (journal.length > 100) return
              await Promise.all(
                [1, 2, 3, 4, 5].map(async (scramble) => {
                  const again = replaying(journal, seed + scramble, 25)
                  const replayed = await Effect.runPromise(cramped.execute(code, again.invoker, options))
                  expect(again.calls).toEqual(journal.map(({ call }) => call))
                  expect(outcome(replayed)).toEqual(outcome(live))
                })
              )
            }),
            { numRuns: 30 }
          )
        )
      })
    )
  })
})
