import { createExecutor, definePlugin, MemoryAdapter, type StaticTool, ToolInputInvalid } from "@executor/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"

const executorWith = (input: StaticTool["input"]) =>
  createExecutor({
    scopes: ["team"],
    adapter: MemoryAdapter.make(),
    plugins: [
      definePlugin({
        id: "local",
        staticSources: [
          {
            namespace: "local",
            tools: [{ name: "it", description: "", input, handler: () => 1 }]
          }
        ]
      })
    ]
  })

/** What a call of a tool with this input says is wrong; empty if nothing is. */
const issuesOf = Effect.fnUntraced(function* (input: StaticTool["input"], args: unknown) {
  const executor = yield* executorWith(input)
  return yield* executor.tools.invoke("local.it", args).pipe(
    Effect.map(() => []),
    Effect.catch((error) => {
      assert(error instanceof ToolInputInvalid)
      return Effect.succeed(error.issues.map(({ field, message }) => `${field}: ${message}`))
    })
  )
})

const rows = (count: number, wrong: ReadonlyArray<number> = []) => ({
  rows: Array.from({ length: count }, (_, id) => (wrong.includes(id) ? { id: "x", more: 1 } : { id }))
})

const schema = {
  type: "object",
  properties: {
    rows: {
      type: "array",
      items: { type: "object", properties: { id: { type: "integer" } }, required: ["id"], additionalProperties: false }
    }
  },
  additionalProperties: false
}

describe("large arguments", () => {
  it.live("are told the same about as small ones", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* issuesOf(schema, rows(50_000)), [])
      assert.deepStrictEqual(yield* issuesOf(schema, rows(50_000, [3])), yield* issuesOf(schema, rows(5, [3])))
      assert.deepStrictEqual(yield* issuesOf(schema, { ...rows(50_000), other: 1 }), [
        "other: is unknown: the fields are rows"
      ])
      const all = yield* issuesOf(schema, { rows: Array.from({ length: 50_000 }, () => 1) })
      assert.isAtMost(all.length, 20)
      assert.include(all[0], "rows[0]: expected")
    })
  )

  it.live("that a schema must check in one piece are refused, with what to do", () =>
    Effect.gen(function* () {
      const input = Schema.Record(Schema.String, Schema.Unknown)
      assert.deepStrictEqual(yield* issuesOf(input, rows(4_000)), [])
      const [issue] = yield* issuesOf(input, rows(20_000))
      assert.include(issue, "pass them in several calls")
    })
  )

  it.live(
    "of a schema that refers to itself in alternatives end with an error, however much it would be to check",
    () =>
      Effect.gen(function* () {
        const list = { type: "array", items: { $ref: "#/$defs/list" } }
        const input = { type: "object", properties: { list }, $defs: { list: { anyOf: [list, list, list, list] } } }
        let value: unknown = []
        for (let depth = 0; depth < 100; depth++) value = [value]
        const [issue] = yield* issuesOf(input, { list: value })
        assert.include(issue, "too deeply nested")
      })
  )
})
