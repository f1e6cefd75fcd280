import { assert, describe, it } from "@effect/vitest"
import { SourceUnavailable } from "@executor/sdk"
import { Effect } from "effect"
import { answer, odd, opened, print } from "./OddServer.ts"
import { add, makeExecutor } from "./Support.ts"

describe("lists of tools", () => {
  const listed = (tools: ReadonlyArray<unknown>, rest = "") =>
    answer(`"result":{"tools":${JSON.stringify(tools)}${rest},"_meta":null}`)
  const schema = { type: "object" }
  const tool = { name: "print", inputSchema: schema, annotations: { readOnlyHint: true } }

  it.live("lose no tool to a bad one, which is named with the reason", () =>
    Effect.gen(function* () {
      const named = (name: string, inputSchema?: unknown, rest = {}) => ({ name, inputSchema, ...rest })
      const properties = { a: { type: "string", description: null } }
      const nulls = { annotations: { readOnlyHint: null }, description: null, title: null, _meta: null, icons: null }
      const list = listed([
        named("absent"),
        named("null", null),
        named("empty", {}),
        named("true", true),
        named("text", JSON.stringify({ properties, required: ["a"] })),
        named("untyped", { properties }),
        named("any", { anyOf: [{ required: ["a"] }, { required: ["b"] }] }),
        named("ref", { $ref: "#/$defs/In", $defs: { In: { type: "object", required: ["a"] } } }),
        named("nulls", schema, nulls),
        named("out_array", schema, {
          outputSchema: { type: "array", items: { $ref: "#/$defs/x" }, $defs: { x: { type: "string" } } }
        }),
        named("out_object", schema, {
          outputSchema: { type: "object", properties: { a: { type: "string" } }, required: ["a"] }
        }),
        named("out_ref", schema, { outputSchema: { $ref: "#/$defs/Out", $defs: { Out: { type: "number" } } } }),
        ...[true, false, "no", 7, [], { type: 7 }, {}].map((outputSchema, index) =>
          named(`out_${index}`, schema, { outputSchema })
        ),
        named("absent", schema, { description: "The second." }),
        { inputSchema: schema },
        named("", schema),
        { name: 7 },
        "text",
        null,
        named("seven", 7),
        named("list", []),
        named("no_json", "{"),
        named("string", { type: "string" }),
        named("type", { type: 7 })
      ])
      const executor = yield* makeExecutor()
      const source = yield* add(executor, "odd", odd({ lists: [list] }))
      assert.deepStrictEqual(
        source.omitted?.map(({ name, reason }) => `${name}: ${reason}`),
        [
          "absent: a tool before it has the same name",
          "number 21: its name is missing",
          "number 22: its name is empty",
          "number 23: its name is a number",
          "number 24: it is a string, no object",
          "number 25: it is missing, no object",
          "seven: its input schema is a number",
          "list: its input schema is a list",
          "no_json: its input schema is text that is no JSON",
          'string: its input schema is not one of an object: its type is "string"',
          "type: its input schema is not one of an object: its type is 7"
        ]
      )
      assert.strictEqual(source.toolCount, 19)
      const signature = (name: string) =>
        Effect.map(executor.tools.schema(`odd.${name}`), (each) =>
          each.signature.replace(`tools.odd.${name}`, "").replaceAll(/\s+/g, " ")
        )
      for (const name of ["absent", "null", "empty", "true", "nulls", "out_0", "out_5"]) {
        assert.match(yield* signature(name), /^\(input\?: Record<string, unknown>\)/, name)
      }
      assert.include(yield* signature("text"), "(input: { a: string })")
      assert.include(yield* signature("untyped"), "(input?: { a?: string })")
      assert.include(yield* signature("ref"), "(input: In)")
      assert.include(yield* signature("out_object"), "Promise<{ a: string; _content?: unknown[] }>")
      assert.include(yield* signature("out_ref"), "Promise<{ _content?: unknown[] } & Out>")
      assert.include(yield* signature("out_array"), "Promise<x[] | { structuredContent: ")
      const nullish = yield* executor.tools.schema("odd.nulls")
      assert.deepInclude(nullish, { description: "", annotations: {}, requiresApproval: true })
    })
  )

  it.live(
    "end with an empty cursor, with null and with one that came before; a broken page fails the source at once",
    () =>
      Effect.gen(function* () {
        const executor = yield* opened({
          lists: [
            listed([tool], ',"nextCursor":""'),
            listed([tool], ',"nextCursor":null'),
            listed([tool], ',"nextCursor":"a"'),
            listed([{ ...tool, name: "b" }], ',"nextCursor":"a"'),
            answer('"result":{"tools":null}')
          ]
        })
        const refreshed = Effect.map(executor.sources.refresh("odd"), ({ toolCount }) => toolCount)
        assert.strictEqual((yield* executor.sources.list())[0]?.toolCount, 1)
        assert.strictEqual(yield* refreshed, 1)
        assert.strictEqual(yield* refreshed, 2)
        assert.strictEqual(yield* refreshed, 0)
        for (const [list, problem] of [
          [
            answer('"result":{"tools":[{"name":NaN}]}'),
            "it is no JSON: unexpected NaN at character 52, in result.tools[0].name"
          ],
          [answer('"result":{"tools":{}}'), "has no list of tools"],
          [answer('"error":{"code":-32603,"message":"no list today"}'), "no list today"]
        ] as const) {
          const lists = [listed([tool], ',"nextCursor":"a"'), list]
          const error = yield* Effect.flip(add(executor, "bad", odd({ lists })))
          assert(error instanceof SourceUnavailable)
          assert.include(error.message, problem)
        }
      })
  )

  it.live("are asked for after a greeting of any form; one that cannot be read fails the source at once", () =>
    Effect.gen(function* () {
      const info = '"protocolVersion":"2025-06-18","instructions":null,"_meta":null'
      const executor = yield* opened({
        initialize: `starting {\n  "id": "$ID",\n  "error": null,\n  "result": {${info},"capabilities":{"tools":null,"logging":true},"serverInfo":{"name":"x","icons":7}}}\n`
      })
      assert.strictEqual(yield* print(executor, answer('"result":"ok"')), "ok")
      const error = yield* Effect.flip(add(executor, "bad", odd({ initialize: answer(`"result":{${info},"x":NaN}`) })))
      assert(error instanceof SourceUnavailable)
      assert.include(error.message, "the server's answer to initialize cannot be read: it is no JSON: unexpected NaN")
    })
  )
})
