/**
 * Executions that run to their end, and what is recorded of them.
 */
import type { SubmissionError } from "@executor/execution"
import { CodeExecutionError, CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { tool, ToolFailed } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { add, engineOf, executorOf, historyOf, memory, quietly, sqlite } from "./support/harness.ts"

const fail = tool({
  name: "fail",
  description: "Fails with data.",
  handler: () => Effect.fail(new ToolFailed({ path: "t.fail", message: "no luck", data: { code: 7 } }))
})

const live = { excludeTestServices: true } as const

layer(QuickJsExecutor.layer(), live)("execute", (it) => {
  it.effect("records the execution, each call and each outcome in SQLite", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([add, fail], { adapter: yield* sqlite })
      const code = `
        console.log("start")
        const sum: number = await tools.t.add({ a: 1, b: 2 })
        try { await tools.t.fail() } catch (error) { console.warn(error.name, error.message, error.data.code) }
        return { sum }`
      const finished = yield* engine.execute(code, { trigger: { kind: "cli", meta: { user: "ada" } } })
      assert.strictEqual(finished.status, "completed")
      assert.deepStrictEqual(finished.result, { sum: 3 })
      assert.strictEqual(finished.resultJson, `{"sum":3}`)
      assert.strictEqual(finished.toolCallCount, 2)
      assert.deepStrictEqual(
        finished.logs.map(({ level, message }) => [level, message]),
        [
          ["log", "start"],
          ["warn", "ToolFailed no luck 7"]
        ]
      )
      const row = yield* history.row(finished.executionId)
      assert.strictEqual(row.status, "completed")
      assert.strictEqual(row.code, code)
      assert.strictEqual(row.resultJson, `{"sum":3}`)
      assert.strictEqual(row.errorText, null)
      assert.deepStrictEqual(JSON.parse(row.logsJson ?? ""), finished.logs)
      assert.strictEqual(row.triggerKind, "cli")
      assert.strictEqual(row.triggerMetaJson, `{"user":"ada"}`)
      assert.strictEqual(row.toolCallCount, 2)
      assert.strictEqual(row.durationMs, finished.durationMs)
      assert.strictEqual(row.completedAt, (row.startedAt ?? 0) + finished.durationMs)
      assert.isTrue(row.journalComplete)
      assert.isNotNull(row.owner)
      assert.match(row.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
      const calls = yield* history.calls(finished.executionId)
      assert.deepStrictEqual(
        calls.map(({ argsJson, errorText, resultJson, seq, settleSeq, status, toolPath }) => ({
          seq,
          settleSeq,
          status,
          toolPath,
          argsJson,
          resultJson,
          error: errorText === null ? null : JSON.parse(errorText)
        })),
        [
          {
            seq: 0,
            settleSeq: 0,
            status: "completed",
            toolPath: "t.add",
            argsJson: `{"a":1,"b":2}`,
            resultJson: "3",
            error: null
          },
          {
            seq: 1,
            settleSeq: 1,
            status: "failed",
            toolPath: "t.fail",
            argsJson: null,
            resultJson: null,
            error: { name: "ToolFailed", message: "no luck", data: { code: 7 } }
          }
        ]
      )
      assert.strictEqual(calls[0]?.idempotencyKey, `${finished.executionId}:0`)
    })
  )

  it.effect("the row is there, running, and so is the intent, when a tool begins", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const adapter = yield* memory
      const history = historyOf(yield* executorOf(adapter, []))
      const peek = tool({
        name: "peek",
        description: "Looks at the history.",
        handler: () =>
          Effect.gen(function* () {
            const [row] = yield* history.rows
            const [call] = yield* history.calls(row!.id)
            seen.push(row?.status, call?.status, call?.toolPath, row?.toolCallCount)
          })
      })
      const { engine } = yield* engineOf([peek], { adapter })
      yield* engine.execute("await tools.t.peek()")
      assert.deepStrictEqual(seen, ["running", "running", "t.peek", 1])
    })
  )

  it.effect("an outcome is recorded before the code can act on it", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const adapter = yield* memory
      const history = historyOf(yield* executorOf(adapter, []))
      const peek = tool({
        name: "peek",
        description: "Looks at the history.",
        handler: () =>
          Effect.gen(function* () {
            const [row] = yield* history.rows
            const [first] = yield* history.calls(row!.id)
            seen.push(first?.status, first?.resultJson)
          })
      })
      const { engine } = yield* engineOf([add, peek], { adapter })
      yield* engine.execute("await tools.t.add({ a: 1, b: 1 }); await tools.t.peek()")
      assert.deepStrictEqual(seen, ["completed", "2"])
    })
  )

  it.effect("a program that throws fails with its error and its place", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([])
      const finished = yield* engine.execute(`const x: number = 1\nthrow new TypeError("bad " + x)`)
      assert.strictEqual(finished.status, "failed")
      assert.strictEqual(finished.error?.name, "TypeError")
      assert.strictEqual(finished.error?.line, 2)
      const row = yield* history.row(finished.executionId)
      assert.strictEqual(row.status, "failed")
      assert.match(row.errorText ?? "", /^TypeError: bad 1 \(line 2, column \d+\)$/)
    })
  )

  it.effect("what breaks inside the host is told to its log, and to the code only by reference", () =>
    Effect.gen(function* () {
      const breaks = tool({
        name: "breaks",
        description: "",
        handler: () => ({
          toJSON: () => {
            throw new Error("secret /etc/passwd")
          }
        })
      })
      const { engine } = yield* engineOf([breaks])
      const finished = yield* quietly(
        engine.execute("try { await tools.t.breaks() } catch (e) { return [e.name, e.message] }")
      )
      const [name, message] = finished.result as [string, string]
      assert.strictEqual(name, "InternalError")
      assert.notInclude(message, "secret")
      assert.include(message, `${finished.executionId}:0`)
    })
  )

  it.effect("a sandbox that fails or dies ends the execution as failed, and leaks nothing", () =>
    Effect.gen(function* () {
      const ends = (exit: Effect.Effect<never, CodeExecutionError>) =>
        Effect.gen(function* () {
          const codeExecutor = CodeExecutor.of({ build: "broken", execute: () => exit })
          const { engine, history } = yield* engineOf([], { codeExecutor })
          const { error, executionId, status } = yield* engine.execute("return 1")
          const row = yield* history.row(executionId)
          assert.deepStrictEqual([status, row.status], ["failed", "failed"])
          assert.strictEqual(row.errorText, `${error?.name}: ${error?.message}`)
          return [error?.name, error?.message.replace(executionId, "<id>")]
        })
      assert.deepStrictEqual(yield* ends(Effect.fail(new CodeExecutionError({ message: "The worker died." }))), [
        "CodeExecutionError",
        "The worker died."
      ])
      const [name, message] = yield* quietly(ends(Effect.die(new Error("secret /etc/passwd"))))
      assert.strictEqual(name, "InternalError")
      assert.include(message, `"<id>"`)
      assert.notInclude(message, "secret")
    })
  )

  it.effect("a value that is no JSON rejects the call with its place, and is recorded", () =>
    Effect.gen(function* () {
      const big = tool({ name: "big", description: "", handler: () => ({ items: [Symbol("s")] }) })
      const { engine, history } = yield* engineOf([big])
      const finished = yield* engine.execute("try { await tools.t.big() } catch (e) { return [e.name, e.message] }")
      const [name, message] = finished.result as [string, string]
      assert.strictEqual(name, "UnserializableValue")
      assert.include(message, "t.big.items[0]")
      const [call] = yield* history.calls(finished.executionId)
      assert.strictEqual(call?.status, "failed")
      assert.strictEqual(JSON.parse(call?.errorText ?? "").name, "UnserializableValue")
    })
  )

  it.effect("a tool result over its limit rejects the call, which names the limit", () =>
    Effect.gen(function* () {
      const long = tool({ name: "long", description: "", handler: () => "x".repeat(2000) })
      const { engine } = yield* engineOf([long])
      const finished = yield* engine.execute("try { await tools.t.long() } catch (e) { return [e.name, e.message] }", {
        limits: { toolResultBytes: 1000 }
      })
      const [name, message] = finished.result as [string, string]
      assert.strictEqual(name, "LimitExceeded")
      assert.include(message, "toolResultBytes")
    })
  )

  it.effect("built-in tools find, describe and list, are journaled, and refuse wrong input by field", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([add, fail])
      const finished = yield* engine.execute(`
        const [match] = await tools.search({ query: "adds" })
        const schema = await tools.describe.tool({ path: match.path })
        const sources = await tools.executor.sources.list()
        let wrong
        try { await tools.search({ quer: "x", limit: 0 }) } catch (error) { wrong = [error.name, error.message] }
        await new Promise((resolve) => setTimeout(resolve, 1))
        return { path: match.path, required: schema.inputSchema.required, sources, wrong }`)
      assert.strictEqual(finished.error, undefined)
      const result = finished.result as {
        path: string
        required: Array<string>
        sources: Array<unknown>
        wrong: [string, string]
      }
      assert.strictEqual(result.path, "t.add")
      assert.deepStrictEqual(result.required, ["a", "b"])
      assert.deepStrictEqual(result.sources, [
        { namespace: "t", pluginId: "tests", kind: "static", description: "Test tools.", toolCount: 2 }
      ])
      assert.strictEqual(result.wrong[0], "ToolInputInvalid")
      assert.include(result.wrong[1], "`query`")
      assert.include(result.wrong[1], "`quer`")
      assert.include(result.wrong[1], "`limit`")
      const calls = yield* history.calls(finished.executionId)
      assert.deepStrictEqual(
        calls.map(({ status, toolPath }) => [toolPath, status]),
        [
          ["search", "completed"],
          ["describe.tool", "completed"],
          ["executor.sources.list", "completed"],
          ["search", "failed"],
          ["executor.sleep", "completed"]
        ]
      )
    })
  )

  it.effect("a submission that is none is refused whole: nothing runs, nothing is recorded", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([])
      const refused = (effect: Effect.Effect<unknown, SubmissionError>) =>
        Effect.map(Effect.flip(effect), (error) =>
          error._tag === "ExecutionRefused" ? [error.field, error.message] : assert.fail(error.message)
        )
      const cases: ReadonlyArray<readonly [string, RegExp, Effect.Effect<unknown, SubmissionError>]> = [
        ["code", /empty/, engine.execute("  \n")],
        ["code", /sourceBytes/, engine.execute(`return "${"é".repeat(80)}"`, { limits: { sourceBytes: 100 } })],
        ["trigger", /kind/, engine.execute("return 1", { trigger: { kind: "Not A Kind" } })],
        [
          "trigger",
          /4096/,
          engine.execute("return 1", { trigger: { kind: "http", meta: { user: "x".repeat(4096) } } })
        ],
        ["limits", /cpuTimeMs/, engine.execute("return 1", { limits: { cpuTimeMs: -1 } })],
        ["limits", /`speed`/, engine.execute("return 1", { limits: { speed: 1 } as {} })],
        ["approve", /git\*/, engine.execute("return 1", { approve: ["t.*", "git*"] })],
        ["approve", /empty/, engine.executeWithPause("return 1", { approve: ["a..b"] })],
        ["code", /surrogate/, engine.execute('return "\ud83d"')],
        ["idempotencyKey", /Unicode/, engine.execute("return 1", { idempotencyKey: "\ud83d" })]
      ]
      for (const [field, pattern, effect] of cases) {
        const [actual, message] = yield* refused(effect)
        assert.strictEqual(actual, field)
        assert.match(message ?? "", pattern)
      }
      assert.deepStrictEqual(yield* history.rows, [])
    })
  )

  it.effect("events tell what happens, in order", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([add])
      const subscribed = yield* Deferred.make<void>()
      const events = yield* engine.events.pipe(
        Stream.onStart(Deferred.succeed(subscribed, undefined)),
        Stream.takeUntil((event) => event._tag === "ExecutionFinished"),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      yield* Deferred.await(subscribed)
      yield* engine.execute("return await tools.t.add({ a: 1, b: 1 })")
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(events), ({ _tag }) => _tag),
        ["ExecutionStarted", "ToolCallStarted", "ToolCallFinished", "ExecutionFinished"]
      )
    })
  )

  it.effect("a caller that goes away ends the execution, and its row says so", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const hang = tool({
        name: "hang",
        description: "",
        handler: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
      })
      const { engine, history } = yield* engineOf([hang])
      const caller = yield* Effect.forkChild(engine.execute("await tools.t.hang()"), { startImmediately: true })
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(caller)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(caller)))
      const [row] = yield* history.rows
      assert.strictEqual(row?.status, "cancelled")
      assert.match(row?.errorText ?? "", /caller went away/)
      const [call] = yield* history.calls(row!.id)
      assert.strictEqual(call?.status, "in_doubt")
      assert.strictEqual(row?.toolCallCount, 1)
    })
  )

  it.effect("the description is short, and shows sources as bounded quoted lines", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([add])
      const text = yield* engine.getDescription
      assert.isBelow(text.length, 2500)
      assert.include(text, `- t (1 tool): "Test tools."`)
    })
  )
})
