/**
 * What whoever takes an execution over has to know of it: that it was cancelled, in which sandbox it went on, and who else has it.
 */
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, DBError, MemoryAdapter, type StaticTool, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { engineOf, gone, nextTurn, paused, quietly } from "./support/harness.ts"
import { refusing } from "./support/refusing.ts"

/** A tool that never ends, one that asks first, and what they did. */
const makeTools = () => {
  const done: Array<string> = []
  const begun = Deferred.makeUnsafe<void>()
  const tools: ReadonlyArray<StaticTool> = [
    tool({
      name: "hold",
      description: "Does not end.",
      annotations: { idempotent: true },
      handler: () => {
        done.push("hold")
        Deferred.doneUnsafe(begun, Effect.void)
        return Effect.never
      }
    }),
    tool({
      name: "guarded",
      description: "Asks.",
      requiresApproval: true,
      handler: () => {
        done.push("guarded")
        return "approved"
      }
    })
  ]
  return { begun, done, tools }
}

/** The tools, of which `hold` ends now. */
const ending = (tools: ReadonlyArray<StaticTool>) => {
  const hold = tool({
    name: "hold",
    description: "Ends.",
    annotations: { idempotent: true },
    handler: () => "held"
  })
  return tools.map((each) => (each.name === "hold" ? hold : each))
}

/** An execution that waits for a person, and that nobody has. */
const parked = (adapter: DBAdapter["Service"], tools: ReadonlyArray<StaticTool>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { engine } = yield* engineOf(tools, { adapter })
      return paused(yield* engine.executeWithPause("return await tools.t.guarded()"))
    })
  )

layer(QuickJsExecutor.layer())("an execution that is taken over", (it) => {
  it.effect("is cancelled where its process was asked to and was lost before", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { begun, done, tools } = makeTools()
      const a = yield* engineOf(tools, { adapter, ...gone })
      yield* Effect.forkChild(a.engine.executeWithPause("return await tools.t.hold()"))
      yield* Deferred.await(begun)
      const [running] = yield* a.history.rows
      const waiting = yield* parked(adapter, tools)
      if (running === undefined) return assert.fail("it is not recorded")
      const { executions, scopes } = a.executor
      for (const { id } of [running, waiting]) yield* executions.requestCancel(scopes[0], id, 1)

      const b = yield* engineOf(tools, { adapter, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { continued: 0, ended: 1, expired: 0 })
      const refused = yield* Effect.flip(b.engine.resume(waiting.id, { action: "accept" }))
      assert.strictEqual(refused._tag, "ExecutionNotPaused")
      for (const { id } of [running, waiting]) {
        const { errorText, status } = yield* b.history.row(id)
        assert.deepStrictEqual([status, errorText], ["cancelled", "Cancelled: It was cancelled on request."])
      }
      assert.deepStrictEqual(done, ["hold"])
    }).pipe(quietly)
  )

  it.effect("is cancelled where whoever cancelled it was lost before its end was written", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const { id } = yield* parked(memory, tools)
      const failing = DBAdapter.of({
        ...memory,
        write: (operations) =>
          operations.some((operation) => operation.op === "update" && operation.set["status"] === "cancelled")
            ? Effect.fail(new DBError({ message: "the disk is full", reason: "full" }))
            : memory.write(operations)
      })
      const b = yield* engineOf(tools, { adapter: failing, ...gone })
      assert.strictEqual((yield* Effect.flip(b.engine.cancel(id)))._tag, "DBError")
      assert.strictEqual((yield* b.history.row(id)).status, "running")
      const c = yield* engineOf(tools, { adapter: memory, recovery: "resume" })
      assert.deepStrictEqual(yield* c.engine.recover, { continued: 0, ended: 1, expired: 0 })
      assert.deepStrictEqual([(yield* c.history.row(id)).status, done], ["cancelled", []])
    }).pipe(quietly)
  )

  it.effect("is not taken over at all where its engine closes while it is cancelled", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const scope = yield* Scope.make()
      const a = yield* Scope.provide(engineOf([], { adapter, recovery: "resume" }), scope)
      const started = Deferred.makeUnsafe<void>()
      const onStart = () => Deferred.doneUnsafe(started, Effect.void)
      yield* Effect.forkChild(a.engine.executeWithPause("for (;;) {}", { onStart }))
      yield* Deferred.await(started)
      const rows = Effect.andThen(nextTurn, a.history.rows)
      const [row] = yield* Effect.repeat(rows, { until: ([row]) => row?.status === "running" })
      if (row === undefined) return assert.fail("it is not recorded")
      const cancel = yield* Effect.forkChild(a.engine.cancel(row.id), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(cancel)
      assert.strictEqual((yield* a.history.row(row.id)).status, "cancelled")
    })
  )

  it.effect("is let go of by the engine that had it, also where that can write nothing", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      const store = refusing(memory, "hangs")
      const { begun, tools } = makeTools()
      const a = yield* engineOf(tools, { adapter: store.adapter })
      yield* Effect.addFinalizer(() => Effect.sync(() => (store.refuses = undefined)))
      const running = yield* Effect.forkChild(Effect.flip(a.engine.execute("return await tools.t.hold()")))
      yield* Deferred.await(begun)
      store.refuses = () => true
      yield* TestClock.adjust("31 seconds")
      const b = yield* engineOf(ending(tools), { adapter: memory, recovery: "resume" })
      const recovered = yield* Effect.forkChild(b.engine.recover, { startImmediately: true })
      while (running.pollUnsafe() === undefined) {
        yield* TestClock.adjust("1 second")
        yield* nextTurn
      }
      assert.deepInclude(yield* Fiber.join(running), { _tag: "ExecutionInterrupted", reason: "lease_lost" })
      assert.deepInclude(yield* Fiber.join(recovered), { continued: 1 })
    }).pipe(quietly)
  )

  it.effect("is taken once by an engine where several wait for it", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { begun, tools } = makeTools()
      const code = "return await tools.t.hold()"
      const a = yield* engineOf(tools, { adapter, leaseMs: 500 })
      const submit = (engine: typeof a.engine) => engine.executeWithPause(code, { idempotencyKey: "key" })
      yield* Effect.forkChild(submit(a.engine))
      yield* Deferred.await(begun)
      // Its own leases run out at once as well, as those of a process that stood still.
      const b = yield* engineOf(tools, { adapter, ...gone })
      yield* Effect.forkChild(submit(b.engine))
      yield* Effect.forkChild(submit(b.engine))
      for (let waitedMs = 0; waitedMs < 1_500; waitedMs += 100) {
        yield* TestClock.adjust(100)
        yield* nextTurn
      }
      const [row] = yield* b.history.rows
      assert.strictEqual(row?.epoch, 1)
    })
  )

  it.effect("in another build of the sandbox goes on in that one, should it be lost again", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { begun, tools } = makeTools()
      const a = yield* engineOf(tools, { adapter })
      const code = "await tools.t.guarded(); return await tools.t.hold()"
      const { id } = paused(yield* a.engine.executeWithPause(code))
      const codeExecutor = { ...(yield* CodeExecutor), build: "another" }
      const b = yield* engineOf(tools, { adapter, codeExecutor, ...gone })
      yield* Effect.forkChild(b.engine.resume(id, { action: "accept", anyBuild: true }))
      yield* Deferred.await(begun)

      const c = yield* engineOf(ending(tools), { adapter, codeExecutor, recovery: "resume" })
      assert.deepStrictEqual(yield* c.engine.recover, { continued: 1, ended: 0, expired: 0 })
      assert.strictEqual((yield* c.history.row(id)).resultJson, `"held"`)
    })
  )

  it.effect("takes an answer that comes to the process which had it", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const a = yield* engineOf(tools, { adapter, ...gone })
      // A timer keeps it in its process.
      const code = "setTimeout(() => {}, 3_600_000); return await tools.t.guarded()"
      const { id } = paused(yield* a.engine.executeWithPause(code))
      const b = yield* engineOf(tools, { adapter, recovery: "resume" })
      const recovered = yield* Effect.forkChild(b.engine.recover)
      const look = Effect.andThen(nextTurn, b.history.rows)
      yield* Effect.repeat(look, { until: ([row]) => row?.epoch === 1 && row.status === "waiting_for_interaction" })
      const answer = yield* Effect.forkChild(a.engine.resume(id, { action: "accept" }))
      while (answer.pollUnsafe() === undefined) {
        yield* TestClock.adjust(100)
        yield* nextTurn
      }
      assert.deepInclude(yield* Fiber.join(answer), { status: "completed", resultJson: `"approved"` })
      yield* Fiber.join(recovered)
      assert.deepStrictEqual(done, ["guarded"])
    })
  )
})
