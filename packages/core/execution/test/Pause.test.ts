/**
 * Executions that ask people: pausing, answering, and each answer reaching its question.
 */
import type { InteractionAnswer } from "@executor/execution"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { type ElicitationRequest, ExecutionId, ExecutionInteractionId, tool } from "@executor/sdk"
import { assert, describe, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { engineOf, paused, quietly, sqlite } from "./support/harness.ts"

const write = tool({
  name: "write",
  description: "Writes.",
  requiresApproval: true,
  input: Schema.Struct({ n: Schema.Number }),
  handler: ({ n }) => `wrote ${n}`
})

const form = tool({
  name: "form",
  description: "Asks for an age.",
  handler: (_input, context) =>
    Effect.map(
      context.elicit({
        kind: "form",
        message: "How old?",
        requestedSchema: { type: "object", properties: { age: { type: "integer" } }, required: ["age"] }
      }),
      ({ action, content }) => ({ action, content: content ?? null })
    )
})

const order = tool({
  name: "order",
  description: "Asks for an order that has defaults.",
  handler: (_input, context) =>
    Effect.map(
      context.elicit({
        kind: "form",
        message: "What?",
        requestedSchema: {
          type: "object",
          properties: {
            count: { type: "integer", default: 1 },
            size: { type: "string", default: "M" },
            gift: { type: "boolean", default: false },
            note: { type: "string", default: null },
            sender: { type: ["string", "null"], default: null }
          },
          required: ["count", "sender"]
        }
      }),
      ({ action, content }) => ({ action, content: content ?? null })
    )
})

const tagOf = <E extends { readonly _tag: string }>(effect: Effect.Effect<unknown, E>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

const both = `
  const settle = (promise) => promise.then((value) => value, (error) => error.name + " " + error.data.action)
  return await Promise.all([settle(tools.t.write({ n: 1 })), settle(tools.t.write({ n: 2 }))])`

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("executeWithPause and resume", (it) => {
  it.effect("stops with every question that was asked together; the row says that it waits", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([write], { adapter: yield* sqlite })
      const { id, interaction, interactions, toolCallCount } = paused(yield* engine.executeWithPause(both))
      assert.deepStrictEqual(
        interactions.map(({ request }) => [request.kind, request.toolPath, request.args]),
        [
          ["approval", "t.write", { n: 1 }],
          ["approval", "t.write", { n: 2 }]
        ]
      )
      assert.strictEqual(interaction.id, interactions[0]?.id)
      assert.strictEqual(toolCallCount, 2)
      const row = yield* history.row(id)
      assert.strictEqual(row.status, "waiting_for_interaction")
      assert.strictEqual(row.interactionCount, 2)
      const recorded = yield* history.interactions(id)
      assert.deepStrictEqual(
        recorded.map(({ id, kind, purpose, status, toolCallId }) => [id, kind, purpose, status, toolCallId]),
        interactions.map((each, seq) => [each.id, "approval", "tool_approval", "pending", `${id}:${seq}`])
      )
      yield* engine.cancel(id)
    })
  )

  it.effect("an accepted form has its defaults for what was left out, in the history too", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([order])
      const code = "return await tools.t.order()"
      const defaults = { count: 1, size: "M", gift: false, sender: null }
      for (const content of [undefined, {}, { size: "L" }, { count: 2, note: "Hi" }]) {
        const { id } = paused(yield* engine.executeWithPause(code))
        const resumed = yield* engine.resume(id, { action: "accept", content })
        if (resumed.status === "paused") assert.fail("it has no more questions")
        const wanted = { ...defaults, ...content }
        assert.deepStrictEqual(resumed.result, { action: "accept", content: wanted })
        const [row] = yield* history.interactions(id)
        assert.deepStrictEqual(JSON.parse(row?.responsePrivateJson ?? ""), { content: wanted })
        const inline = yield* engine.execute(code, {
          onElicitation: () =>
            Effect.succeed(content === undefined ? { action: "accept" } : { action: "accept", content })
        })
        assert.deepStrictEqual(inline.result, resumed.result)
      }
      const { id } = paused(yield* engine.executeWithPause(code))
      const declined = yield* engine.resume(id, { action: "decline" })
      if (declined.status === "paused") assert.fail("it has no more questions")
      assert.deepStrictEqual(declined.result, { action: "decline", content: null })
    })
  )

  it.effect("each answer reaches the call whose question it was, also in reverse", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([write])
      const { id, interactions } = paused(yield* engine.executeWithPause(both))
      const [first, second] = interactions
      const next = paused(yield* engine.resume(id, { action: "decline", interactionId: second!.id, resolvedBy: "ada" }))
      assert.deepStrictEqual(next.interactions, [first!])
      const finished = yield* engine.resume(id, { action: "accept", interactionId: first!.id })
      if (finished.status === "paused") assert.fail("it has no more questions")
      assert.deepStrictEqual(finished.result, ["wrote 1", "ElicitationDeclined decline"])
      const recorded = yield* history.interactions(id)
      assert.deepStrictEqual(
        recorded.map(({ resolvedBy, responseJson, status }) => [status, responseJson, resolvedBy]),
        [
          ["resolved", `{"action":"accept"}`, null],
          ["resolved", `{"action":"decline"}`, "ada"]
        ]
      )
      const calls = yield* history.calls(id)
      assert.deepStrictEqual(
        calls.map(({ settleSeq, status }) => [settleSeq, status]),
        [
          [1, "completed"],
          [0, "failed"]
        ]
      )
    })
  )

  it.effect("the first answer wins: any other gets an error and changes nothing", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([write])
      const { id, interactions } = paused(yield* engine.executeWithPause(both))
      const [first, second] = interactions
      const answers = yield* Effect.all(
        (["accept", "decline", "cancel"] as const).map((action) =>
          Effect.exit(engine.resume(id, { action, interactionId: first!.id }))
        ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers.map(Exit.isSuccess), [true, false, false])
      const again = engine.resume(id, { action: "decline", interactionId: first!.id })
      assert.strictEqual(yield* tagOf(again), "InteractionAlreadyResolved")
      const finished = yield* engine.resume(id, { action: "accept", interactionId: second!.id })
      if (finished.status === "paused") assert.fail("it has no more questions")
      assert.deepStrictEqual(finished.result, ["wrote 1", "wrote 2"])
      const [recorded] = yield* history.interactions(id)
      assert.strictEqual(recorded?.responseJson, `{"action":"accept"}`)
    })
  )

  it.effect("resuming twice without a name answers once", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const slow = tool({
        name: "slow",
        description: "",
        requiresApproval: true,
        handler: () => Effect.as(Deferred.await(release), "done")
      })
      const { engine } = yield* engineOf([slow])
      const { id } = paused(yield* engine.executeWithPause("return await tools.t.slow()"))
      const first = yield* Effect.forkChild(engine.resume(id, { action: "accept" }), { startImmediately: true })
      assert.strictEqual(yield* tagOf(engine.resume(id, { action: "decline" })), "InteractionAlreadyResolved")
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual((yield* Fiber.join(first)).status, "completed")
    })
  )

  it.effect("an answer to what does not wait says what state it is in", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([write])
      const finished = yield* engine.execute("return 1")
      const ended = yield* Effect.flip(engine.resume(finished.executionId, { action: "accept" }))
      assert.strictEqual(ended._tag, "ExecutionNotPaused")
      assert.match(ended.message, /has ended \(completed\)/)
      const unknown = engine.resume(ExecutionId.make("nobody"), { action: "accept" })
      assert.strictEqual(yield* tagOf(unknown), "ExecutionNotFound")
      const { id } = paused(yield* engine.executeWithPause("await tools.t.write({ n: 1 })"))
      const other = engine.resume(id, { action: "accept", interactionId: ExecutionInteractionId.make("other") })
      assert.strictEqual(yield* tagOf(other), "InteractionNotFound")
      yield* engine.cancel(id)
      assert.strictEqual(yield* tagOf(engine.resume(id, { action: "accept" })), "ExecutionNotPaused")
    })
  )

  it.effect("what is no answer is refused, from programs without types too", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([form])
      const { id } = paused(yield* engine.executeWithPause("return await tools.t.form()"))
      const bad: ReadonlyArray<readonly [unknown, RegExp]> = [
        [null, /`{ action, content\? }`/],
        ["accept", /`{ action, content\? }`/],
        [{ action: "yes" }, /`{ action, content\? }`/],
        [{ action: "accept", content: [] }, /`{ action, content\? }`/],
        [{ action: "accept", content: new Date(0) }, /`{ action, content\? }`/],
        [{ action: "accept", content: { age: 1 }, interactionId: 7 }, /`interactionId`/],
        [{ action: "accept", content: { age: 1 }, anyBuild: "yes" }, /`anyBuild`/],
        [{ action: "accept", content: { age: 1 }, resolvedBy: "x".repeat(256) }, /at most 255/],
        [{ action: "accept", content: { age: 1, more: "x".repeat(8 * 1024 * 1024) } }, /larger than 8388608 bytes/],
        [{ action: "accept", content: { age: 1n } }, /`content.age` is a number of more digits/]
      ]
      for (const [answer, message] of bad) {
        const refused = yield* Effect.flip(engine.resume(id, answer as InteractionAnswer))
        assert.deepStrictEqual([refused._tag, message.test(refused.message)], ["AnswerInvalid", true], refused.message)
      }
      const { status } = yield* engine.resume(id, {
        action: "accept",
        content: { age: 1 },
        resolvedBy: "x".repeat(255)
      })
      assert.strictEqual(status, "completed")
    })
  )

  it.effect("what is typed into a form is held against its schema; the question waits until it fits", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([form])
      const { id, interaction } = paused(yield* engine.executeWithPause("return await tools.t.form()"))
      assert.strictEqual(interaction.request.kind, "form")
      const wrong = yield* Effect.flip(engine.resume(id, { action: "accept", content: { age: "old" } }))
      assert.strictEqual(wrong._tag, "AnswerInvalid")
      assert.include(wrong.message, "content.age")
      assert.include((yield* Effect.flip(engine.resume(id, { action: "accept" }))).message, "content.age")
      assert.strictEqual(yield* tagOf(engine.resume(id, { action: "decline", content: { age: 1 } })), "AnswerInvalid")
      const finished = yield* engine.resume(id, { action: "accept", content: { age: 36 } })
      if (finished.status === "paused") assert.fail("it has no more questions")
      assert.deepStrictEqual(finished.result, { action: "accept", content: { age: 36 } })
      const [recorded] = yield* history.interactions(id)
      assert.strictEqual(recorded?.purpose, "tool_input")
      assert.strictEqual(recorded?.responseJson, `{"action":"accept"}`)
      assert.strictEqual(recorded?.responsePrivateJson, `{"content":{"age":36}}`)
    })
  )

  it.effect("an answered caller that goes away leaves the execution going on", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const slow = tool({
        name: "slow",
        description: "",
        requiresApproval: true,
        handler: () => Effect.as(Deferred.await(release), "done")
      })
      const { engine, history } = yield* engineOf([slow, write])
      const code = "const a = await tools.t.slow(); return [a, await tools.t.write({ n: 1 })]"
      const { id } = paused(yield* engine.executeWithPause(code))
      const caller = yield* Effect.forkChild(engine.resume(id, { action: "accept" }), { startImmediately: true })
      yield* Fiber.interrupt(caller)
      yield* Deferred.succeed(release, undefined)
      yield* Effect.repeat(history.row(id), { until: ({ status }) => status === "waiting_for_interaction" })
      const finished = yield* engine.resume(id, { action: "accept" })
      if (finished.status === "paused") assert.fail("it has no more questions")
      assert.deepStrictEqual(finished.result, ["done", "wrote 1"])
    })
  )

  describe("approvals granted beforehand", () => {
    it.effect("nobody is asked and nothing is recorded; others are asked", () =>
      Effect.gen(function* () {
        const { engine, history } = yield* engineOf([write, form])
        for (const approve of [["t.write"], ["t.*"], ["*.write"], ["*"]]) {
          const finished = yield* engine.executeWithPause("return await tools.t.write({ n: 1 })", { approve })
          if (finished.status === "paused") assert.fail(`asked under ${approve.join()}`)
          assert.strictEqual(finished.result, "wrote 1")
          assert.deepStrictEqual(yield* history.interactions(finished.executionId), [])
        }
        for (const approve of [["t.writ"], ["write"], ["u.*"], ["*.t"], ["t.write.*"]]) {
          const { id } = paused(yield* engine.executeWithPause("return await tools.t.write({ n: 1 })", { approve }))
          yield* engine.cancel(id)
        }
        const { id } = paused(yield* engine.executeWithPause("return await tools.t.form()", { approve: ["*"] }))
        yield* engine.cancel(id)
      })
    )
  })

  describe("inline handlers", () => {
    it.effect("are asked concurrently, and answer their own question in any order", () =>
      Effect.gen(function* () {
        const { engine, history } = yield* engineOf([write])
        const secondAnswered = yield* Deferred.make<void>()
        const onElicitation = ({ args }: ElicitationRequest) =>
          (args as { n: number }).n === 1
            ? Effect.as(Deferred.await(secondAnswered), { action: "accept" as const })
            : Effect.as(Deferred.succeed(secondAnswered, undefined), { action: "decline" as const })
        const finished = yield* engine.execute(both, { trigger: { kind: "cli" }, onElicitation })
        assert.deepStrictEqual(finished.result, ["wrote 1", "ElicitationDeclined decline"])
        const recorded = yield* history.interactions(finished.executionId)
        assert.deepStrictEqual(
          recorded.map(({ resolvedBy, responseJson }) => [responseJson, resolvedBy]),
          [
            [`{"action":"accept"}`, "cli"],
            [`{"action":"decline"}`, "cli"]
          ]
        )
      })
    )

    it.effect("without one, the question is recorded and answered with cancel", () =>
      Effect.gen(function* () {
        const { engine, history } = yield* engineOf([write])
        const finished = yield* engine.execute(both)
        assert.deepStrictEqual(finished.result, ["ElicitationDeclined cancel", "ElicitationDeclined cancel"])
        const [recorded] = yield* history.interactions(finished.executionId)
        assert.strictEqual(recorded?.status, "resolved")
        assert.strictEqual(recorded?.responseJson, `{"action":"cancel"}`)
        assert.strictEqual(recorded?.resolvedBy, null)
      })
    )

    it.effect("an answer that does not fit is asked for again with the reason, and given up in the end", () =>
      Effect.gen(function* () {
        const { engine } = yield* engineOf([form])
        const asked: Array<string> = []
        const answers: Array<unknown> = ["old", 36]
        const finished = yield* engine.execute("return await tools.t.form()", {
          onElicitation: ({ message }) =>
            Effect.sync(() => {
              asked.push(message)
              return { action: "accept", content: { age: answers.shift() } }
            })
        })
        assert.deepStrictEqual(finished.result, { action: "accept", content: { age: 36 } })
        assert.strictEqual(asked[0], "How old?")
        assert.match(asked[1] ?? "", /content\.age.*\nHow old\?/s)
        const stubborn = yield* engine.execute("return await tools.t.form()", {
          onElicitation: () => Effect.succeed({ action: "accept", content: { age: "old" } })
        })
        assert.deepStrictEqual(stubborn.result, { action: "cancel", content: null })
      })
    )

    it.effect("another surface may answer first, and one that dies counts as cancel", () =>
      Effect.gen(function* () {
        const { engine, history } = yield* engineOf([write])
        const asked = yield* Deferred.make<void>()
        const running = yield* Effect.forkChild(
          engine.execute("return await tools.t.write({ n: 1 })", {
            onElicitation: () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never)
          }),
          { startImmediately: true }
        )
        yield* Deferred.await(asked)
        const [row] = yield* history.rows
        yield* engine.resume(row!.id, { action: "accept", resolvedBy: "web" })
        assert.strictEqual((yield* Fiber.join(running)).result, "wrote 1")
        const died = yield* quietly(
          engine.execute("return await tools.t.write({ n: 1 })", {
            onElicitation: () => Effect.die(new Error("broken prompt"))
          })
        )
        assert.strictEqual(died.error?.name, "ElicitationDeclined")
      })
    )
  })

  describe("cancel", () => {
    it.effect("ends an execution that waits, and its questions", () =>
      Effect.gen(function* () {
        const { engine, history } = yield* engineOf([write])
        const { id } = paused(yield* engine.executeWithPause(both))
        yield* engine.cancel(id)
        const row = yield* history.row(id)
        assert.strictEqual(row.status, "cancelled")
        assert.match(row.errorText ?? "", /cancelled on request/)
        assert.isNotNull(row.completedAt)
        assert.deepStrictEqual(
          (yield* history.interactions(id)).map(({ status }) => status),
          ["cancelled", "cancelled"]
        )
        assert.deepStrictEqual(
          (yield* history.calls(id)).map(({ settleSeq, status }) => [status, settleSeq]),
          [
            ["failed", null],
            ["failed", null]
          ]
        )
        assert.strictEqual(yield* tagOf(engine.cancel(id)), "ExecutionNotCancellable")
        assert.strictEqual(yield* tagOf(engine.cancel(ExecutionId.make("nobody"))), "ExecutionNotFound")
      })
    )

    it.effect("ends one that runs: whoever waits for it gets the end, its call is in doubt", () =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const hang = tool({
          name: "hang",
          description: "",
          handler: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
        })
        const { engine, history } = yield* engineOf([hang], { adapter: yield* sqlite })
        const running = yield* Effect.forkChild(engine.executeWithPause("await tools.t.hang()"), {
          startImmediately: true
        })
        yield* Deferred.await(begun)
        const [row] = yield* history.rows
        yield* engine.cancel(row!.id)
        const outcome = yield* Fiber.join(running)
        assert.strictEqual(outcome.status, "cancelled")
        assert.strictEqual((yield* history.row(row!.id)).status, "cancelled")
        assert.deepStrictEqual(
          (yield* history.calls(row!.id)).map(({ status }) => status),
          ["in_doubt"]
        )
      })
    )

    it.effect("ends a program that computes", () =>
      Effect.gen(function* () {
        const started = yield* Deferred.make<void>()
        const start = tool({ name: "start", description: "", handler: () => Deferred.succeed(started, undefined) })
        const { engine, history } = yield* engineOf([start])
        const running = yield* Effect.forkChild(engine.execute("await tools.t.start(); for (;;) {}"), {
          startImmediately: true
        })
        yield* Deferred.await(started)
        const [row] = yield* history.rows
        yield* engine.cancel(row!.id)
        assert.strictEqual((yield* Fiber.join(running)).status, "cancelled")
      })
    )

    it.effect("closing the engine ends what runs, and leaves what waits to others", () =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const hang = tool({
          name: "hang",
          description: "",
          handler: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
        })
        const adapter = yield* sqlite
        const rows = yield* Effect.scoped(
          Effect.gen(function* () {
            const { engine, history } = yield* engineOf([hang, write], { adapter })
            yield* Effect.forkChild(engine.execute("await tools.t.hang()"), { startImmediately: true })
            yield* engine.executeWithPause("await tools.t.write({ n: 1 })")
            yield* Deferred.await(begun)
            return history.rows
          })
        )
        assert.deepStrictEqual(
          (yield* rows).map(({ errorText, status }) => [status, errorText?.includes("engine")]),
          [
            ["waiting_for_interaction", undefined],
            ["cancelled", true]
          ]
        )
      })
    )
  })
})
