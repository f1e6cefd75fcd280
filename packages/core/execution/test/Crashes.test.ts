/**
 * Executions over which processes are lost again and again: they are taken up so often and no more, and hold up no others.
 *
 * A crash is an engine whose leases have always run out. A real process is killed in the last test.
 */
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { type DBAdapter, type ExecutionId, MemoryAdapter, tool } from "@executor/sdk"
import { assert, describe, it, layer } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Children from "./chaos/children.ts"
import { makeEngine, openDatabase } from "./chaos/parts.ts"
import { makeTools, readEffects } from "./chaos/tools.ts"
import { add, engineOf, gone, nextTurn, quietly, until } from "./support/harness.ts"
import { refusing } from "./support/refusing.ts"

/** The calls that are told apart. */
const calls = [0, 1, 2, 3, 4]

/** A tool that may be called again, and whose calls end when they are let go. */
const makeHold = () => {
  const begun: Array<number> = []
  const gates = calls.map(() => Deferred.makeUnsafe<void>())
  const hold = tool({
    name: "hold",
    description: "Ends when it is let go.",
    annotations: { idempotent: true },
    input: Schema.Struct({ n: Schema.Number }),
    handler: ({ n }) => {
      begun.push(n)
      return Effect.as(Deferred.await(gates[n]!), n)
    }
  })
  return { begun, tools: [add, hold], letGo: (n: number) => Deferred.doneUnsafe(gates[n]!, Effect.void) }
}

const holding = (n: number) => `return await tools.t.hold({ n: ${n} })`

type Engine = Effect.Success<ReturnType<typeof engineOf>>

const crashesOf = ({ executor }: Engine, id: ExecutionId) =>
  Effect.map(executor.executions.readJournal(executor.scopes[0], id), ({ crashes }) => crashes)

/** Lets the time pass in the steps in which engines look after their executions. */
const pass = Effect.fnUntraced(function* (seconds: number) {
  for (let i = 0; i < seconds; i++) {
    yield* TestClock.adjust("1 second")
    yield* nextTurn
  }
})

/** An engine that can be lost: from then on it writes nothing. It hears of that before it is closed, so as not to wait for its calls. */
const mortalEngine = Effect.fnUntraced(function* (memory: DBAdapter["Service"]) {
  const { begun, tools } = makeHold()
  const store = refusing(memory, "hangs")
  const { engine } = yield* engineOf(tools, { adapter: store.adapter, recovery: "resume", ...gone })
  const lose = Effect.sync(() => (store.refuses = () => true))
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      Effect.sync(() => (store.refuses = undefined)),
      pass(5)
    )
  )
  return { begun, engine, lose }
})

/** An engine that keeps what it takes up. Its calls end before it is closed, as closing waits for them. */
const holderOf = Effect.fnUntraced(function* (adapter: DBAdapter["Service"]) {
  const hold = makeHold()
  const parts = yield* engineOf(hold.tools, { adapter, recovery: "resume" })
  yield* Effect.addFinalizer(() => Effect.sync(() => calls.forEach(hold.letGo)))
  return { ...hold, ...parts }
})

/** Begins executions and loses them. */
const loses = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], codes: { readonly [n: number]: string }) {
  const { begun, engine, lose } = yield* mortalEngine(adapter)
  for (const [n, code] of Object.entries(codes)) {
    yield* Effect.forkChild(engine.executeWithPause(code, { idempotencyKey: `key ${n}` }))
    yield* until(() => begun.includes(Number(n)))
    yield* TestClock.adjust(1)
  }
  yield* lose
})

/** Takes so many executions up and loses them. */
const losesAgain = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], count = 1) {
  const { begun, engine, lose } = yield* mortalEngine(adapter)
  const report = yield* Effect.forkChild(engine.recover)
  yield* until(() => begun.length === count)
  yield* Fiber.interrupt(report)
  yield* lose
})

/** Recovers, once it has begun what it is to begin. */
const recovers = Effect.fnUntraced(function* ({ engine }: Engine, hasBegun = () => true) {
  const report = yield* Effect.forkChild(engine.recover, { startImmediately: true })
  yield* until(hasBegun)
  while (report.pollUnsafe() === undefined) yield* pass(1)
  return yield* Fiber.join(report)
})

layer(QuickJsExecutor.layer())("an execution over which processes are lost", (it) => {
  it.effect("is taken up five times and no more; it says why, and goes on as a fork", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { begun, tools } = makeHold()
      yield* loses(adapter, { 1: `await tools.t.add({ a: 1, b: 2 }); ${holding(1)}` })
      const last = yield* engineOf(tools, { adapter, recovery: "resume" })
      const [row] = yield* last.history.rows
      const { id } = row!
      for (let times = 1; times <= 5; times++) {
        yield* losesAgain(adapter)
        assert.strictEqual(yield* crashesOf(last, id), times)
      }

      assert.deepStrictEqual(yield* last.engine.recover, { continued: 0, ended: 1, expired: 0 })
      const { errorText, status } = yield* last.history.row(id)
      assert.strictEqual(status, "failed")
      assert.match(errorText ?? "", /^RepeatedCrash: The process that ran it ended 5 times in a row shortly after/)
      assert.include(errorText, `executor fork ${id}`)
      const [added, held] = yield* last.history.calls(id)
      assert.deepStrictEqual([added?.status, held?.status], ["completed", "in_doubt"])
      assert.include(held?.errorText, "Whether the call took effect is not known.")

      const { outcome, report } = yield* last.engine.fork(id, "return await tools.t.add({ a: 1, b: 2 })")
      assert.deepInclude(outcome, { status: "completed", resultJson: "3" })
      assert.strictEqual(report.reused, 1)
      assert.deepStrictEqual(begun, [])
    }).pipe(quietly)
  )

  it.effect("is not counted where its process hands it over, however often", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { begun, letGo, tools } = makeHold()
      yield* loses(adapter, { 1: holding(1) })
      const codeExecutor = { ...(yield* CodeExecutor), execute: () => Effect.never }
      const options = { adapter, recovery: "resume" } as const
      for (let times = 1; times <= 7; times++) {
        const scope = yield* Scope.make()
        const holder = yield* Scope.provide(engineOf(tools, { ...options, codeExecutor }), scope)
        const report = yield* Effect.forkChild(holder.engine.recover)
        const rows = Effect.andThen(nextTurn, holder.history.rows)
        const [row] = yield* Effect.repeat(rows, { until: ([row]) => row?.epoch === times })
        assert.strictEqual(yield* crashesOf(holder, row!.id), times === 1 ? 1 : 0)
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.join(report)
        assert.strictEqual(yield* crashesOf(holder, row!.id), 0)
      }
      const last = yield* engineOf(tools, options)
      letGo(1)
      assert.deepStrictEqual(yield* last.engine.recover, { continued: 1, ended: 0, expired: 0 })
      const [row] = yield* last.history.rows
      assert.strictEqual(row?.status, "completed")
      assert.deepStrictEqual(begun, [1])
    }).pipe(quietly)
  )

  it.effect("is counted anew once its process has held it until leases are prolonged, and not before", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      yield* loses(adapter, { 1: holding(1) })
      const holder = yield* holderOf(adapter)
      const { begun } = holder
      const startedAt = yield* Clock.currentTimeMillis
      assert.deepInclude(yield* recovers(holder, () => begun.length === 1), { continued: 1 })
      const [row] = yield* holder.history.rows
      yield* pass(7)
      assert.isAbove((yield* holder.history.row(row!.id)).leaseUntil ?? 0, startedAt + 30_000)
      assert.strictEqual(yield* crashesOf(holder, row!.id), 1)
      const crashes = Effect.andThen(pass(1), crashesOf(holder, row!.id))
      yield* Effect.repeat(crashes, { until: (crashes) => crashes === 0 })
      assert.isAtMost((yield* Clock.currentTimeMillis) - startedAt, 12_000)
    }).pipe(quietly)
  )

  it.effect("is taken up while no other such is here, and others go on meanwhile", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      yield* loses(adapter, { 1: holding(1), 2: holding(2), 3: holding(3) })
      yield* losesAgain(adapter, 3)
      yield* losesAgain(adapter, 3)
      yield* loses(adapter, { 4: holding(4) })
      const holder = yield* holderOf(adapter)
      const { begun, letGo } = holder
      const recoversUntil = (...numbers: ReadonlyArray<number>) =>
        Effect.map(
          recovers(holder, () => begun.length >= numbers.length),
          ({ continued }) => {
            assert.deepStrictEqual(begun, numbers)
            return continued
          }
        )
      letGo(4)
      assert.strictEqual(yield* recoversUntil(4, 1), 2)
      assert.strictEqual(yield* recoversUntil(4, 1), 0)
      letGo(1)
      yield* Effect.repeat(Effect.andThen(nextTurn, holder.history.rows), {
        until: (rows) => rows.filter(({ status }) => status === "completed").length === 2
      })
      assert.strictEqual(yield* recoversUntil(4, 1, 2), 1)
      assert.strictEqual(yield* recoversUntil(4, 1, 2), 0)
      yield* pass(10)
      assert.strictEqual(yield* recoversUntil(4, 1, 2, 3), 1)
    }).pipe(quietly)
  )

  it.effect("waits for its turn also where its key is sent again, but not to be cancelled", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      yield* loses(adapter, { 1: holding(1), 2: holding(2), 3: holding(3) })
      yield* losesAgain(adapter, 3)
      yield* losesAgain(adapter, 3)
      const holder = yield* holderOf(adapter)
      const { begun, letGo } = holder
      yield* recovers(holder, () => begun.length === 1)
      const sent = yield* Effect.forkChild(holder.engine.execute(holding(2), { idempotencyKey: "key 2" }))
      yield* pass(2)
      const [third, second, first] = yield* holder.history.rows
      const { executions, scopes } = holder.executor
      yield* executions.requestCancel(scopes[0], third!.id, 1)
      assert.deepStrictEqual(yield* recovers(holder), { continued: 0, ended: 1, expired: 0 })
      assert.strictEqual((yield* holder.history.row(third!.id)).status, "cancelled")
      assert.deepStrictEqual([yield* crashesOf(holder, first!.id), yield* crashesOf(holder, second!.id)], [3, 2])
      letGo(1)
      letGo(2)
      while (sent.pollUnsafe() === undefined) yield* pass(1)
      assert.deepInclude(yield* Fiber.join(sent), { status: "completed", resultJson: "2" })
      assert.deepStrictEqual(begun, [1, 2])
    }).pipe(quietly)
  )
})

describe("an execution whose process is killed", () => {
  it.live("six times is not taken up again", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "executor-crashes-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const database = join(folder, "history.sqlite")
      const effects = join(folder, "effects")
      const children = yield* Children.make(2)
      const scope = "killed"
      const job = { database, scope, effects }
      const code = "return await tools.t.put({ n: 1 })"
      // In the call, and then right after each claim.
      const killed = [
        { ...job, code, killAt: 8 },
        ...Array.from({ length: 5 }, () => ({ ...job, code: undefined, killAt: 2 }))
      ]
      for (const each of killed) {
        assert.isUndefined(yield* Effect.promise(() => children.run(each)))
      }
      const adapter = yield* openDatabase(database)
      const sandbox = yield* QuickJsExecutor.make({ workers: 1 })
      const tools = makeTools(effects, () => {})
      const { engine, scopeId, store } = yield* makeEngine(scope, adapter, sandbox, tools, { recovery: "resume" })
      assert.deepStrictEqual(yield* engine.recover, { continued: 0, ended: 1, expired: 0 })
      const { executions } = yield* store.list(scopeId)
      const { errorText, status } = executions[0]!.execution
      assert.strictEqual(status, "failed")
      assert.match(errorText ?? "", /^RepeatedCrash: The process that ran it ended 5 times in a row/)
      assert.strictEqual(readEffects(effects).length, 1)
    })
  )
})
