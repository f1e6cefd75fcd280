/**
 * Journals that are run again, and those that are not: only what is seen to be complete is, and only in the build that wrote it.
 */
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, ExecutionId, MemoryAdapter, type StaticTool, tool, type WriteOperation } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { holding, makeBusy } from "./support/busy.ts"
import { engineOf, gone, nextTurn, quietly, until } from "./support/harness.ts"
import { refusing } from "./support/refusing.ts"

/** `write` must not be called twice; `put` may be, and ends only the second time. */
const makeTools = () => {
  const done: Array<string> = []
  const write = tool({
    name: "write",
    description: "Writes.",
    input: Schema.Struct({ n: Schema.Number }),
    handler: ({ n }) => {
      done.push(`write ${n}`)
      return n
    }
  })
  const put = tool({
    name: "put",
    description: "Puts.",
    annotations: { idempotent: true },
    handler: () => {
      done.push("put")
      return done.filter((each) => each === "put").length === 1 ? Effect.never : "put"
    }
  })
  const tools: ReadonlyArray<StaticTool> = [write, put]
  return { done, tools }
}

const code = "await tools.t.write({ n: 1 }); await tools.t.write({ n: 2 }); return await tools.t.put()"

type Engine = Effect.Success<ReturnType<typeof engineOf>>

/** Runs it in an engine that is lost while `put` is under way. */
const loseIn = Effect.fnUntraced(function* ({ engine, history }: Engine, done: ReadonlyArray<string>) {
  yield* Effect.forkChild(engine.executeWithPause(code, { idempotencyKey: "key" }), { startImmediately: true })
  yield* until(() => done.includes("put"))
  const [row] = yield* history.rows
  return row === undefined ? assert.fail("it is not recorded") : row.id
})

/** Waits for the end of an execution. */
const ended = ({ history }: Engine, id: ExecutionId) =>
  Effect.repeat(Effect.andThen(nextTurn, history.row(id)), { until: ({ completedAt }) => completedAt !== null })

const nothing = { continued: 0, ended: 0, expired: 0 }

layer(QuickJsExecutor.layer())("an execution whose process is lost", (it) => {
  it.effect("goes on where its journal is complete", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const id = yield* loseIn(yield* engineOf(tools, { adapter, ...gone }), done)
      const b = yield* engineOf(tools, { adapter, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { ...nothing, continued: 1 })
      assert.strictEqual((yield* ended(b, id)).resultJson, `"put"`)
      assert.deepStrictEqual(done, ["write 1", "write 2", "put", "put"])
    }).pipe(quietly)
  )

  for (const seq of [0, 1]) {
    it.effect(`ends as failed where call ${seq} is missing in its journal, which is named`, () =>
      Effect.gen(function* () {
        const adapter = MemoryAdapter.make()
        const { done, tools } = makeTools()
        const id = yield* loseIn(yield* engineOf(tools, { adapter, ...gone }), done)
        const where = { op: "eq", column: "id", value: `${id}:${seq}` } as const
        assert.deepStrictEqual(yield* adapter.write([{ op: "delete", table: "execution_tool_call", where }]), [1])
        const b = yield* engineOf(tools, { adapter, recovery: "resume" })
        assert.deepStrictEqual(yield* b.engine.recover, { ...nothing, ended: 1 })
        const { errorText, status } = yield* b.history.row(id)
        assert.strictEqual(status, "failed")
        assert.match(errorText ?? "", new RegExp(`^NotResumable: .*its call ${seq} is not recorded`))
        assert.deepStrictEqual(done, ["write 1", "write 2", "put"])
      }).pipe(quietly)
    )
  }

  it.effect("goes on where it is a fork that has not noted yet what it takes", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const all = (...numbers: ReadonlyArray<number>) =>
        `return await Promise.all([${numbers.join()}].map((n) => tools.t.write({ n })))`
      const first = yield* engineOf(tools, { adapter: memory })
      const { executionId } = yield* first.engine.execute(all(1, 2))
      const hangsNoMore = Deferred.makeUnsafe<void>()
      const notesFirst = (operation: WriteOperation) =>
        operation.op === "insert" && JSON.stringify(operation).includes(`{\\"n\\":1}`)
      const adapter = DBAdapter.of({
        ...memory,
        write: (operations) =>
          operations.some(notesFirst)
            ? Effect.andThen(Deferred.await(hangsNoMore), memory.write(operations))
            : memory.write(operations)
      })
      const a = yield* engineOf(tools, { adapter, ...gone })
      yield* Effect.forkChild(a.engine.fork(executionId, all(1, 2, 5)), { startImmediately: true })
      yield* until(() => done.includes("write 5"))
      const [fork] = yield* a.history.rows
      const calls = Effect.andThen(nextTurn, a.history.calls(fork!.id))
      const [call, more] = yield* Effect.repeat(calls, { until: ([call]) => call?.status === "completed" })
      assert.deepStrictEqual([call?.seq, more], [2, undefined])
      const b = yield* engineOf(tools, { adapter: memory, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { ...nothing, continued: 1 })
      assert.strictEqual((yield* ended(b, fork!.id)).resultJson, "[1,2,5]")
      assert.deepStrictEqual(done, ["write 1", "write 2", "write 5"])
      yield* Deferred.succeed(hangsNoMore, undefined)
    }).pipe(quietly)
  )

  it.effect("before a call was recorded ends as failed: nobody knows whether one was made", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const codeExecutor = { ...(yield* CodeExecutor), execute: () => Effect.never }
      const a = yield* engineOf(tools, { adapter, codeExecutor, ...gone })
      yield* Effect.forkChild(a.engine.executeWithPause(code), { startImmediately: true })
      const look = Effect.andThen(nextTurn, a.history.rows)
      const [row] = yield* Effect.repeat(look, { until: (rows) => rows.length === 1 })
      const b = yield* engineOf(tools, { adapter, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { ...nothing, ended: 1 })
      const { errorText, status } = yield* b.history.row(row!.id)
      assert.strictEqual(status, "failed")
      assert.match(errorText ?? "", /^NotResumable: .*lost before a call was recorded/)
      assert.deepStrictEqual(done, [])
    }).pipe(quietly)
  )

  it.effect("goes on without a call as well where its process has given it up", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const codeExecutor = { ...(yield* CodeExecutor), execute: () => Effect.never }
      const scope = yield* Scope.make()
      const options = { adapter, codeExecutor, recovery: "resume" } as const
      const a = yield* Scope.provide(engineOf(tools, options), scope)
      yield* Effect.forkChild(a.engine.executeWithPause("return await tools.t.write({ n: 1 })"))
      const look = Effect.andThen(nextTurn, a.history.rows)
      const [row] = yield* Effect.repeat(look, { until: (rows) => rows.length === 1 })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* a.history.row(row!.id)).owner, null)
      const b = yield* engineOf(tools, { adapter, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { ...nothing, continued: 1 })
      assert.deepInclude(yield* ended(b, row!.id), { status: "completed", resultJson: "1" })
      assert.deepStrictEqual(done, ["write 1"])
    })
  )
})

layer(QuickJsExecutor.layer())("an execution of another build of the sandbox", (it) => {
  it.effect("is left as it is for a process with that build", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const codeExecutor = { ...(yield* CodeExecutor), build: "other" }
      const id = yield* loseIn(yield* engineOf(tools, { adapter, codeExecutor, ...gone }), done)
      const b = yield* engineOf(tools, { adapter, recovery: "resume" })
      const before = yield* b.history.row(id)
      assert.deepStrictEqual(yield* b.engine.recover, nothing)
      assert.deepStrictEqual(yield* b.history.row(id), before)
      assert.strictEqual(before.status, "running")

      const c = yield* engineOf(tools, { adapter, codeExecutor, recovery: "resume" })
      assert.deepStrictEqual(yield* c.engine.recover, { ...nothing, continued: 1 })
      assert.strictEqual((yield* ended(c, id)).resultJson, `"put"`)
      assert.deepStrictEqual(done, ["write 1", "write 2", "put", "put"])
    }).pipe(quietly)
  )

  it.effect("keeps none of this build from going on, however many there are", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const a = yield* engineOf(tools, { adapter, ...gone })
      const { executions, scopes } = a.executor
      for (let n = 0; n < 300; n++) {
        yield* executions.create({
          id: ExecutionId.make(`other-${n}`),
          scopeId: scopes[0],
          status: "running",
          code,
          createdAt: 0,
          startedAt: 0,
          seed: n,
          owner: "lost",
          leaseUntil: 0,
          sandboxBuild: "other"
        })
      }
      yield* TestClock.adjust("1 second")
      const id = yield* loseIn(a, done)
      const b = yield* engineOf(tools, { adapter, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { ...nothing, continued: 1 })
      assert.strictEqual((yield* ended(b, id)).resultJson, `"put"`)
    }).pipe(quietly)
  )

  it.effect("is ended by an engine that continues none", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { done, tools } = makeTools()
      const codeExecutor = { ...(yield* CodeExecutor), build: "other" }
      const id = yield* loseIn(yield* engineOf(tools, { adapter, codeExecutor, ...gone }), done)
      const b = yield* engineOf(tools, { adapter, recovery: "end" })
      assert.deepStrictEqual(yield* b.engine.recover, { ...nothing, ended: 1 })
      assert.strictEqual((yield* b.history.row(id)).status, "failed")
    }).pipe(quietly)
  )

  for (const how of ["execute", "executeWithPause"] as const) {
    it.effect(`does not keep the sender of its key waiting: ${how}`, () =>
      Effect.gen(function* () {
        const adapter = MemoryAdapter.make()
        const { done, tools } = makeTools()
        const codeExecutor = { ...(yield* CodeExecutor), build: "other" }
        const id = yield* loseIn(yield* engineOf(tools, { adapter, codeExecutor, ...gone }), done)
        const b = yield* engineOf(tools, { adapter, recovery: "resume" })
        const told = yield* Effect.flip(b.engine[how](code, { idempotencyKey: "key" }))
        if (told._tag !== "ExecutionInterrupted") return assert.fail(told._tag)
        assert.strictEqual(told.executionId, id)
        assert.include(told.message, "another build of the sandbox (other)")
        assert.strictEqual((yield* b.history.row(id)).status, "running")
        assert.deepStrictEqual(done, ["write 1", "write 2", "put"])
      }).pipe(quietly)
    )
  }
})

layer(QuickJsExecutor.layer())("a journal with a gap", (it) => {
  it.effect("is marked as soon as the store takes it, while the execution goes on", () =>
    Effect.gen(function* () {
      const store = refusing(MemoryAdapter.make())
      const { held, letGo, tools } = makeBusy()
      const breaks = tool({
        name: "breaks",
        description: "From now on nothing is written.",
        handler: () => {
          store.refuses = () => true
        }
      })
      const { engine, history } = yield* engineOf([...tools, breaks], { adapter: store.adapter })
      const running = yield* Effect.forkChild(engine.execute(`await tools.t.breaks(); ${holding(1)}`))
      yield* until(() => held.has(1))
      yield* TestClock.adjust("1 minute")
      const [row] = yield* history.rows
      assert.isTrue(row?.journalComplete)
      store.refuses = undefined
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* history.row(row!.id), { status: "running", journalComplete: false })
      letGo(1)
      assert.strictEqual((yield* Fiber.join(running)).status, "completed")
      assert.isFalse((yield* history.row(row!.id)).journalComplete)
    }).pipe(quietly)
  )
})
