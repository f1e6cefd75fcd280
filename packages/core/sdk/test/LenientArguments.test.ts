/**
 * What a server would take is sent: under schemas that say less, or more, than they mean.
 */
import {
  createExecutor,
  definePlugin,
  type ElicitationRequest,
  type JsonSchema,
  MemoryAdapter,
  tool,
  ToolInputInvalid
} from "@executor/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { z } from "zod"

/** A source whose tools take what these schemas say, and give back what they were sent. */
const executorOf = Effect.fnUntraced(function* (schemas: { readonly [name: string]: JsonSchema }) {
  const own = [
    tool({
      name: "json",
      description: "",
      input: { type: "object", properties: { n: { type: "integer" } } },
      handler: (n) => n
    }),
    tool({
      name: "zod",
      description: "",
      input: z.object({ n: z.number().default(1), s: z.string().optional() }),
      handler: (n) => n
    }),
    tool({ name: "effect", description: "", input: Schema.Struct({ n: Schema.Number }), handler: (n) => n })
  ]
  const source = {
    config: Schema.Struct({}),
    describe: () => "Any",
    open: () =>
      Effect.succeed({
        listTools: Effect.succeed({
          tools: Object.entries(schemas).map(([name, inputSchema]) => ({
            name,
            description: "",
            inputSchema,
            requiresApproval: false,
            annotations: {}
          }))
        }),
        invoke: (_: unknown, given: unknown) => Effect.succeed(given)
      })
  }
  const plugin = definePlugin({ id: "any", source, staticSources: [{ namespace: "own", tools: own }] })
  const executor = yield* createExecutor({ scopes: ["team"], adapter: MemoryAdapter.make(), plugins: [plugin] })
  yield* executor.sources.add({ namespace: "any", pluginId: "any", config: {} })
  return executor
})

const object = (properties: Record<string, unknown>, ...required: ReadonlyArray<string>) => ({
  type: "object",
  properties,
  required
})

const inner = object({ size: { type: "integer", default: 3 }, name: { type: "string" } }, "size")
const kinds = ["a", "b"].map((kind) =>
  object({ kind: { const: kind }, [kind]: { type: "integer", default: 1 } }, "kind", kind)
)

/** The schema of a tool, arguments, what is sent (or the field that is wrong), and some of the printed type. */
const cases: ReadonlyArray<readonly [JsonSchema, unknown, unknown, string]> = [
  [object({ mode: { type: "string", default: "fast" } }, "mode"), {}, { mode: "fast" }, "input?: { mode?: string }"],
  [object({ mode: { type: "string", default: null } }, "mode"), {}, {}, "mode?: string"],
  [object({ id: { type: "integer", default: 9007199254740992 } }, "id"), {}, {}, "id?: number"],
  [object({ mode: { type: "string", default: "fast" } }, "mode"), { mode: null }, { mode: "fast" }, "mode?"],
  [object({ mode: { type: "string", default: "fast" } }, "mode"), { mode: 1 }, "mode", "mode?"],
  [object({ deep: inner }, "deep"), { deep: {} }, { deep: { size: 3 } }, "deep: { size?: number; name?: string }"],
  [
    object({ list: { type: "array", items: inner } }),
    { list: [{}, { size: 1 }] },
    { list: [{ size: 3 }, { size: 1 }] },
    "size?"
  ],
  [
    { ...object({ a: { $ref: "#/$defs/inner" } }), $defs: { inner } },
    { a: { name: null } },
    { a: { size: 3 } },
    "a?: inner"
  ],
  [object({ a: { anyOf: [inner, { type: "null" }] } }), { a: {} }, { a: { size: 3 } }, "| null"],
  [object({ a: { oneOf: kinds } }), { a: { kind: "b" } }, { a: { kind: "b", b: 1 } }, 'kind: "a"'],
  [{ type: "object", additionalProperties: inner }, { x: { name: null } }, { x: { size: 3 } }, "Record<string, {"],
  [{ allOf: [object({ a: { type: "string" } }), object({ b: inner })] }, { a: null, b: {} }, { b: { size: 3 } }, "b?"],
  [object({ a: { type: "string", nullable: true } }, "a"), { a: null }, { a: null }, "a: string | null"],
  [object({ nullable: { type: "string" } }, "nullable"), { nullable: null }, "nullable", "nullable: string }"],
  [object({ a: { enum: ["x"], nullable: true } }, "a"), { a: null }, { a: null }, 'a: "x" | null'],
  [object({ a: { type: "string", enum: ["x"], nullable: true } }, "a"), { a: "y" }, "a", 'a: "x" | null'],
  [object({ a: { const: "x", nullable: true } }, "a"), { a: null }, { a: null }, 'a: "x" | null'],
  [
    object({ a: { oneOf: [{ type: "string" }, { type: "integer" }], nullable: true } }, "a"),
    { a: null },
    { a: null },
    "| null"
  ],
  [object({ a: { anyOf: [inner], nullable: true } }, "a"), { a: null }, { a: null }, "| null"],
  [
    { ...object({ a: { $ref: "#/$defs/inner", nullable: true } }, "a"), $defs: { inner } },
    { a: null },
    { a: null },
    "a: inner | null"
  ],
  [
    object({ a: { ...inner, nullable: true }, b: { $ref: "#/properties/a/properties/size" } }, "a"),
    { a: null, b: "x" },
    "b",
    "| null"
  ],
  [object({ a: { allOf: [inner], nullable: true } }, "a"), { a: null }, { a: null }, "| null"],
  [
    object({ a: { type: "string" }, b: { type: ["string", "null"] }, c: {} }),
    { a: null, b: null, c: null },
    { b: null, c: null },
    "b?: string | null"
  ],
  [object({ a: { type: "string" } }, "a"), { a: null }, "a", "a: string"],
  [object({ a: { type: "array", items: { type: "string" } } }), { a: [null] }, "a[0]", "string[]"],
  [
    object({ a: { type: "string", format: "date-time" }, b: { format: "email", type: "string" } }),
    { a: "soon", b: "" },
    { a: "soon", b: "" },
    "a?: string"
  ],
  [
    object({ a: { type: "string", format: "uri" } }),
    { a: "x".repeat(70_000) },
    { a: "x".repeat(70_000) },
    "a?: string"
  ],
  [
    object({ a: { type: "object", patternProperties: { "^x-": { type: "string" } } } }),
    { a: { "x-a": "b" } },
    { a: { "x-a": "b" } },
    "Record<string, string>"
  ],
  [
    { type: "object", properties: { a: {} }, patternProperties: { b: { type: "string" } } },
    {},
    {},
    "[key: string]: string"
  ],
  [
    object({ a: { type: "integer", format: "int64" } }),
    { a: 2n ** 63n },
    `{"a":9223372036854775808}`,
    "a?: number | bigint"
  ],
  [
    object({ a: { type: "number" } }),
    { a: JSON.rawJSON("0.1234567890123456789") },
    `{"a":0.1234567890123456789}`,
    "a?: number"
  ],
  [object({ a: { type: "string" } }), { a: 2n ** 63n }, "a", "a?: string"]
]

describe("arguments that a server would take", () => {
  it.effect("are sent, and printed as what they may be", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf(Object.fromEntries(cases.map(([schema], index) => [`t${index}`, schema])))
      for (const [index, [, args, expected, printed]] of cases.entries()) {
        const path = `any.t${index}`
        const { signature } = yield* executor.tools.schema(path)
        assert.include(signature.replaceAll(/\s+/g, " "), printed, path)
        const before = JSON.stringify(args, (_, each: unknown) =>
          typeof each === "bigint" ? JSON.rawJSON(String(each)) : each
        )
        const outcome = yield* Effect.result(executor.tools.invoke(path, args))
        if (outcome._tag === "Success") {
          if (typeof expected === "string") assert.strictEqual(JSON.stringify(outcome.success), expected, path)
          else assert.deepStrictEqual(outcome.success, expected, path)
        } else {
          assert(outcome.failure instanceof ToolInputInvalid, String(outcome.failure))
          assert.strictEqual(outcome.failure.issues[0]?.field, expected, path)
          if (typeof args === "object" && before.includes("92233"))
            assert.include(outcome.failure.message, "9223372036854775808")
        }
        assert.strictEqual(
          JSON.stringify(args, (_, each: unknown) => (typeof each === "bigint" ? JSON.rawJSON(String(each)) : each)),
          before
        )
      }
    })
  )

  it.effect("are what a person is asked about, as they are sent", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf({
        any: object({ mode: { type: "string", default: "fast" }, id: {}, x: { type: "string" } }, "mode")
      })
      const asked: Array<ElicitationRequest> = []
      yield* executor.tools.invoke(
        "any.any",
        { id: 2n ** 63n, x: null },
        {
          requiresApproval: true,
          onElicitation: (request) => {
            asked.push(request)
            return Effect.succeed({ action: "accept" as const })
          }
        }
      )
      assert.include(asked[0]?.message, `{"id":9223372036854775808,"mode":"fast"}`)
      assert.strictEqual(JSON.stringify(asked[0]?.args), `{"id":9223372036854775808,"mode":"fast"}`)
    })
  )

  it.effect("of the host's own tools are BigInts where they are integers, or refused", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf({})
      const call = (name: string, args: unknown) => Effect.result(executor.tools.invoke(`own.${name}`, args))
      const given = yield* call("json", { n: 2n ** 63n })
      assert.deepStrictEqual(given._tag === "Success" && given.success, { n: 2n ** 63n })
      assert.deepStrictEqual(yield* executor.tools.invoke("own.json", { n: 5n }), { n: 5 })
      assert.deepStrictEqual(yield* executor.tools.invoke("own.zod", { n: null, s: null }), { n: 1 })

      for (const name of ["zod", "effect"]) {
        const refused = yield* call(name, { n: 2n ** 63n })
        assert(refused._tag === "Failure" && refused.failure instanceof ToolInputInvalid)
        assert.include(
          refused.failure.message,
          "n: 9223372036854775808 is more than this tool can take exactly: round it"
        )
      }
      const decimal = yield* call("json", { x: JSON.rawJSON("0.1234567890123456789") })
      assert(decimal._tag === "Failure" && decimal.failure instanceof ToolInputInvalid)
      assert.include(decimal.failure.message, "x: 0.1234567890123456789 is more")
    })
  )
})
