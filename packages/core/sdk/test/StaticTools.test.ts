import {
  createExecutor,
  definePlugin,
  type ElicitationRequest,
  type ElicitationResponse,
  ElicitationDeclined,
  ExecutorInvalid,
  MemoryAdapter,
  type Plugin,
  type StaticTool,
  tool,
  ToolFailed,
  ToolInputInvalid,
  ToolNotFound
} from "@executor/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { z } from "zod"

const executorOf = (...tools: ReadonlyArray<StaticTool>) =>
  createExecutor({
    scopes: ["team"],
    adapter: MemoryAdapter.make(),
    plugins: [definePlugin({ id: "local", staticSources: [{ namespace: "local", tools }] })]
  })

const make = (plugin: Plugin) =>
  createExecutor({ scopes: ["team"], adapter: MemoryAdapter.make(), plugins: [plugin] }).pipe(Effect.scoped)

describe("input", () => {
  const issue = tool({
    name: "issues.create",
    description: "Opens an issue.",
    input: Schema.Struct({
      title: Schema.String,
      labels: Schema.optionalKey(Schema.Array(Schema.String)),
      due: Schema.optionalKey(Schema.DateTimeUtcFromString)
    }),
    handler: ({ title, labels = [], due }) => ({ title: title.toUpperCase(), labels: labels.length, due: due?._tag })
  })

  it.effect("an effect schema decodes what the handler gets", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(issue)
      const result = yield* executor.tools.invoke("local.issues.create", { title: "a", due: "2026-01-02T03:04:05Z" })
      assert.deepStrictEqual(result, { title: "A", labels: 0, due: "Utc" })
    })
  )

  it.effect("every wrong field is named, with what was expected, and nothing runs", () =>
    Effect.gen(function* () {
      let ran = false
      const executor = yield* executorOf(
        tool({
          name: "create",
          description: "",
          input: {
            type: "object",
            properties: {
              title: { type: "string" },
              count: { type: "integer", minimum: 1 },
              state: { enum: ["open", "closed"] },
              labels: {
                type: "array",
                items: { type: "object", properties: { name: { type: "string" } }, required: ["name"] }
              },
              who: { anyOf: [{ type: "string" }, { type: "number" }] },
              parent: { anyOf: [{ type: "object", properties: { id: { type: "number" } } }, { type: "null" }] }
            },
            required: ["title", "count"],
            additionalProperties: false
          },
          handler: () => {
            ran = true
          }
        })
      )
      const error = yield* Effect.flip(
        executor.tools.invoke("local.create", {
          count: 0,
          state: "ajar",
          labels: [{ name: "x" }, {}],
          who: true,
          parent: { id: "7" },
          titel: "typo"
        })
      )
      assert(error instanceof ToolInputInvalid)
      assert.isFalse(ran)
      assert.deepStrictEqual(Object.fromEntries(error.issues.map(({ field, message }) => [field, message])), {
        title: "is required: expected string",
        count: "0 is less than 1",
        state: 'expected "open" | "closed", got "ajar"',
        "labels[1].name": "is required: expected string",
        who: "expected string | number, got true",
        "parent.id": 'expected number, got "7"',
        titel: "is unknown: the fields are title, count, state, labels, who, parent"
      })
      assert.include(error.message, "local.create")
      for (const { field } of error.issues) assert.include(error.message, field)
    })
  )

  it.effect("effect and Standard Schemas name the field too, and effect refuses unknown fields", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(
        issue,
        tool({
          name: "zod",
          description: "",
          input: z.strictObject({ a: z.object({ b: z.array(z.number()) }) }),
          handler: ({ a }) => a.b.length
        })
      )
      const effectError = yield* Effect.flip(executor.tools.invoke("local.issues.create", { labels: [1], titel: "x" }))
      assert(effectError instanceof ToolInputInvalid)
      assert.sameMembers(
        effectError.issues.map((each) => each.field),
        ["title", "labels[0]", "titel"]
      )
      const zodError = yield* Effect.flip(executor.tools.invoke("local.zod", { a: { b: [1, "2"] } }))
      assert(zodError instanceof ToolInputInvalid)
      assert.deepStrictEqual(
        zodError.issues.map((each) => each.field),
        ["a.b[1]"]
      )
      assert.strictEqual(yield* executor.tools.invoke("local.zod", { a: { b: [1, 2] } }), 2)
    })
  )

  it.effect("what JSON cannot carry is refused by name", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(tool({ name: "any", description: "", input: true, handler: (input) => input }))
      const cyclic: Record<string, unknown> = {}
      cyclic["self"] = cyclic
      for (const [value, field] of [
        [{ a: [Symbol("s")] }, "a[0]"],
        [{ a: { b: Number.NaN } }, "a.b"],
        [{ a: new Map() }, "a"],
        [{ "a b": () => 1 }, '["a b"]']
      ] as const) {
        const error = yield* Effect.flip(executor.tools.invoke("local.any", value))
        assert(error instanceof ToolInputInvalid)
        assert.strictEqual(error.issues[0]?.field, field)
      }
      assert.instanceOf(yield* Effect.flip(executor.tools.invoke("local.any", cyclic)), ToolInputInvalid)
      assert.deepStrictEqual(
        yield* executor.tools.invoke("local.any", { a: undefined, b: new Date(0), c: JSON.parse('{"__proto__":1}') }),
        { b: "1970-01-01T00:00:00.000Z", c: JSON.parse('{"__proto__":1}') }
      )
    })
  )

  it.effect("a tool without input takes nothing, an empty object, and no more", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(tool({ name: "now", description: "", handler: () => 1 }))
      assert.strictEqual(yield* executor.tools.invoke("local.now", undefined), 1)
      assert.strictEqual(yield* executor.tools.invoke("local.now", {}), 1)
      assert.instanceOf(yield* Effect.flip(executor.tools.invoke("local.now", { a: 1 })), ToolInputInvalid)
    })
  )
})

describe("approval", () => {
  const asked = () => {
    const requests: Array<ElicitationRequest> = []
    let runs: ReadonlyArray<unknown> = []
    const remove = tool({
      name: "remove",
      description: "",
      input: { type: "object" },
      requiresApproval: true,
      handler: (input) => {
        runs = [...runs, input]
        return "removed"
      }
    })
    const answer = (response: ElicitationResponse) => (request: ElicitationRequest) => {
      requests.push(request)
      return Effect.sync(() => {
        assert.deepStrictEqual(runs, [])
        return response
      })
    }
    return { remove, requests, answer, runs: () => runs }
  }

  it.effect("asks before the tool runs, and runs with the arguments that were shown", () =>
    Effect.gen(function* () {
      const { remove, requests, answer, runs } = asked()
      const executor = yield* executorOf(remove)
      const args = { id: 1 }
      const started: Array<string> = []
      const result = yield* executor.tools.invoke("local.remove", args, {
        onElicitation: (request) => {
          args.id = 2
          assert.deepStrictEqual(started, [])
          return answer({ action: "accept" })(request)
        },
        onStart: (tool) => void started.push(tool.path)
      })
      assert.strictEqual(result, "removed")
      assert.deepStrictEqual(started, ["local.remove"])
      assert.deepStrictEqual(runs(), [{ id: 1 }])
      assert.deepStrictEqual(requests, [
        { kind: "approval", message: 'Allow local.remove with {"id":1}?', toolPath: "local.remove", args: { id: 1 } }
      ])
    })
  )

  it.effect("decline, cancel, and nobody to ask end in a typed error, and nothing runs", () =>
    Effect.gen(function* () {
      const { remove, answer, runs } = asked()
      const executor = yield* executorOf(remove)
      for (const action of ["decline", "cancel"] as const) {
        const error = yield* Effect.flip(
          executor.tools.invoke("local.remove", {}, { onElicitation: answer({ action }) })
        )
        assert(error instanceof ElicitationDeclined)
        assert.strictEqual(error.action, action)
      }
      const error = yield* Effect.flip(executor.tools.invoke("local.remove", {}))
      assert(error instanceof ElicitationDeclined)
      assert.strictEqual(error.action, "cancel")
      assert.deepStrictEqual(runs(), [])
    })
  )

  it.effect("wrong input is refused before anybody is asked", () =>
    Effect.gen(function* () {
      const { remove, requests, answer } = asked()
      const executor = yield* executorOf(remove)
      const error = yield* Effect.flip(
        executor.tools.invoke("local.remove", "x", { onElicitation: answer({ action: "accept" }) })
      )
      assert.instanceOf(error, ToolInputInvalid)
      assert.deepStrictEqual(requests, [])
    })
  )
})

describe("handlers", () => {
  it.effect("a value, a promise, an effect", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(
        tool({ name: "value", description: "", handler: () => 1 }),
        tool({ name: "promise", description: "", handler: () => Promise.resolve(2) }),
        tool({ name: "effect", description: "", handler: () => Effect.succeed(3) })
      )
      const results = yield* Effect.forEach(["value", "promise", "effect"], (name) =>
        executor.tools.invoke(`local.${name}`, {})
      )
      assert.deepStrictEqual(results, [1, 2, 3])
    })
  )

  it.effect("every way to fail is a ToolFailed with the author's message and no stack", () =>
    Effect.gen(function* () {
      class Missing extends Schema.TaggedError<Missing>()("Missing", { id: Schema.String }) {}
      const executor = yield* executorOf(
        tool({
          name: "throws",
          description: "",
          handler: () => {
            throw new Error("no such user")
          }
        }),
        tool({ name: "rejects", description: "", handler: () => Promise.reject(new TypeError("bad type")) }),
        tool({ name: "fails", description: "", handler: () => Effect.fail(new Missing({ id: "7" })) }),
        tool({ name: "dies", description: "", handler: () => Effect.die({ code: 42 }) }),
        tool({ name: "text", description: "", handler: () => Effect.fail("just text") })
      )
      const messages = yield* Effect.forEach(["throws", "rejects", "fails", "dies", "text"], (name) =>
        Effect.map(Effect.flip(executor.tools.invoke(`local.${name}`, {})), (error) => {
          assert(error instanceof ToolFailed)
          assert.strictEqual(error.path, `local.${name}`)
          assert.notInclude(error.message, ".ts:")
          return error.message
        })
      )
      assert.deepStrictEqual(messages, [
        "no such user",
        "bad type",
        "Missing",
        'failed with a value that is not an error: {"code":42}',
        "just text"
      ])
    })
  )

  it.effect("interruption reaches effects, and promises through the signal", () =>
    Effect.gen(function* () {
      const running = yield* Deferred.make<void>()
      const stopped: Array<string> = []
      const executor = yield* executorOf(
        tool({
          name: "effect",
          description: "",
          handler: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => stopped.push("effect")))
        }),
        tool({
          name: "promise",
          description: "",
          handler: (_, { signal }) =>
            new Promise(() => {
              signal.addEventListener("abort", () => stopped.push("promise"))
              Deferred.doneUnsafe(running, Exit.void)
            })
        })
      )
      for (const name of ["effect", "promise"]) {
        const fiber = yield* Effect.forkChild(executor.tools.invoke(`local.${name}`, {}))
        yield* name === "promise" ? Deferred.await(running) : Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      }
      assert.deepStrictEqual(stopped, ["effect", "promise"])
    })
  )

  it.effect("a tool can ask; its question names it whatever it claims", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(
        tool({
          name: "ask",
          description: "",
          handler: (_, context) =>
            context.elicit({ kind: "form", message: "Sure?\u202E", toolPath: "other.tool", args: 1 })
        })
      )
      const seen: Array<ElicitationRequest> = []
      const answer = yield* executor.tools.invoke(
        "local.ask",
        {},
        {
          onElicitation: (request) => {
            seen.push(request)
            return Effect.succeed({ action: "accept", content: { yes: true } })
          }
        }
      )
      assert.deepStrictEqual(answer, { action: "accept", content: { yes: true } })
      assert.deepStrictEqual(seen, [{ kind: "form", message: "Sure?", toolPath: "local.ask", args: {} }])
      assert.deepStrictEqual(yield* executor.tools.invoke("local.ask", {}), { action: "cancel" })
    })
  )
})

describe("definitions", () => {
  const refused = (plugin: Plugin) =>
    Effect.map(Effect.flip(make(plugin)), (error) => {
      assert(error instanceof ExecutorInvalid)
      return error.message
    })
  const source = (namespace: string, ...tools: ReadonlyArray<StaticTool>) =>
    definePlugin({ id: "p", staticSources: [{ namespace, tools }] })
  const named = (name: string) => tool({ name, description: "", handler: () => 1 })

  it.effect("bad and reserved namespaces and names are refused", () =>
    Effect.gen(function* () {
      for (const namespace of ["executor", "search", "describe", "1a", "a.b", "", "a b"]) {
        assert.include(yield* refused(source(namespace)), "namespace")
      }
      for (const name of ["", "a..b", "a b", "x".repeat(300)]) {
        assert.include(yield* refused(source("ok", named(name))), 'plugin "p"')
      }
      assert.include(yield* refused(source("ok", named("a"), named("a"))), "ok.a is given twice")
      assert.include(
        yield* refused(
          definePlugin({
            id: "p",
            staticSources: [
              { namespace: "a", tools: [] },
              { namespace: "a", tools: [] }
            ]
          })
        ),
        "taken"
      )
    })
  )

  it.effect("a schema without a JSON Schema says what to do", () =>
    Effect.gen(function* () {
      const bare = { "~standard": { version: 1, vendor: "tiny", validate: (value: unknown) => ({ value }) } } as const
      assert.match(
        yield* refused(source("ok", tool({ name: "a", description: "", input: bare, handler: () => 1 }))),
        /ok\.a.*"tiny".*JSON Schema/
      )
      assert.match(
        yield* refused(
          source("ok", tool({ name: "a", description: "", input: z.object({ d: z.date() }), handler: () => 1 }))
        ),
        /ok\.a.*"zod".*JSON Schema/
      )
    })
  )

  it.effect("scopes are wanted, each once", () =>
    Effect.gen(function* () {
      for (const scopes of [[], [""], ["a", "a"]]) {
        const error = yield* Effect.flip(createExecutor({ scopes, adapter: MemoryAdapter.make() }).pipe(Effect.scoped))
        assert.include(error.message, "scopes")
      }
    })
  )

  it.effect("an unknown path names near ones", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(named("issues.create"), named("issues.list"), named("users.get"))
      const error = yield* Effect.flip(executor.tools.invoke("local.issue.create", {}))
      assert(error instanceof ToolNotFound)
      assert.strictEqual(error.suggestions[0], "local.issues.create")
      assert.include(error.message, "local.issues.create")
    })
  )
})
