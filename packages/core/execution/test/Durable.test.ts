/**
 * Executions that outlive the engine that started them: parked and resumed elsewhere, taken over after a crash, handed over, cancelled
 * from afar. A crash is an engine that is left behind with a lease that has run out; real ones are in `chaos/`.
 */
import { type ExecutionEngineOptions, type ExecutionOutcome } from "@executor/execution"
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, DBError, MemoryAdapter, type StaticTool, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { engineOf, gone, paused, quietly, sqlite } from "./support/harness.ts"

const Input = Schema.Struct({ n: Schema.Number })

/** Tools that note what they did. `stuck` is begun and never ends the first time. */
const makeTools = () => {
  const done: Array<string> = []
  const keys: Array<string | undefined> = []
  const begun = Deferred.makeUnsafe<void>()
  let stuckOnce = false
  const plain = (name: string, annotations: StaticTool["annotations"] = {}) =>
    tool({
      name,
      description: name,
      annotations,
      input: Input,
      handler: ({ n }, context) =>
        Effect.suspend(() => {
          done.push(`${name} ${n}`)
          keys.push(context.idempotencyKey)
          if (n < 0 && !stuckOnce) {
            stuckOnce = true
            Deferred.doneUnsafe(begun, Effect.void)
            return Effect.never
          }
          return Effect.succeed({ [name]: n })
        })
    })
  const guarded = tool({
    name: "guarded",
    description: "Asks first.",
    requiresApproval: true,
    input: Input,
    handler: ({ n }) => {
      done.push(`guarded ${n}`)
      return { guarded: n }
    }
  })
  const tools = [
    plain("write"),
    plain("read", { readOnly: true }),
    plain("put", { idempotent: true }),
    plain("keyed", { acceptsIdempotencyKey: true }),
    guarded
  ]
  return { tools, done, keys, begun }
}

/** An engine that can be closed before the test ends. */
const closable = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  tools: ReadonlyArray<StaticTool>,
  options: Partial<ExecutionEngineOptions> = {}
) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const parts = yield* Scope.provide(engineOf(tools, { adapter, ...options }), scope)
  return { ...parts, close: Scope.close(scope, Exit.void) }
})

const finished = (outcome: ExecutionOutcome) => {
  if (outcome.status === "paused") return assert.fail(`it waits: ${outcome.execution.interaction.request.message}`)
  return outcome
}

const tagOf = <E extends { readonly _tag: string }>(effect: Effect.Effect<unknown, E>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

const twoGuarded = `
  console.log("begins")
  const first = await tools.t.write({ n: 1 })
  const asked = await Promise.all([tools.t.guarded({ n: 2 }), tools.t.guarded({ n: 3 })])
  console.log("ends", Math.random())
  return [first, ...asked, Date.now()]`

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("durable executions", (it) => {
  it.effect("wait for a person without their engine, and go on in another", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { done, tools } = makeTools()
      const a = yield* closable(adapter, tools)
      const { id, interactions } = paused(yield* a.engine.executeWithPause(twoGuarded))
      yield* a.close
      const waiting = yield* a.history.row(id)
      assert.deepStrictEqual(
        [waiting.status, waiting.owner, waiting.leaseUntil],
        ["waiting_for_interaction", null, null]
      )

      const b = yield* closable(adapter, tools)
      const second = interactions[1]?.id
      const stillPaused = paused(yield* b.engine.resume(id, { action: "accept", interactionId: second }))
      assert.deepStrictEqual(
        stillPaused.interactions.map(({ id }) => id),
        [interactions[0]?.id]
      )
      yield* b.close
      const c = yield* closable(adapter, tools)
      const end = finished(yield* c.engine.resume(id, { action: "accept" }))
      assert.strictEqual(end.status, "completed")
      assert.deepStrictEqual(done, ["write 1", "guarded 3", "guarded 2"])
      assert.deepStrictEqual(
        end.logs.map(({ message }) => message.split(" ")[0]),
        ["begins", "ends"]
      )
      assert.deepStrictEqual(
        (yield* c.history.calls(id)).map(({ seq, settleSeq, status }) => [seq, settleSeq, status]),
        [
          [0, 0, "completed"],
          [1, 2, "completed"],
          [2, 1, "completed"]
        ]
      )
      const replayed = yield* c.engine.replay(id)
      assert.isTrue(replayed.same)
      assert.strictEqual(replayed.calls, 3)
    })
  )

  for (const action of ["decline", "cancel", "accept"] as const) {
    it.effect(`hold a person to the answer where the tool no longer asks: ${action}`, () =>
      Effect.gen(function* () {
        const adapter = yield* sqlite
        const a = yield* closable(adapter, makeTools().tools)
        const { id } = paused(yield* a.engine.executeWithPause("return await tools.t.guarded({ n: 1 })"))
        yield* a.close
        const { done, tools } = makeTools()
        const b = yield* closable(
          adapter,
          tools.map((each) => ({ ...each, requiresApproval: false }))
        )
        const end = finished(yield* b.engine.resume(id, { action }))
        assert.deepStrictEqual([end.status, done], action === "accept" ? ["completed", ["guarded 1"]] : ["failed", []])
      })
    )
  }

  it.effect("are answered by several engines at once, each question once", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { done, tools } = makeTools()
      const [a, b] = [yield* closable(adapter, tools), yield* closable(adapter, tools)]
      const { id, interactions } = paused(yield* a.engine.executeWithPause(twoGuarded))
      const answers = interactions.flatMap(({ id: interactionId }) =>
        [a, b].map(({ engine }) => Effect.result(engine.resume(id, { action: "accept", interactionId })))
      )
      const results = yield* Effect.all(answers, { concurrency: "unbounded" })
      const tags = results.flatMap((result) => (result._tag === "Failure" ? [result.failure._tag] : []))
      assert.deepStrictEqual(tags, ["InteractionAlreadyResolved", "InteractionAlreadyResolved"])
      const row = yield* a.history.row(id)
      assert.strictEqual(row.status, "completed")
      assert.deepStrictEqual(done.toSorted(), ["guarded 2", "guarded 3", "write 1"])
    })
  )

  for (const [said, content, expected, calls] of [
    ["happened", { outcome: "happened", result: `{"write":"as seen"}` }, `{"write":"as seen"}`, 1],
    ["did not happen", { outcome: "did_not_happen" }, `{"write":-1}`, 2],
    ["is given up", { outcome: "give_up" }, undefined, 1]
  ] as const) {
    it.effect(`put a call in doubt after a crash; it ${said}`, () =>
      Effect.gen(function* () {
        const adapter = yield* sqlite
        const { begun, done, keys, tools } = makeTools()
        const a = yield* closable(adapter, tools, gone)
        const lost = yield* Effect.forkChild(a.engine.executeWithPause("return await tools.t.write({ n: -1 })"))
        yield* Deferred.await(begun)
        const b = yield* closable(adapter, tools, { recovery: "resume" })
        const asked = yield* Effect.forkChild(Stream.runHead(Stream.filter(b.engine.events, isQuestion)))
        yield* Effect.yieldNow
        assert.deepStrictEqual(yield* b.engine.recover, { continued: 1, ended: 0, expired: 0 })
        yield* Fiber.join(asked)
        const [row] = yield* b.history.rows
        if (row === undefined) return assert.fail("it is not recorded")
        const [question] = yield* b.history.interactions(row.id)
        assert.strictEqual(question?.purpose, "in_doubt")
        assert.deepStrictEqual(
          (yield* b.history.calls(row.id)).map(({ status }) => status),
          ["in_doubt"]
        )
        const bad = { action: "accept", content: { outcome: "happened", result: "{" } } as const
        assert.strictEqual(yield* tagOf(b.engine.resume(row.id, bad)), "AnswerInvalid")
        const end = finished(yield* b.engine.resume(row.id, { action: "accept", content }))
        const answered = (yield* b.history.interactions(row.id)).map(({ responseJson }) => responseJson)
        assert.deepStrictEqual(answered, [`{"action":"accept","outcome":"${content.outcome}"}`])
        assert.strictEqual(end.resultJson, expected)
        assert.strictEqual(end.error?.name, expected === undefined ? "InDoubt" : undefined)
        assert.strictEqual(done.length, calls)
        assert.deepStrictEqual([...new Set(keys)], [`${row.id}:0`])
        const status = expected === undefined ? "in_doubt" : "completed"
        assert.deepStrictEqual(
          (yield* b.history.calls(row.id)).map((call) => call.status),
          [status]
        )
        yield* Fiber.interrupt(lost)
      })
    )
  }

  for (const name of ["read", "put", "keyed"]) {
    it.effect(`repeat a call of a tool that allows it: ${name}`, () =>
      Effect.gen(function* () {
        const adapter = yield* sqlite
        const { begun, keys, tools } = makeTools()
        const a = yield* closable(adapter, tools, gone)
        yield* Effect.forkChild(a.engine.executeWithPause(`return await tools.t.${name}({ n: -1 })`))
        yield* Deferred.await(begun)
        const b = yield* closable(adapter, tools, { recovery: "resume" })
        yield* b.engine.recover
        const [row] = yield* b.history.rows
        assert.deepStrictEqual([row?.status, keys], ["completed", [`${row?.id}:0`, `${row?.id}:0`]])
      })
    )
  }

  it.effect("are never run by two: the one that lost its lease writes nothing more", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const release = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      let calls = 0
      const slow = tool({
        name: "slow",
        description: "Waits the first time.",
        annotations: { readOnly: true },
        handler: () =>
          ++calls > 1
            ? Effect.succeed("second")
            : Effect.andThen(Deferred.succeed(begun, undefined), Effect.as(Deferred.await(release), "first"))
      })
      const a = yield* closable(adapter, [slow], gone)
      const lost = yield* Effect.forkChild(a.engine.executeWithPause("return await tools.t.slow()"))
      yield* Deferred.await(begun)
      const b = yield* closable(adapter, [slow], { recovery: "resume" })
      yield* b.engine.recover
      const [before] = yield* b.history.rows
      if (before === undefined) return assert.fail("it is not recorded")
      assert.deepStrictEqual([before.status, before.epoch], ["completed", 1])
      yield* Deferred.succeed(release, undefined)
      const interrupted = yield* Effect.flip(Fiber.join(lost))
      assert.strictEqual(interrupted._tag === "ExecutionInterrupted" && interrupted.reason, "lease_lost")
      const after = yield* b.history.row(before.id)
      assert.deepStrictEqual([after.resultJson, after.epoch], [`"second"`, 1])
      assert.strictEqual((yield* b.history.calls(before.id))[0]?.resultJson, `"second"`)
    })
  )

  it.effect("end with both sides shown where the code takes another way than its journal", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { done, tools } = makeTools()
      const a = yield* closable(adapter, tools)
      const { id } = paused(yield* a.engine.executeWithPause(twoGuarded))
      const where = { op: "eq", column: "seq", value: 0 } as const
      yield* adapter.write([{ op: "update", table: "execution_tool_call", where, set: { args_json: `{"n":7}` } }])
      const end = finished(yield* a.engine.resume(id, { action: "accept" }))
      assert.strictEqual(end.status, "failed")
      assert.strictEqual(end.error?.name, "Diverged")
      assert.include(end.error?.message, `Call 0 was recorded as t.write({"n":7}), and the code made t.write({"n":1})`)
      assert.deepStrictEqual(done, ["write 1"])
    })
  )

  it.effect("are refused in another build of the sandbox, and their question waits on", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { tools } = makeTools()
      const a = yield* closable(adapter, tools)
      const { id } = paused(yield* a.engine.executeWithPause("return await tools.t.guarded({ n: 1 })"))
      yield* a.close
      const codeExecutor = { ...(yield* CodeExecutor), build: "another" }
      const b = yield* closable(adapter, tools, { codeExecutor })
      const refused = yield* Effect.flip(b.engine.resume(id, { action: "accept" }))
      assert.strictEqual(refused._tag === "ExecutionNotResumable" && refused.reason, "other_build")
      assert.strictEqual((yield* b.history.interactions(id))[0]?.status, "pending")
      const told = finished(yield* b.engine.resume(id, { action: "accept", anyBuild: true }))
      assert.strictEqual(told.resultJson, `{"guarded":1}`)
    })
  )

  it.effect(
    "stay where they are when a part of their journal is lost: others can answer them, but not take them over",
    () =>
      Effect.gen(function* () {
        const memory = MemoryAdapter.make()
        let lost = false
        const failing = DBAdapter.of({
          ...memory,
          write: (operations) => {
            if (lost || !operations.some(({ table }) => table === "execution_tool_call"))
              return memory.write(operations)
            lost = true
            return Effect.fail(new DBError({ message: "the disk is full", reason: "full" }))
          }
        })
        const { done, tools } = makeTools()
        const a = yield* closable(failing, tools)
        const { id, survives } = paused(yield* a.engine.executeWithPause(twoGuarded))
        assert.isFalse(survives)
        const b = yield* closable(memory, tools)
        const pausedAgain = paused(yield* b.engine.resume(id, { action: "accept" }))
        assert.strictEqual(pausedAgain.interactions.length, 1)
        const end = finished(yield* b.engine.resume(id, { action: "accept" }))
        assert.deepStrictEqual([end.status, done], ["completed", ["write 1", "guarded 2", "guarded 3"]])
        const row = yield* b.history.row(id)
        assert.deepStrictEqual([row.journalComplete, row.epoch], [false, 0])
        const refused = yield* Effect.flip(b.engine.replay(id))
        assert.strictEqual(refused._tag === "ExecutionNotResumable" && refused.reason, "journal_incomplete")
      }).pipe(quietly)
  )

  it.effect("are handed over by an engine that closes: short calls end, and the rest goes on elsewhere", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const release = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      let calls = 0
      const once = tool({
        name: "once",
        description: "Ends when it is let.",
        handler: () => {
          calls++
          return Effect.andThen(Deferred.succeed(begun, undefined), Effect.as(Deferred.await(release), "done"))
        }
      })
      const a = yield* closable(adapter, [once], { recovery: "resume" })
      const caller = yield* Effect.forkChild(Effect.flip(a.engine.executeWithPause("return await tools.t.once()")))
      yield* Deferred.await(begun)
      const closing = yield* Effect.forkChild(a.close)
      const interrupted = yield* Fiber.join(caller)
      assert.strictEqual(interrupted._tag === "ExecutionInterrupted" && interrupted.reason, "handed_over")
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(closing)
      const b = yield* closable(adapter, [once], { recovery: "resume" })
      assert.strictEqual((yield* b.engine.recover).continued, 1)
      const [row] = yield* b.history.rows
      if (row === undefined) return assert.fail("it is not recorded")
      assert.deepStrictEqual([(yield* b.history.row(row.id)).resultJson, calls], [`"done"`, 1])
    })
  )

  it.effect("are handed over where an answer takes them up while the engine closes", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      const claims = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      let held = false
      const slow = DBAdapter.of({
        ...memory,
        write: (operations) =>
          Effect.suspend(() => {
            const isClaim = operations.some((each) => each.op === "update" && "epoch" in each.set)
            if (!isClaim || held) return memory.write(operations)
            held = true
            const released = Effect.andThen(Deferred.succeed(claims, undefined), Deferred.await(release))
            return Effect.andThen(released, memory.write(operations))
          })
      })
      const { done, tools } = makeTools()
      const a = yield* closable(slow, tools, { recovery: "resume" })
      const { id } = paused(yield* a.engine.executeWithPause("return await tools.t.guarded({ n: 1 })"))
      const answered = yield* Effect.forkChild(Effect.flip(a.engine.resume(id, { action: "accept" })))
      yield* Deferred.await(claims)
      const closing = yield* Effect.forkChild(a.close)
      yield* Effect.yieldNow
      yield* Deferred.succeed(release, undefined)
      const interrupted = yield* Fiber.join(answered)
      assert.strictEqual(interrupted._tag === "ExecutionInterrupted" && interrupted.reason, "handed_over")
      yield* Fiber.join(closing)
      assert.deepStrictEqual([(yield* a.history.row(id)).status, done], ["running", []])
      assert.strictEqual(yield* tagOf(a.engine.resume(id, { action: "accept" })), "ExecutionInterrupted")
      assert.strictEqual(yield* tagOf(a.engine.execute("return 1")), "ExecutionRefused")

      const b = yield* closable(memory, tools, { recovery: "resume" })
      assert.strictEqual((yield* b.engine.recover).continued, 1)
      assert.deepStrictEqual([(yield* b.history.row(id)).resultJson, done], [`{"guarded":1}`, ["guarded 1"]])
    })
  )

  it.effect("leave no call open when they are cancelled before their code has come to it again", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { begun, tools } = makeTools()
      const a = yield* closable(adapter, tools, gone)
      const code =
        "await tools.t.read({ n: 1 }); await Promise.all([tools.t.guarded({ n: 2 }), tools.t.write({ n: -1 })])"
      yield* Effect.forkChild(a.engine.executeWithPause(code))
      yield* Deferred.await(begun)
      const [row] = yield* a.history.rows
      if (row === undefined) return assert.fail("it is not recorded")
      // In another engine it does not get behind its first call.
      yield* adapter.write([
        {
          op: "update",
          table: "execution_tool_call",
          where: { op: "eq", column: "seq", value: 0 },
          set: { status: "running", settle_seq: null, result_json: null, completed_at: null }
        }
      ])
      const again = yield* Deferred.make<void>()
      const stuck = tool({
        name: "read",
        description: "Reads.",
        annotations: { readOnly: true },
        input: Input,
        handler: () => Effect.andThen(Deferred.succeed(again, undefined), Effect.never)
      })
      const b = yield* closable(adapter, [stuck, ...tools.filter(({ name }) => name !== "read")], {
        recovery: "resume"
      })
      yield* Effect.forkChild(b.engine.recover)
      yield* Deferred.await(again)
      yield* b.engine.cancel(row.id)
      assert.deepStrictEqual(
        (yield* b.history.calls(row.id)).map(({ status }) => status),
        ["failed", "failed", "in_doubt"]
      )
    })
  )

  it.effect("tell whoever waits for one of another engine that this one has closed", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { begun, tools } = makeTools()
      const a = yield* closable(adapter, tools, { recovery: "resume" })
      const submit = a.engine.executeWithPause("await tools.t.write({ n: -1 })", { idempotencyKey: "k" })
      const first = yield* Effect.forkChild(Effect.flip(submit))
      yield* Deferred.await(begun)
      const second = yield* Effect.forkChild(Effect.flip(submit), { startImmediately: true })
      yield* a.close
      for (const caller of [first, second]) {
        assert.strictEqual((yield* Fiber.join(caller))._tag, "ExecutionInterrupted")
      }
    })
  )

  it.effect("are cancelled wherever they wait or run", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { begun, tools } = makeTools()
      const [a, b] = [yield* closable(adapter, tools), yield* closable(adapter, tools)]
      const waiting = paused(yield* a.engine.executeWithPause("return await tools.t.guarded({ n: 1 })"))
      yield* b.engine.cancel(waiting.id)
      assert.strictEqual((yield* a.history.row(waiting.id)).status, "cancelled")
      assert.strictEqual((yield* a.history.interactions(waiting.id))[0]?.status, "cancelled")
      assert.strictEqual((yield* a.history.calls(waiting.id))[0]?.status, "failed")

      const running = yield* Effect.forkChild(a.engine.executeWithPause("return await tools.t.write({ n: -1 })"))
      yield* Deferred.await(begun)
      const [row] = yield* a.history.rows
      if (row === undefined) return assert.fail("it is not recorded")
      yield* b.engine.cancel(row.id)
      assert.strictEqual(finished(yield* Fiber.join(running)).status, "cancelled")
      assert.strictEqual(yield* tagOf(b.engine.cancel(row.id)), "ExecutionNotCancellable")
    })
  )

  it.effect("are ended by an engine that does not continue them, and when nobody answers", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { begun, tools } = makeTools()
      const a = yield* closable(adapter, tools, gone)
      yield* Effect.forkChild(a.engine.executeWithPause("return await tools.t.write({ n: -1 })"))
      yield* Deferred.await(begun)
      const waits = paused(yield* a.engine.executeWithPause("return await tools.t.guarded({ n: 1 })"))
      const b = yield* closable(adapter, tools, { pauseExpiryMs: 0 })
      assert.deepStrictEqual(yield* b.engine.recover, { continued: 0, ended: 1, expired: 1 })
      const rows = yield* b.history.rows
      assert.deepStrictEqual(
        rows.map(({ errorText, status }) => [status, errorText?.split(":")[0]]),
        [
          ["cancelled", "PauseExpired"],
          ["failed", "ProcessLost"]
        ]
      )
      assert.strictEqual((yield* b.history.interactions(waits.id))[0]?.status, "cancelled")

      // One that its engine keeps, as it waits for a timer too.
      const code =
        "const late = new Promise((r) => setTimeout(r, 1e6)); return await Promise.race([tools.t.guarded({ n: 1 }), late])"
      const { id, survives } = paused(yield* b.engine.executeWithPause(code))
      assert.isFalse(survives)
      // In the millisecond in which it asks, its question has not expired.
      const report = yield* Effect.repeat(b.engine.recover, { until: ({ expired }) => expired > 0 })
      assert.deepStrictEqual(report, { continued: 0, ended: 0, expired: 1 })
      const expired = yield* Effect.repeat(b.history.row(id), { until: ({ status }) => status === "cancelled" })
      assert.match(expired.errorText ?? "", /^PauseExpired: /)
    }).pipe(quietly)
  )
})

const isQuestion = ({ _tag }: { readonly _tag: string }) => _tag === "InteractionRequested"
