/**
 * Forks: what they take from the journal of another execution, and that they make none of its calls again, wherever they are lost.
 */
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import {
  DBAdapter,
  type ExecutionId,
  type ExecutionStatus,
  MemoryAdapter,
  type StaticTool,
  tool,
  type WriteOperation
} from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { engineOf, gone, nextTurn, paused, quietly } from "./support/harness.ts"

/** Tools that note their calls: `write` fails on 13 and never ends on 0, and takes longer for even numbers. */
const makeTools = () => {
  const done: Array<number> = []
  const broken = new Set([13])
  const handler = ({ n }: { readonly n: number }) =>
    Effect.gen(function* () {
      done.push(n)
      if (broken.has(n)) return yield* Effect.fail(new Error(`${n} is broken`))
      if (n === 0) return yield* Effect.never
      for (let turn = 0; turn < (n % 2 === 0 ? 20 : 1); turn++) yield* Effect.yieldNow
      return { wrote: n }
    })
  const input = Schema.Struct({ n: Schema.Number })
  const tools: ReadonlyArray<StaticTool> = [
    tool({ name: "write", description: "Writes.", input, handler }),
    tool({ name: "keyed", description: "Writes.", annotations: { acceptsIdempotencyKey: true }, input, handler }),
    tool({
      name: "asking",
      description: "Writes, and asks then.",
      input,
      handler: ({ n }, { elicit }) => {
        done.push(n)
        return Effect.asVoid(elicit({ kind: "url", message: "Look.", url: "https://example.com" }))
      }
    })
  ]
  return { broken, done, tools }
}

/** A history that takes so many writes, and then hangs: while no time passes, whoever has it is lost between two steps. */
const hangingAfter = (memory: DBAdapter["Service"], writes: number) => {
  let left = writes
  const hangs = Deferred.makeUnsafe<void>()
  const hangsNoMore = Deferred.makeUnsafe<void>()
  const hang = Effect.fnUntraced(function* (operations: ReadonlyArray<WriteOperation>) {
    yield* Deferred.succeed(hangs, undefined)
    yield* Deferred.await(hangsNoMore)
    return yield* memory.write(operations)
  })
  const adapter = DBAdapter.of({
    ...memory,
    write: (operations) => Effect.suspend(() => (left-- > 0 ? memory.write(operations) : hang(operations)))
  })
  return { adapter, hangs, hangsNoMore }
}

type Engine = Effect.Success<ReturnType<typeof engineOf>>

/** The newest execution, once it is in one of these states. */
const newest = ({ history }: Engine, ...states: ReadonlyArray<ExecutionStatus>) =>
  Effect.gen(function* () {
    for (;;) {
      const [row] = yield* history.rows
      if (row !== undefined && states.includes(row.status)) return row
      yield* nextTurn
    }
  })

const failing = `
  const both = await Promise.all([1, 2, 3].map((n) => tools.t.write({ n })))
  const order = []
  await Promise.all([4, 5].map((n) => tools.t.write({ n }).then(() => order.push(n))))
  await tools.t.write({ n: 13 })
  return order`

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("a fork", (it) => {
  it.effect("takes what matches in its old order, and makes the rest", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine, history } = yield* engineOf(tools)
      const { executionId } = yield* engine.execute(failing)
      assert.deepStrictEqual(done.splice(0), [1, 2, 3, 4, 5, 13])
      const fixed = failing.replace("n: 13", "n: 14")
      const divergence = {
        recorded: { seq: 5, path: "t.write", argsJson: `{"n":13}` },
        made: { seq: 5, path: "t.write", argsJson: `{"n":14}` }
      }
      const broken = yield* Effect.flip(engine.previewFork(executionId, "return {"))
      assert.deepStrictEqual([broken._tag, "field" in broken && broken.field], ["ExecutionRefused", "code"])
      const preview = yield* engine.previewFork(executionId, fixed)
      assert.deepStrictEqual(preview, { reused: 5, recorded: 6, divergence })
      assert.deepStrictEqual(done, [])

      const { outcome, report } = yield* engine.fork(executionId, fixed)
      assert.deepStrictEqual(report, { reused: 5, recorded: 6, divergence })
      if (outcome.status === "paused") return assert.fail("it asks nothing")
      assert.deepStrictEqual([outcome.resultJson, done], ["[5,4]", [14]])
      const row = yield* history.row(outcome.executionId)
      assert.strictEqual(row.parentExecutionId, executionId)
      assert.deepStrictEqual(
        (yield* history.calls(outcome.executionId)).map(({ resultJson, status }) => [status, resultJson]),
        [1, 2, 3, 4, 5, 14].map((n) => ["completed", `{"wrote":${n}}`])
      )
      assert.isTrue((yield* engine.replay(outcome.executionId)).same)

      const again = yield* engine.fork(executionId, failing)
      assert.deepStrictEqual([again.report.reused, done], [5, [14, 13]])
    })
  )

  it.effect("takes an outcome that the old code had not waited for, after all others", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine, history } = yield* engineOf(tools)
      const { executionId } = yield* engine.execute("tools.t.write({ n: 1 }); await tools.t.write({ n: 3 }); return 1")
      const [call] = yield* history.calls(executionId)
      const loose = yield* engine.execute("tools.t.write({ n: 2 }); return 1")
      const [untold] = yield* history.calls(loose.executionId)
      assert.deepStrictEqual([call?.status, untold?.status, untold?.settleSeq], ["completed", "completed", null])
      done.length = 0
      const waits = yield* engine.fork(loose.executionId, "return await tools.t.write({ n: 2 })")
      assert.deepStrictEqual([waits.report.reused, waits.outcome.status, done], [1, "completed", []])
    })
  )

  it.effect("records what it takes whole where the new code does not wait for it", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine, history } = yield* engineOf(tools)
      const { executionId } = yield* engine.execute("return await tools.t.write({ n: 1 })")
      const { outcome } = yield* engine.fork(executionId, "tools.t.write({ n: 1 }); return 2")
      if (outcome.status === "paused") return assert.fail("it asks nothing")
      const row = yield* history.row(outcome.executionId)
      assert.deepStrictEqual([row.resultJson, row.journalComplete, done], ["2", true, [1]])
      assert.deepStrictEqual(
        (yield* history.calls(row.id)).map(({ resultJson, status }) => [status, resultJson]),
        [["completed", `{"wrote":1}`]]
      )
      assert.isTrue((yield* engine.replay(row.id)).same)
    })
  )

  it.effect("makes the failure anew that the script ended with, and takes the calls beside it", () =>
    Effect.gen(function* () {
      const { broken, done, tools } = makeTools()
      const { engine } = yield* engineOf(tools)
      const code = "return await Promise.all([13, 1, 2].map((n) => tools.t.write({ n })))"
      const { executionId } = yield* engine.execute(code)
      assert.deepStrictEqual(done.splice(0), [13, 1, 2])
      const preview = yield* engine.previewFork(executionId, code)
      assert.strictEqual(preview.divergence?.recorded?.seq, 0)
      broken.clear()
      const { outcome, report } = yield* engine.fork(executionId, code)
      assert.deepStrictEqual([preview, report.reused, done], [report, 2, [13]])
      assert.deepInclude(outcome, { resultJson: `[{"wrote":13},{"wrote":1},{"wrote":2}]` })
    })
  )

  it.effect("with one key is one fork, whose report all get; on another journal the key is refused", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine } = yield* engineOf(tools)
      const { executionId } = yield* engine.execute(failing)
      const other = yield* engine.execute(failing)
      done.length = 0
      const fixed = failing.replace("n: 13", "n: 14")
      const forks = yield* Effect.all(
        Array.from({ length: 10 }, () => engine.fork(executionId, fixed, { idempotencyKey: "fix" })),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(done, [14])
      for (const { outcome, report } of forks) {
        assert.deepStrictEqual([outcome.status, report], ["completed", forks[0]?.report])
        assert.strictEqual(report.reused, 5)
      }
      const conflict = yield* Effect.flip(engine.fork(other.executionId, fixed, { idempotencyKey: "fix" }))
      assert.strictEqual(conflict._tag, "IdempotencyConflict")
      const plain = yield* Effect.flip(engine.execute(fixed, { idempotencyKey: "fix" }))
      assert.strictEqual(plain._tag, "IdempotencyConflict")
      assert.deepStrictEqual(done, [14])
    })
  )

  it.effect("of a fork goes on with the journal of its origin where that ended early", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine, history } = yield* engineOf(tools)
      const code = (then: string) => `await tools.t.write({ n: 1 }); ${then}; await tools.t.write({ n: 13 })`
      const { executionId } = yield* engine.execute(code("await tools.t.write({ n: 3 })"))
      assert.deepStrictEqual(done.splice(0), [1, 3, 13])
      const broken = yield* engine.fork(executionId, code("nothing()"))
      if (broken.outcome.status === "paused") return assert.fail("it asks nothing")
      assert.deepStrictEqual([broken.outcome.status, broken.report.reused, done], ["failed", 1, []])
      const broken2 = yield* engine.fork(broken.outcome.executionId, code("nothing()"))
      if (broken2.outcome.status === "paused") return assert.fail("it asks nothing")
      const again = yield* engine.fork(broken2.outcome.executionId, code("await tools.t.write({ n: 3 })"))
      assert.deepStrictEqual([again.report.reused, again.report.recorded, done], [2, 3, [13]])
      if (again.outcome.status === "paused") return assert.fail("it asks nothing")
      assert.strictEqual((yield* history.calls(again.outcome.executionId)).length, 3)
      // One that took another way does not.
      const other = yield* engine.fork(executionId, "await tools.t.write({ n: 5 })")
      if (other.outcome.status === "paused") return assert.fail("it asks nothing")
      const ofOther = yield* engine.fork(
        other.outcome.executionId,
        "for (const n of [5, 3]) await tools.t.write({ n })"
      )
      assert.deepStrictEqual([ofOther.report.recorded, done], [1, [13, 5, 3]])
    })
  )

  it.effect("of forks takes what the first of them did, however far each of them came", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine } = yield* engineOf(tools)
      const upTo = (n: number, then: string) => `for (let n = 1; n <= ${n}; n++) await tools.t.write({ n }); ${then}`
      let { executionId } = yield* engine.execute(upTo(4, "await tools.t.write({ n: 13 })"))
      assert.deepStrictEqual(done.splice(0), [1, 2, 3, 4, 13])
      for (const n of [1, 2, 1, 3]) {
        const { outcome } = yield* engine.fork(executionId, upTo(n, "nothing()"))
        if (outcome.status === "paused") return assert.fail("it asks nothing")
        ;({ executionId } = outcome)
      }
      const { outcome, report } = yield* engine.fork(executionId, upTo(4, "return 'done'"))
      assert.deepInclude(outcome, { resultJson: `"done"` })
      assert.deepStrictEqual([report.reused, report.recorded, done], [4, 5, []])
    })
  )

  it.effect("of a fork takes a failure that the first code handled, where the second did not come further", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine } = yield* engineOf(tools)
      const code = (then: string) => `await tools.t.write({ n: 13 }).catch(() => undefined); ${then}`
      const { executionId } = yield* engine.execute(code("await tools.t.write({ n: 1 }); throw new Error('no')"))
      assert.deepStrictEqual(done.splice(0), [13, 1])
      const { outcome } = yield* engine.fork(executionId, code("nothing()"))
      if (outcome.status === "paused") return assert.fail("it asks nothing")
      const { report } = yield* engine.fork(outcome.executionId, code("return await tools.t.write({ n: 1 })"))
      assert.deepStrictEqual([report.reused, done], [2, []])
    })
  )

  it.effect("takes a failure that was handled, whatever words the script ended with", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine } = yield* engineOf(tools)
      const code = `
        const caught = await tools.t.write({ n: 13 }).catch((error) => error)
        await tools.t.write({ n: 1 })
        throw new Error("it said: " + caught.message)`
      const { executionId } = yield* engine.execute(code)
      done.length = 0
      assert.deepStrictEqual([(yield* engine.fork(executionId, code)).report.reused, done], [2, []])
    })
  )

  it.effect("that waits keeps its origin from being swept", () =>
    Effect.gen(function* () {
      const { tools } = makeTools()
      const guarded = tool({ name: "guarded", description: "Asks.", requiresApproval: true, handler: () => "approved" })
      const { engine, executor } = yield* engineOf([...tools, guarded])
      const { executionId } = yield* engine.execute("await tools.t.write({ n: 1 }); await tools.t.write({ n: 13 })")
      const fork = yield* engine.fork(executionId, "await tools.t.write({ n: 1 }); return await tools.t.guarded()")
      const { id } = paused(fork.outcome)
      const sweep = executor.executions.sweep(executor.scopes[0], { keepNewest: 0 })
      assert.deepStrictEqual(yield* sweep, { removed: 0 })
      assert.deepInclude(yield* engine.resume(id, { action: "accept" }), { resultJson: `"approved"` })
      // The origin goes after what came from it.
      assert.deepStrictEqual(
        [yield* sweep, yield* sweep, yield* sweep],
        [{ removed: 1 }, { removed: 1 }, { removed: 0 }]
      )
    })
  )

  it.effect("of a fork wants the origin's journal, as it would make its writes again", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const { engine, executor } = yield* engineOf(tools)
      const writes = "await tools.t.write({ n: 1 }); await tools.t.write({ n: 2 });"
      const { executionId } = yield* engine.execute(`${writes} await tools.t.write({ n: 13 })`)
      const early = yield* engine.fork(executionId, "await tools.t.write({ n: 1 }); throw new Error('too early')")
      if (early.outcome.status === "paused") return assert.fail("it asks nothing")
      done.length = 0
      const [scope] = executor.scopes
      // It is older than what came from it, and stays nevertheless.
      assert.deepStrictEqual(yield* executor.executions.sweep(scope, { keepNewest: 1 }), { removed: 0 })
      const { report } = yield* engine.fork(early.outcome.executionId, writes)
      assert.deepStrictEqual([report.reused, done], [2, []])
    })
  )

  it.effect("tells what it takes in its old order also where the store is slow to note a call", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const memory = MemoryAdapter.make()
      const slow = DBAdapter.of({
        ...memory,
        write: (operations) =>
          operations.some(({ op, table }) => op === "insert" && table === "execution_tool_call")
            ? Effect.andThen(Effect.sleep(20), memory.write(operations))
            : memory.write(operations)
      })
      const code = (more: string) => `
        const order = []
        const note = (n) => tools.t.write({ n }).then(() => order.push(n))
        await Promise.all([...[2, 4, 1].map(note), ${more}])
        return order`
      const first = yield* engineOf(tools, { adapter: memory })
      const parent = yield* first.engine.execute(code(""))
      done.length = 0
      const { engine } = yield* engineOf(tools, { adapter: slow })
      const { outcome } = yield* engine.fork(parent.executionId, code("...[6, 3].map((n) => tools.t.write({ n }))"))
      assert.deepInclude(outcome, { resultJson: parent.resultJson })
      assert.deepStrictEqual(done, [6, 3])
    })
  )
})

layer(QuickJsExecutor.layer())("a fork while no time passes", (it) => {
  it.effect("makes no recorded call again, and no call twice, wherever it is lost", () =>
    Effect.gen(function* () {
      const fixed = failing.replace("n: 13", "n: 14")
      let ends = 0
      // After its row alone nobody would go on with it: that no call was made could not be seen.
      for (let writes = 2; ends === 0; writes++) {
        const { done, tools } = makeTools()
        const memory = MemoryAdapter.make()
        const first = yield* engineOf(tools, { adapter: memory })
        const { executionId } = yield* first.engine.execute(failing)
        done.length = 0
        const { adapter, hangs, hangsNoMore } = hangingAfter(memory, writes)
        const a = yield* engineOf(tools, { adapter, ...gone })
        yield* Effect.raceFirst(a.engine.fork(executionId, fixed), Deferred.await(hangs))

        const b = yield* engineOf(tools, { adapter: memory, recovery: "resume" })
        yield* b.engine.recover
        const row = yield* newest(b, "completed", "waiting_for_interaction", "failed")
        if (row.epoch === 0) ends++
        assert.strictEqual(row.parentExecutionId, executionId, `after ${writes} writes`)
        if (row.status === "waiting_for_interaction") {
          // The one live call is in doubt, and nothing else.
          const [question, more] = yield* b.history.interactions(row.id)
          assert.deepStrictEqual([question?.toolCallId, more], [`${row.id}:5`, undefined])
          yield* b.engine.resume(row.id, {
            action: "accept",
            content: done.length === 0 ? { outcome: "did_not_happen" } : { outcome: "happened", result: `{"wrote":14}` }
          })
        }
        const end = yield* b.history.row(row.id)
        assert.deepStrictEqual(
          [end.status, end.resultJson, done],
          ["completed", "[5,4]", [14]],
          `after ${writes} writes`
        )
        assert.deepStrictEqual(
          (yield* b.history.calls(row.id)).map(({ resultJson, status }) => [status, resultJson]),
          [1, 2, 3, 4, 5, 14].map((n) => ["completed", `{"wrote":${n}}`])
        )
        yield* Deferred.succeed(hangsNoMore, undefined)
      }
    }).pipe(quietly)
  )

  it.effect("asks about a call in doubt of a tool that takes a key: it had another one", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const adapter = MemoryAdapter.make()
      const code = "return await tools.t.keyed({ n: 0 })"
      const a = yield* engineOf(tools, { adapter, ...gone })
      yield* Effect.forkChild(a.engine.executeWithPause(code))
      while (done.length === 0) yield* nextTurn
      const b = yield* engineOf(tools, { adapter, ...gone })
      yield* b.engine.recover
      const parent = yield* newest(b, "failed")
      const asked = paused((yield* b.engine.fork(parent.id, code)).outcome)
      const { message } = asked.interaction.request
      assert.include(message, `was made by execution ${parent.id}`)
      assert.include(message, "nobody knows whether it took effect")
      // Another process that takes it up asks on.
      const c = yield* engineOf(tools, { adapter, recovery: "resume" })
      yield* c.engine.recover
      const happened = { action: "accept", content: { outcome: "happened", result: "7" } } as const
      const end = yield* c.engine.resume(asked.id, { ...happened, interactionId: asked.interaction.id })
      assert.deepStrictEqual([end.status, done], ["completed", [0]])
    }).pipe(quietly)
  )

  it.effect(
    "takes a failure that the code went on from within its millisecond, and makes the one anew that it ended with",
    () =>
      Effect.gen(function* () {
        const { broken, done, tools } = makeTools()
        broken.add(15)
        const { engine } = yield* engineOf(tools)
        const code = `
        await tools.t.write({ n: 13 }).catch(() => undefined)
        return await Promise.all([tools.t.write({ n: 15 }), tools.t.write({ n: 2 })])`
        const { executionId } = yield* engine.execute(code)
        assert.deepStrictEqual(done.splice(0), [13, 15, 2])
        const { report } = yield* engine.fork(executionId, code)
        assert.deepStrictEqual([report.reused, done], [2, [15]])
      })
  )

  it.effect("asks about a call that had begun and asked something itself when its process was lost", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const adapter = MemoryAdapter.make()
      const code = "return await tools.t.asking({ n: 1 })"
      const a = yield* engineOf(tools, { adapter, ...gone })
      const { id } = paused(yield* a.engine.executeWithPause(code))
      const b = yield* engineOf(tools, { adapter })
      yield* b.engine.cancel(id)
      assert.strictEqual((yield* b.history.calls(id))[0]?.status, "in_doubt")
      const asked = paused((yield* b.engine.fork(id, code)).outcome)
      assert.include(asked.interaction.request.message, "nobody knows whether it took effect")
      assert.deepStrictEqual(done, [1])
    }).pipe(quietly)
  )

  it.effect("that is stopped leaves in doubt what was, although it had not come to it", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const adapter = MemoryAdapter.make()
      const code = (then: string) => `
        const first = tools.t.write({ n: 0 })
        await tools.t.write({ n: 1 })
        ${then}`
      const a = yield* engineOf(tools, { adapter, ...gone })
      yield* Effect.forkChild(a.engine.executeWithPause(code("return await first")))
      while ((yield* a.history.rows)[0]?.toolCallCount !== 2) yield* nextTurn
      const [running] = yield* a.history.rows
      if (running === undefined) return assert.fail("it is not recorded")
      while ((yield* a.history.calls(running.id))[1]?.status !== "completed") yield* nextTurn
      const b = yield* engineOf(tools, { adapter })
      yield* b.engine.recover
      assert.deepStrictEqual(
        (yield* b.history.calls(running.id)).map(({ status }) => status),
        ["in_doubt", "completed"]
      )
      const started = Deferred.makeUnsafe<ExecutionId>()
      const onStart = (id: ExecutionId) => Deferred.doneUnsafe(started, Effect.succeed(id))
      yield* Effect.forkChild(b.engine.fork(running.id, code("for (;;) {}"), { onStart }))
      const id = yield* Deferred.await(started)
      const calls = Effect.orElseSucceed(b.history.calls(id), () => [])
      while ((yield* calls)[0]?.status !== "completed") yield* nextTurn
      yield* b.engine.cancel(id)
      assert.deepStrictEqual(
        (yield* b.history.calls(id)).map(({ seq, status }) => [seq, status]),
        [
          [0, "in_doubt"],
          [1, "completed"]
        ]
      )
      const asked = paused((yield* b.engine.fork(id, code("return await first"))).outcome)
      assert.include(asked.interaction.request.message, "nobody knows whether it took effect")
      assert.deepStrictEqual(done, [0, 1])
    }).pipe(quietly)
  )

  it.effect("that is cancelled while it notes a call that it takes ends with the outcome of that", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const memory = MemoryAdapter.make()
      const first = yield* engineOf(tools, { adapter: memory })
      const { executionId } = yield* first.engine.execute(
        "await tools.t.write({ n: 1 }); await tools.t.write({ n: 13 })"
      )
      done.length = 0
      // The row of the execution is written, the intent of its call is not.
      const { adapter, hangs, hangsNoMore } = hangingAfter(memory, 1)
      const b = yield* engineOf(tools, { adapter })
      const started = Deferred.makeUnsafe<ExecutionId>()
      const onStart = (id: ExecutionId) => Deferred.doneUnsafe(started, Effect.succeed(id))
      yield* Effect.forkChild(b.engine.fork(executionId, "await tools.t.write({ n: 1 })", { onStart }))
      const id = yield* Deferred.await(started)
      yield* Deferred.await(hangs)
      const cancelled = yield* Effect.forkChild(b.engine.cancel(id))
      for (let waitedMs = 0; waitedMs < 1_000; waitedMs += 100) {
        yield* nextTurn
        yield* TestClock.adjust(100)
      }
      yield* Deferred.succeed(hangsNoMore, undefined)
      yield* Fiber.join(cancelled)
      assert.strictEqual((yield* b.history.row(id)).status, "cancelled")
      assert.deepStrictEqual(
        (yield* b.history.calls(id)).map(({ resultJson, status }) => [status, resultJson]),
        [["completed", `{"wrote":1}`]]
      )
      const { report } = yield* b.engine.fork(id, "await tools.t.write({ n: 1 })")
      assert.deepStrictEqual([report.reused, done], [1, []])
    }).pipe(quietly)
  )

  it.effect("that took another way and was lost before it had noted what it takes is taken with it", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const memory = MemoryAdapter.make()
      const first = yield* engineOf(tools, { adapter: memory })
      const all = (...numbers: ReadonlyArray<number>) =>
        `return await Promise.all([${numbers.join()}].map((n) => tools.t.write({ n })))`
      const { executionId } = yield* first.engine.execute(all(1, 2, 13))
      done.length = 0
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
      yield* Effect.forkChild(a.engine.fork(executionId, all(1, 2, 5)))
      const calls = Effect.flatMap(a.history.rows, ([row]) =>
        row === undefined ? Effect.succeed([]) : a.history.calls(row.id)
      )
      const isNoted = Effect.map(calls, (calls) => calls.some(({ seq, status }) => seq === 2 && status === "completed"))
      while (!(yield* isNoted)) yield* nextTurn
      assert.deepStrictEqual(
        (yield* calls).map(({ seq }) => seq),
        [2]
      )

      const b = yield* engineOf(tools, { adapter: memory })
      yield* b.engine.recover
      const lost = yield* newest(b, "failed")
      const { outcome, report } = yield* b.engine.fork(lost.id, all(1, 2, 5))
      assert.deepInclude(outcome, { resultJson: `[{"wrote":1},{"wrote":2},{"wrote":5}]` })
      assert.deepStrictEqual([report.reused, done], [3, [5]])
      yield* Deferred.succeed(hangsNoMore, undefined)
    }).pipe(quietly)
  )

  it.effect("that waits is answered in another build of the sandbox where that is asked for", () =>
    Effect.gen(function* () {
      const { done, tools: ungated } = makeTools()
      const guarded = tool({ name: "guarded", description: "Asks.", requiresApproval: true, handler: () => "approved" })
      const tools = [...ungated, guarded]
      const adapter = MemoryAdapter.make()
      const a = yield* engineOf(tools, { adapter, ...gone })
      const { executionId } = yield* a.engine.execute("await tools.t.write({ n: 1 }); await tools.t.write({ n: 13 })")
      const asks = "await tools.t.write({ n: 1 }); return await tools.t.guarded()"
      const { id } = paused((yield* a.engine.fork(executionId, asks)).outcome)
      done.length = 0
      const codeExecutor = { ...(yield* CodeExecutor), build: "another" }
      const b = yield* engineOf(tools, { adapter, codeExecutor })
      const refused = yield* Effect.flip(b.engine.resume(id, { action: "accept" }))
      assert.strictEqual(refused._tag === "ExecutionNotResumable" && refused.reason, "other_build")
      const { status } = yield* b.engine.resume(id, { action: "accept", anyBuild: true })
      assert.deepStrictEqual([status, done], ["completed", []])
    }).pipe(quietly)
  )

  it.effect("takes the journal of another build of the sandbox where that is asked for", () =>
    Effect.gen(function* () {
      const { done, tools } = makeTools()
      const adapter = MemoryAdapter.make()
      const a = yield* engineOf(tools, { adapter })
      const { executionId } = yield* a.engine.execute("await tools.t.write({ n: 1 }); await tools.t.write({ n: 13 })")
      done.length = 0
      const codeExecutor = { ...(yield* CodeExecutor), build: "another" }
      const b = yield* engineOf(tools, { adapter, codeExecutor })
      const code = "return await tools.t.write({ n: 1 })"
      for (const fork of [b.engine.previewFork(executionId, code), b.engine.fork(executionId, code)]) {
        const refused = yield* Effect.flip<unknown, unknown, never>(fork)
        assert.deepInclude(refused, { _tag: "ExecutionNotResumable", reason: "other_build" })
      }
      const options = { anyBuild: true }
      const { reused } = yield* b.engine.previewFork(executionId, code, options)
      const { outcome, report } = yield* b.engine.fork(executionId, code, options)
      assert.deepStrictEqual([reused, report.reused, outcome.status, done], [1, 1, "completed", []])
      if (outcome.status === "paused") return assert.fail("it asks nothing")
      // Its own journal is of this build.
      const again = yield* b.engine.fork(outcome.executionId, code)
      assert.deepStrictEqual([again.report.reused, done], [1, []])
    })
  )

  it.effect("waits again for a timer that its origin was lost with, and asks nobody", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const code = "await new Promise((resolve) => setTimeout(resolve, 1000)); return 1"
      const a = yield* engineOf([], { adapter, ...gone })
      yield* Effect.forkChild(a.engine.executeWithPause(code))
      while ((yield* a.history.rows)[0]?.toolCallCount !== 1) yield* nextTurn
      const b = yield* engineOf([], { adapter })
      yield* b.engine.recover
      const parent = yield* newest(b, "failed")
      assert.strictEqual((yield* b.history.calls(parent.id))[0]?.status, "failed")
      const fork = yield* Effect.forkChild(b.engine.fork(parent.id, code))
      while (fork.pollUnsafe() === undefined) {
        yield* TestClock.adjust("1 second")
        yield* nextTurn
      }
      assert.strictEqual((yield* Fiber.join(fork)).outcome.status, "completed")
    }).pipe(quietly)
  )
})
