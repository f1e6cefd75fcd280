/**
 * Writes that wait long in the queue of a database: as long as the queue moves, nothing is given up.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, MemoryAdapter, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { engineOf, nextTurn, quietly, until } from "./support/harness.ts"

const double = tool({
  name: "double",
  description: "",
  input: Schema.Struct({ n: Schema.Number }),
  handler: ({ n }) => n * 2
})

/** A database that answers its writes one by one, when the test says so. */
const makeQueue = ({ tells = true } = {}) => {
  const memory = MemoryAdapter.make()
  const waiting: Array<Deferred.Deferred<void>> = []
  let answered = 0
  let isOpen = false
  const adapter = DBAdapter.of({
    ...memory,
    ...(tells && { answeredWrites: () => answered }),
    write: (operations, options) =>
      Effect.suspend(() => {
        if (isOpen) return memory.write(operations)
        const turn = Deferred.makeUnsafe<void>()
        if (options?.urgent === true) waiting.unshift(turn)
        else waiting.push(turn)
        const leaves = Effect.sync(() => waiting.splice(waiting.indexOf(turn), 1))
        return Effect.andThen(
          Effect.onInterrupt(Deferred.await(turn), () => leaves),
          memory.write(operations)
        )
      })
  })
  const answerNext = () => {
    const turn = waiting.shift()
    if (turn === undefined) return
    answered++
    Deferred.doneUnsafe(turn, Effect.void)
  }
  return {
    adapter,
    waiting,
    answerNext,
    /** From now on nothing waits. */
    open: () => {
      isOpen = true
      while (waiting.length > 0) answerNext()
    }
  }
}

/** Lets time pass while writes wait, and does then what the queue does. */
const passTimeUntilDone = Effect.fnUntraced(function* <A, E>(
  fiber: Fiber.Fiber<A, E>,
  { waiting }: ReturnType<typeof makeQueue>,
  stepMs: number,
  step: Effect.Effect<unknown>
) {
  while (fiber.pollUnsafe() === undefined) {
    if (waiting.length > 0) {
      yield* TestClock.adjust(stepMs)
      yield* step
    }
    yield* nextTurn
  }
  return yield* Fiber.join(fiber)
})

/** An engine over the queue, which closes with nothing in its way. */
const engineOver = ({ adapter, open }: ReturnType<typeof makeQueue>) =>
  Effect.tap(engineOf([double], { adapter }), () => Effect.addFinalizer(() => Effect.sync(open)))

const manyCalls = (count: number) =>
  `return await Promise.all(Array.from({ length: ${count} }, (_, n) => tools.t.double({ n })))`

layer(QuickJsExecutor.layer())("writes that wait in a queue", (it) => {
  it.effect("are all written while the queue moves, however long it is", () =>
    Effect.gen(function* () {
      const queue = makeQueue()
      const { engine, history } = yield* engineOver(queue)
      const running = yield* Effect.forkChild(engine.execute(manyCalls(50)), { startImmediately: true })
      let longest = 0
      const before = yield* Clock.currentTimeMillis
      const finished = yield* passTimeUntilDone(
        running,
        queue,
        500,
        Effect.sync(() => {
          longest = Math.max(longest, queue.waiting.length)
          queue.answerNext()
        })
      )
      assert.strictEqual(finished.status, "completed")
      assert.isAtLeast(longest, 50)
      assert.isAtLeast((yield* Clock.currentTimeMillis) - before, 50_000)
      assert.strictEqual(yield* engine.droppedWrites, 0)
      const row = yield* history.row(finished.executionId)
      assert.deepStrictEqual([row.status, row.journalComplete], ["completed", true])
      const calls = yield* history.calls(finished.executionId)
      assert.deepStrictEqual(
        calls.map(({ seq, status }) => [seq, status]),
        Array.from({ length: 50 }, (_, seq) => [seq, "completed"])
      )
    })
  )

  it.effect("are dropped once the queue stands still for as long as an execution waits", () =>
    Effect.gen(function* () {
      const queue = makeQueue()
      const { engine, history } = yield* engineOver(queue)
      const running = yield* Effect.forkChild(engine.execute(manyCalls(5)), { startImmediately: true })
      // The row, and the notes of two calls.
      for (let answers = 0; answers < 3; answers++) {
        yield* until(() => queue.waiting.length > 0)
        queue.answerNext()
      }
      const finished = yield* passTimeUntilDone(running, queue, 50, Effect.void)
      assert.deepStrictEqual(finished.result, [0, 2, 4, 6, 8])
      assert.isAbove(yield* engine.droppedWrites, 0)
      queue.open()
      yield* TestClock.adjust("1 minute")
      const row = yield* history.row(finished.executionId)
      assert.deepStrictEqual([row.status, row.journalComplete], ["completed", false])
    }).pipe(quietly)
  )

  it.effect("are not given up by a process that stood still, as if the database had hung", () =>
    Effect.gen(function* () {
      const queue = makeQueue({ tells: false })
      const clock = yield* Clock.Clock
      let stoodStillMs = 0
      const millis = () => clock.currentTimeMillisUnsafe() + stoodStillMs
      const nanos = () => clock.currentTimeNanosUnsafe() + BigInt(stoodStillMs) * 1_000_000n
      const jumping: Clock.Clock = {
        currentTimeMillisUnsafe: millis,
        currentTimeMillis: Effect.sync(millis),
        currentTimeNanosUnsafe: nanos,
        currentTimeNanos: Effect.sync(nanos),
        monotonicTimeNanosUnsafe: nanos,
        monotonicTimeNanos: Effect.sync(nanos),
        sleep: (duration) => clock.sleep(duration)
      }
      const { engine, history } = yield* Effect.provideService(engineOver(queue), Clock.Clock, jumping)
      const running = yield* Effect.forkChild(engine.execute(manyCalls(1)), { startImmediately: true })
      // A look has seen the write; the next comes ten seconds late.
      const finished = yield* passTimeUntilDone(
        running,
        queue,
        100,
        Effect.gen(function* () {
          stoodStillMs += 10_000
          yield* TestClock.adjust(100)
          queue.answerNext()
        })
      )
      assert.strictEqual(yield* engine.droppedWrites, 0)
      assert.isTrue((yield* history.row(finished.executionId)).journalComplete)
    })
  )
})
