import { assert, describe, it } from "@effect/vitest"
import {
  catalogMaxAgeMillis,
  createExecutor,
  DBAdapter,
  DBError,
  definePlugin,
  ListOptionsInvalid,
  MemoryAdapter,
  type OmittedTool,
  SourceInvalid,
  SourceNotFound,
  SourceUnavailable,
  tool,
  type ToolDefinition,
  ToolFailed,
  ToolInputInvalid,
  ToolNotFound
} from "@executor/sdk"
import { Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"

const definition = (name: string, rest: Partial<ToolDefinition> = {}): ToolDefinition => ({
  name,
  description: `Does ${name}.`,
  inputSchema: { type: "object", properties: { n: { type: "number" } } },
  requiresApproval: false,
  annotations: {},
  ...rest
})

/** A kind of source whose servers live in this test: what they offer and whether they work is set from outside. */
const makeWorld = () => {
  const world = {
    tools: [definition("echo"), definition("fail"), definition("drop")] as ReadonlyArray<ToolDefinition>,
    omitted: [] as ReadonlyArray<OmittedTool>,
    opened: 0,
    closed: 0,
    calls: [] as Array<unknown>,
    opening: Effect.void as Effect.Effect<void, SourceUnavailable>,
    open: true
  }
  const plugin = definePlugin({
    id: "world",
    source: {
      config: Schema.Struct({ name: Schema.String }),
      describe: ({ name }) => `World ${name}`,
      open: ({ name }, { namespace }) =>
        Effect.gen(function* () {
          yield* world.opening
          yield* Effect.acquireRelease(
            Effect.sync(() => world.opened++),
            () => Effect.sync(() => world.closed++)
          )
          return {
            isOpen: () => world.open,
            listTools: Effect.sync(() => ({ tools: world.tools, omitted: world.omitted })),
            invoke: (tool, args, context) => {
              world.calls.push({ tool: tool.binding ?? tool.name, args })
              switch (tool.name) {
                case "fail":
                  return Effect.fail(new ToolFailed({ path: context.path, message: "no" }))
                case "drop":
                  return Effect.fail(new SourceUnavailable({ namespace, message: "gone" }))
                default:
                  return Effect.succeed({ name, args })
              }
            }
          }
        })
    }
  })
  const executor = (adapter: DBAdapter["Service"], ...scopes: ReadonlyArray<string>) =>
    createExecutor({ scopes: scopes.length === 0 ? ["team"] : scopes, adapter, plugins: [plugin] })
  return { world, plugin, executor }
}

const source = (namespace: string, name = namespace) => ({ namespace, pluginId: "world", config: { name } })

describe("sources", () => {
  it.effect("are stored with their tools, and another executor lists, searches and describes them unopened", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      world.tools = [
        definition("echo", { title: "Echo!", annotations: { readOnly: true }, outputSchema: { type: "string" } })
      ]
      const added = yield* Effect.scoped(
        Effect.flatMap(executor(adapter), (first) => first.sources.add(source("earth")))
      )
      assert.deepInclude(added, { namespace: "earth", kind: "dynamic", description: "World earth", toolCount: 1 })
      assert.deepInclude(world, { opened: 1, closed: 1 })

      const second = yield* executor(adapter)
      assert.deepStrictEqual(yield* second.sources.list(), [added])
      assert.strictEqual((yield* second.tools.search({ query: "echo" }))[0]?.tool.path, "earth.echo")
      assert.deepInclude((yield* second.tools.list())[0], { name: "Echo!", annotations: { readOnly: true } })
      assert.strictEqual(
        (yield* second.tools.schema("earth.echo")).signature,
        "tools.earth.echo(input?: { n?: number }): Promise<string>"
      )
      assert.strictEqual(world.opened, 1)
      assert.deepStrictEqual(yield* second.tools.invoke("earth.echo", { n: 1 }), { name: "earth", args: { n: 1 } })
      assert.strictEqual(world.opened, 2)
    })
  )

  it.effect("are described by their configuration, whatever an older build has stored as their description", () =>
    Effect.gen(function* () {
      const { executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      yield* (yield* executor(adapter)).sources.add(source("earth"))
      const set = { description: "node world.mjs --api-key=sk-live-123" }
      const where = { op: "eq", column: "namespace", value: "earth" } as const
      yield* adapter.write([{ op: "update", table: "source", where, set }])
      const shown = (yield* (yield* executor(adapter)).sources.list()).map(({ description }) => description)
      assert.deepStrictEqual(shown, ["World earth"])
      const without = yield* createExecutor({ scopes: ["team"], adapter, plugins: [] })
      assert.deepStrictEqual(
        (yield* without.sources.list()).map(({ description }) => description),
        [""]
      )
    })
  )

  it.effect("with a bad namespace, plugin or configuration are refused, and nothing is stored", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      const it = yield* executor(adapter)
      const refused = (input: { namespace: string; pluginId: string; config: unknown }, message: string) =>
        Effect.map(Effect.flip(it.sources.add(input)), (error) => {
          assert(error instanceof SourceInvalid)
          assert.include(error.message, message)
        })
      yield* refused(source("search"), "reserved")
      yield* refused(source("a.b"), "namespace")
      yield* refused({ ...source("a"), pluginId: "nope" }, "these can: world")
      yield* refused({ ...source("a"), config: { name: 1 } }, "name")
      yield* refused({ ...source("a"), config: { name: "x", extra: 1 } }, "extra")
      world.opening = Effect.fail(new SourceUnavailable({ namespace: "a", message: "cannot start" }))
      assert.instanceOf(yield* Effect.flip(it.sources.add(source("a"))), SourceUnavailable)
      assert.deepStrictEqual(yield* adapter.find({ table: "source" }), [])
      assert.strictEqual(world.opened, world.closed)
    })
  )

  it.effect("a tool that cannot be stored is left out by name, and hides no other", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const long = { description: "x", enum: ["y".repeat(600_000)] }
      world.tools = [
        definition("good"),
        definition("a b", { binding: "a/b" }),
        definition("good", { description: "The second." }),
        definition("wide", { inputSchema: long }),
        definition("odd", { inputSchema: { default: Symbol("none") } }),
        definition("nulls", {
          inputSchema: {
            type: "object",
            properties: { n: { type: "number", description: null, default: null } },
            required: null
          }
        }),
        definition("result", { outputSchema: long })
      ]
      world.omitted = [{ name: "bro\u202Eken", reason: "its \u0000name is odd" }]
      const it = yield* executor(MemoryAdapter.make())
      const added = yield* it.sources.add(source("earth"))
      assert.strictEqual(added.toolCount, 3)
      assert.deepStrictEqual(
        added.omitted?.map(({ name, reason }) => [name, reason.slice(0, 24)]),
        [
          ["broken", "its name is odd"],
          ["a/b", "a tool name is segments "],
          ["good", "a tool before it has the"],
          ["wide", "its input schema is no J"],
          ["odd", "its input schema is no J"]
        ]
      )
      assert.deepStrictEqual((yield* it.sources.refresh("earth")).omitted, added.omitted)
      assert.notProperty((yield* it.sources.list())[0], "omitted")
      assert.strictEqual((yield* it.tools.schema("earth.good")).description, "Does good.")
      assert.deepStrictEqual((yield* it.tools.schema("earth.nulls")).inputSchema, {
        type: "object",
        properties: { n: { type: "number", default: null } }
      })
      assert.notProperty(yield* it.tools.schema("earth.result"), "outputSchema")
      assert.deepStrictEqual(yield* it.tools.invoke("earth.nulls", {}), { name: "earth", args: {} })
      world.tools = []
      world.omitted = []
      assert.notProperty(yield* it.sources.refresh("earth"), "omitted")
    })
  )

  it.effect("text from a source is whole where it is described, cut in lists, and cleaned of what nobody sees", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      world.tools = [
        definition("echo", {
          description: `Ec\u0000ho\u202E \u{E0041}${"x".repeat(40_000)}`,
          inputSchema: {
            type: "object",
            properties: {
              n: { description: `a\u200Bb${"y".repeat(40_000)}`, enum: ["a\u200Bb"] },
              default: { title: "a\u200Bb" }
            }
          }
        })
      ]
      const it = yield* executor(MemoryAdapter.make())
      yield* it.sources.add(source("earth"))
      const schema = yield* it.tools.schema("earth.echo")
      assert.strictEqual(schema.description, `Echo ${"x".repeat(40_000)}`)
      const [found] = yield* it.tools.search({ query: "echo" })
      for (const tool of [found?.tool, ...(yield* it.tools.list())]) {
        assert.strictEqual(tool?.description, `Echo ${"x".repeat(4090)}\u2026`)
      }
      assert.deepStrictEqual(schema.inputSchema, {
        type: "object",
        properties: { n: { description: `ab${"y".repeat(40_000)}`, enum: ["a\u200Bb"] }, default: { title: "ab" } }
      })
    })
  )

  it.effect("are written anew by a refresh only where one of them is different", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const memory = MemoryAdapter.make()
      let writes = 0
      const adapter = DBAdapter.of({
        ...memory,
        write: (operations) =>
          Effect.andThen(
            Effect.sync(() => writes++),
            memory.write(operations)
          )
      })
      const schema = { type: "object", properties: { n: { type: "number" } } }
      const first = definition("first", { title: "First", inputSchema: schema, outputSchema: schema, binding: "1st" })
      const second = definition("second")
      world.tools = [first, second]
      const it = yield* executor(adapter)
      yield* it.sources.add(source("earth"))
      const writesOf = (tools: ReadonlyArray<ToolDefinition>) =>
        Effect.gen(function* () {
          world.tools = tools
          const before = writes
          assert.strictEqual((yield* it.sources.refresh("earth")).toolCount, tools.length)
          return writes - before
        })
      assert.strictEqual(yield* writesOf([first, second]), 0)
      assert.strictEqual(yield* writesOf([{ ...second }, structuredClone(first)]), 0)
      const others: ReadonlyArray<Partial<ToolDefinition>> = [
        { name: "other" },
        { title: "Other" },
        { title: undefined },
        { description: "other" },
        { inputSchema: { ...schema, required: ["n"] } },
        { outputSchema: undefined },
        { requiresApproval: !first.requiresApproval },
        { annotations: { idempotent: true } },
        { binding: "other" }
      ]
      for (const other of others) {
        assert.strictEqual(yield* writesOf([{ ...first, ...other }, second]), 1)
        assert.strictEqual(yield* writesOf([first, second]), 1)
      }
      assert.strictEqual(yield* writesOf([first]), 1)
      assert.strictEqual(yield* writesOf([]), 1)
      assert.strictEqual(yield* writesOf([]), 0)
    })
  )

  it.effect("change at once in the executor that changes them, and in others within a second", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      const [a, b] = [yield* executor(adapter), yield* executor(adapter)]
      yield* a.sources.add(source("earth"))
      assert.deepStrictEqual(yield* b.tools.invoke("earth.echo", {}), { name: "earth", args: {} })

      world.tools = [definition("renamed")]
      assert.strictEqual((yield* a.sources.refresh("earth")).toolCount, 1)
      assert.deepStrictEqual(
        (yield* b.tools.list()).map((tool) => tool.path),
        ["earth.renamed"]
      )
      assert.instanceOf(yield* Effect.flip(a.tools.invoke("earth.echo", {})), ToolNotFound)
      yield* b.tools.invoke("earth.renamed", {})

      yield* a.sources.remove("earth")
      assert.instanceOf(yield* Effect.flip(a.tools.invoke("earth.renamed", {})), ToolNotFound)
      yield* TestClock.adjust(catalogMaxAgeMillis)
      assert.instanceOf(yield* Effect.flip(b.tools.invoke("earth.renamed", {})), ToolNotFound)
      assert.strictEqual(world.opened, world.closed)
      assert.instanceOf(yield* Effect.flip(a.sources.remove("earth")), SourceNotFound)
      assert.instanceOf(yield* Effect.flip(a.sources.refresh("earth")), SourceNotFound)

      yield* a.sources.add(source("earth", "new"))
      assert.deepStrictEqual(yield* b.tools.invoke("earth.renamed", {}), { name: "new", args: {} })
      assert.instanceOf(yield* Effect.flip(b.sources.add(source("earth"))), SourceInvalid)
    })
  )

  it.effect("calls go on with what is known while the database is away", () =>
    Effect.gen(function* () {
      const { executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      let away = false
      const it = yield* executor({
        ...adapter,
        find: (options) =>
          Effect.suspend(() =>
            away ? Effect.fail(new DBError({ message: "away", reason: "unavailable" })) : adapter.find(options)
          )
      })
      yield* it.sources.add(source("earth"))
      away = true
      yield* TestClock.adjust(catalogMaxAgeMillis * 2)
      assert.deepStrictEqual(yield* it.tools.invoke("earth.echo", {}), { name: "earth", args: {} })
      assert.instanceOf(yield* Effect.flip(it.tools.list()), DBError)
    })
  )

  it.effect("a stored source whose plugin is missing is listed, and says so when called", () =>
    Effect.gen(function* () {
      const { executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      yield* Effect.flatMap(executor(adapter), (it) => it.sources.add(source("earth")))
      const without = yield* createExecutor({ scopes: ["team"], adapter })
      assert.lengthOf(yield* without.sources.list(), 1)
      const error = yield* Effect.flip(without.tools.invoke("earth.echo", {}))
      assert(error instanceof SourceUnavailable)
      assert.include(error.message, '"world"')
    })
  )
})

describe("scopes", () => {
  it.effect("inner sources shadow outer ones, static ones shadow both, and other scopes are not seen", () =>
    Effect.gen(function* () {
      const { plugin, executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      const outer = yield* executor(adapter, "company")
      const inner = yield* executor(adapter, "team", "company")
      yield* outer.sources.add(source("earth", "outer"))
      yield* outer.sources.add(source("mars", "outer"))
      yield* inner.sources.add(source("earth", "inner"))
      const name = (path: string, it = inner) =>
        Effect.map(it.tools.invoke(path, {}), (result) => Reflect.get(Object(result), "name"))
      assert.strictEqual(yield* name("earth.echo"), "inner")
      assert.strictEqual(yield* name("mars.echo"), "outer")
      assert.strictEqual(yield* name("earth.echo", outer), "outer")
      assert.instanceOf(yield* Effect.flip(inner.sources.remove("mars")), SourceInvalid)

      const other = yield* executor(adapter, "other")
      assert.deepStrictEqual(yield* other.sources.list(), [])
      assert.instanceOf(yield* Effect.flip(other.tools.invoke("mars.echo", {})), ToolNotFound)

      const withStatic = yield* createExecutor({
        scopes: ["team", "company"],
        adapter,
        plugins: [
          plugin,
          definePlugin({
            id: "own",
            staticSources: [
              { namespace: "earth", tools: [tool({ name: "own", description: "", handler: () => "static" })] }
            ]
          })
        ]
      })
      assert.deepStrictEqual(
        (yield* withStatic.tools.list()).map((each) => each.path),
        ["earth.own", "mars.drop", "mars.echo", "mars.fail"]
      )
      assert.instanceOf(yield* Effect.flip(withStatic.tools.invoke("earth.echo", {})), ToolNotFound)
      assert.instanceOf(yield* Effect.flip(withStatic.sources.remove("earth")), SourceInvalid)
      assert.instanceOf(yield* Effect.flip(withStatic.sources.add(source("earth"))), SourceInvalid)

      yield* inner.sources.remove("earth")
      assert.strictEqual(yield* name("earth.echo"), "outer")
    })
  )
})

describe("connections", () => {
  it.effect("one for concurrent first calls, which an interrupted caller does not take away", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      yield* Effect.scoped(Effect.flatMap(executor(adapter), (it) => it.sources.add(source("earth"))))
      const it = yield* executor(adapter)
      const gate = yield* Deferred.make<void>()
      const began = yield* Deferred.make<void>()
      world.opening = Effect.andThen(Deferred.succeed(began, undefined), Deferred.await(gate))
      const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () =>
        Effect.forkChild(it.tools.invoke("earth.echo", {}))
      )
      yield* Deferred.await(began)
      const [first, ...rest] = fibers
      assert.isDefined(first)
      if (first !== undefined) yield* Fiber.interrupt(first)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll(rest)
      assert.deepInclude(world, { opened: 2, closed: 1 })
    })
  )

  it.effect("are discarded when they are unavailable or closed, and opened again by the next call", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const it = yield* executor(MemoryAdapter.make())
      yield* it.sources.add(source("earth"))
      assert.instanceOf(yield* Effect.flip(it.tools.invoke("earth.fail", {})), ToolFailed)
      assert.deepInclude(world, { opened: 1, closed: 0 })
      assert.instanceOf(yield* Effect.flip(it.tools.invoke("earth.drop", {})), SourceUnavailable)
      assert.deepInclude(world, { opened: 1, closed: 1 })
      yield* it.tools.invoke("earth.echo", {})
      assert.deepInclude(world, { opened: 2, closed: 1 })
      world.open = false
      yield* it.tools.invoke("earth.echo", {})
      assert.deepInclude(world, { opened: 3, closed: 2 })
    })
  )

  it.effect("that cannot be opened fail all who wait, and the next call tries anew", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const adapter = MemoryAdapter.make()
      yield* Effect.scoped(Effect.flatMap(executor(adapter), (it) => it.sources.add(source("earth"))))
      const it = yield* executor(adapter)
      world.opening = Effect.fail(new SourceUnavailable({ namespace: "earth", message: "not now" }))
      const errors = yield* Effect.forEach([1, 2, 3], () => Effect.flip(it.tools.invoke("earth.echo", {})), {
        concurrency: 3
      })
      for (const error of errors) assert.instanceOf(error, SourceUnavailable)
      world.opening = Effect.void
      assert.deepStrictEqual(yield* it.tools.invoke("earth.echo", {}), { name: "earth", args: {} })
    })
  )

  it.effect("close with `close` and with the scope; a call after that says so", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      for (const by of ["close", "scope"]) {
        const scope = yield* Scope.make()
        const it = yield* Scope.provide(executor(MemoryAdapter.make()), scope)
        yield* it.sources.add(source("earth"))
        yield* by === "close" ? it.close : Scope.close(scope, Exit.void)
        assert.strictEqual(world.opened, world.closed)
        const error = yield* Effect.flip(it.tools.invoke("earth.echo", {}))
        assert.instanceOf(error, SourceUnavailable)
        assert.instanceOf(yield* Effect.flip(it.sources.add(source("mars"))), SourceUnavailable)
        yield* it.close
      }
    })
  )
})

describe("dynamic tools", () => {
  it.effect(
    "are called by their binding, with arguments that fit their schema, after approval where they want it",
    () =>
      Effect.gen(function* () {
        const { world, executor } = makeWorld()
        world.tools = [definition("say_it", { binding: "say it", requiresApproval: true })]
        const it = yield* executor(MemoryAdapter.make())
        yield* it.sources.add(source("earth"))
        assert.instanceOf(yield* Effect.flip(it.tools.invoke("earth.say_it", { n: "x" })), ToolInputInvalid)
        assert.propertyVal(yield* Effect.flip(it.tools.invoke("earth.say_it", { n: 1 })), "_tag", "ElicitationDeclined")
        assert.deepStrictEqual(world.calls, [])
        yield* it.tools.invoke("earth.say_it", { n: 1 }, { onElicitation: () => Effect.succeed({ action: "accept" }) })
        assert.deepStrictEqual(world.calls, [{ tool: "say it", args: { n: 1 } }])
      })
  )

  it.effect("with a broken or endless schema fail with what is wrong, and hostile patterns cost nothing", () =>
    Effect.gen(function* () {
      const { world, executor } = makeWorld()
      const endless = { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }
      world.tools = [
        definition("nowhere", { inputSchema: { $ref: "#/$defs/none" } }),
        definition("endless", { inputSchema: endless }),
        definition("pattern", { inputSchema: { properties: { s: { type: "string", pattern: "^(a+)+$" } } } }),
        definition("ids", {
          inputSchema: {
            $id: "//",
            properties: {
              id: { $id: "x", type: "number", example: { id: "//" } },
              pattern: { $id: "x", type: "string" }
            }
          }
        }),
        definition("patterns", { inputSchema: { patternProperties: { "(": true }, additionalProperties: false } }),
        definition("unique", { inputSchema: { properties: { s: { type: "array", uniqueItems: true } } } })
      ]
      const it = yield* executor(MemoryAdapter.make())
      yield* it.sources.add(source("earth"))
      for (const path of ["earth.nowhere", "earth.endless"]) {
        const error = yield* Effect.flip(it.tools.invoke(path, {}))
        assert(error instanceof ToolFailed)
        assert.include(error.message, "schema")
        yield* it.tools.schema(path)
      }
      yield* it.tools.invoke("earth.ids", { id: 1, pattern: "x" })
      const wrong = yield* Effect.flip(it.tools.invoke("earth.ids", { id: "1", pattern: 1 }))
      assert(wrong instanceof ToolInputInvalid)
      assert.sameMembers(
        wrong.issues.map((issue) => issue.field),
        ["id", "pattern"]
      )
      yield* it.tools.invoke("earth.patterns", { anything: 1 })
      yield* it.tools.invoke("earth.pattern", { s: `${"a".repeat(100)}!` })
      const items = Array.from({ length: 100_000 }, (_, index) => index)
      assert.instanceOf(yield* Effect.flip(it.tools.invoke("earth.unique", { s: items })), ToolInputInvalid)
    })
  )
})

describe("lists", () => {
  it.effect("of sources can be filtered and limited; limits are checked", () =>
    Effect.gen(function* () {
      const { executor } = makeWorld()
      const it = yield* executor(MemoryAdapter.make())
      for (const name of ["earth", "mars", "moon"]) yield* it.sources.add(source(name))
      const names = (options: { query?: string; limit?: number }) =>
        Effect.map(it.sources.list(options), (sources) => sources.map((each) => each.namespace))
      assert.deepStrictEqual(yield* names({ query: "M" }), ["mars", "moon"])
      assert.deepStrictEqual(yield* names({ limit: 1 }), ["earth"])
      for (const limit of [0, 101, 1.5, Number.NaN]) {
        assert.instanceOf(yield* Effect.flip(it.sources.list({ limit })), ListOptionsInvalid)
        assert.instanceOf(yield* Effect.flip(it.tools.search({ query: "", limit })), ListOptionsInvalid)
      }
    })
  )
})
