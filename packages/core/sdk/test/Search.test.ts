import { assert, describe, it } from "@effect/vitest"
import { createExecutor, definePlugin, MemoryAdapter, tool } from "@executor/sdk"
import { Effect, Schema } from "effect"

const executorOf = (
  namespaces: Readonly<Record<string, ReadonlyArray<readonly [name: string, description: string]>>>
) =>
  createExecutor({
    scopes: ["team"],
    adapter: MemoryAdapter.make(),
    plugins: [
      definePlugin({
        id: "local",
        staticSources: Object.entries(namespaces).map(([namespace, tools]) => ({
          namespace,
          tools: tools.map(([name, description]) => tool({ name, description, handler: () => 1 }))
        }))
      })
    ]
  })

const catalog = executorOf({
  github: [
    ["issues.create", "Opens a new issue in a repository."],
    ["issues.list", "Lists issues of a repository."],
    ["listPullRequests", "Lists pull requests."],
    ["repos_get_HTTPSettings", "Reads settings."]
  ],
  mail: [
    ["send", "Sends a message. Also used to create an issue by mail."],
    ["list", "Lists messages."]
  ]
})

describe("search", () => {
  const paths = (query: string, options: { namespace?: string; limit?: number } = {}) =>
    Effect.gen(function* () {
      const executor = yield* catalog
      const matches = yield* executor.tools.search({ query, ...options })
      for (const [index, match] of matches.entries()) {
        assert.isAtMost(match.score, matches[index - 1]?.score ?? Number.POSITIVE_INFINITY)
      }
      return matches.map((match) => match.tool.path)
    })

  it.effect("ranks the path over the description", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* paths("create issue")).slice(0, 1), ["github.issues.create"])
      assert.include(yield* paths("create issue"), "mail.send")
    })
  )

  it.effect("takes words out of camelCase, snake_case and dots, and forgives endings and typing errors", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* paths("pull requests"))[0], "github.listPullRequests")
      assert.strictEqual((yield* paths("http settings"))[0], "github.repos_get_HTTPSettings")
      assert.strictEqual((yield* paths("pul reqest"))[0], "github.listPullRequests")
      assert.strictEqual((yield* paths("sett"))[0], "github.repos_get_HTTPSettings")
    })
  )

  it.effect("puts a path first that is the query, lists all for an empty query, and keeps to namespace and limit", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* paths("mail.list"))[0], "mail.list")
      assert.strictEqual((yield* paths("GITHUB.issues.list"))[0], "github.issues.list")
      assert.lengthOf(yield* paths("  "), 6)
      assert.deepStrictEqual(yield* paths("", { namespace: "mail" }), ["mail.list", "mail.send"])
      assert.deepStrictEqual(yield* paths("issue", { namespace: "mail" }), ["mail.send"])
      assert.deepStrictEqual(yield* paths("", { limit: 2 }), ["github.issues.create", "github.issues.list"])
      assert.deepStrictEqual(yield* paths("zebra"), [])
    })
  )

  it.effect("finds its tool among thousands", () =>
    Effect.gen(function* () {
      const executor = yield* executorOf({
        big: Array.from({ length: 3000 }, (_, index) => [`group${index % 50}.operation${index}`, `Operation ${index}.`])
      })
      const [best] = yield* executor.tools.search({ query: "operation 1234" })
      assert.strictEqual(best?.tool.path, "big.group34.operation1234")
    })
  )
})

describe("signature", () => {
  const signatureOf = (input: unknown, output?: unknown) =>
    Effect.gen(function* () {
      const definition = tool({
        name: "go-now",
        description: "",
        input: input as object as never,
        output: output as never,
        handler: () => 1
      })
      const executor = yield* createExecutor({
        scopes: ["team"],
        adapter: MemoryAdapter.make(),
        plugins: [definePlugin({ id: "p", staticSources: [{ namespace: "a", tools: [definition] }] })]
      })
      return (yield* executor.tools.schema("a.go-now")).signature
    })

  it.effect("prints what TypeScript can say, with short comments", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* signatureOf(
          {
            type: "object",
            properties: {
              title: { type: "string", description: "What is\n wrong. */ hm" },
              state: { enum: ["open", "closed", 3, null] },
              labels: { type: "array", items: { type: "string" } },
              pair: { type: "array", prefixItems: [{ type: "integer" }, { type: "boolean" }] },
              either: { anyOf: [{ type: "string" }, { type: "object", properties: { a: { type: "null" } } }] },
              both: { allOf: [{ $ref: "#/$defs/Base" }, { type: "object", properties: { b: {} }, required: ["b"] }] },
              map: { type: "object", additionalProperties: { type: "number" } },
              "odd name": { type: ["string", "null"] },
              list: { type: "array", items: { anyOf: [{ type: "string" }, { type: "number" }] } }
            },
            required: ["title"],
            $defs: { Base: { type: "object", properties: { id: { const: 7 } } } }
          },
          { type: "array", items: { type: "object", properties: { id: { type: "number" } }, required: ["id"] } }
        ),
        `tools.a["go-now"](input: {
  /** What is wrong. * / hm */
  title: string
  state?: "open" | "closed" | 3 | null
  labels?: string[]
  pair?: [number, boolean]
  either?: string | { a?: null }
  both?: Base & { b: unknown }
  map?: Record<string, number>
  "odd name"?: string | null
  list?: Array<string | number>
}): Promise<Array<{ id: number }>>

type Base = { id?: 7 }`
      )
    })
  )

  it.effect("of effect schemas and of nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* signatureOf(Schema.Struct({ a: Schema.optionalKey(Schema.String) }), Schema.Struct({ b: Schema.Int })),
        'tools.a["go-now"](input?: { a?: string }): Promise<{ b: number }>'
      )
      assert.strictEqual(yield* signatureOf(undefined), 'tools.a["go-now"](): Promise<unknown>')
    })
  )

  it.effect("ends on cycles, and stays short on schemas that multiply themselves", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* signatureOf({
          $ref: "#/$defs/Node",
          $defs: {
            Node: { type: "object", properties: { children: { type: "array", items: { $ref: "#/$defs/Node" } } } }
          }
        }),
        'tools.a["go-now"](input: Node): Promise<unknown>\n\ntype Node = { children?: Node[] }'
      )
      const $defs = Object.fromEntries(
        Array.from({ length: 40 }, (_, index) => [
          `D${index}`,
          { type: "object", properties: { a: { $ref: `#/$defs/D${index + 1}` }, b: { $ref: `#/$defs/D${index + 1}` } } }
        ])
      )
      assert.isAtMost((yield* signatureOf({ $ref: "#/$defs/D0", $defs })).length, 8000)
      const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}`, { type: "string" }]))
      assert.isAtMost((yield* signatureOf({ type: "object", properties: wide })).length, 8000)
      let deep: object = { type: "string" }
      for (let depth = 0; depth < 1000; depth++) deep = { type: "object", properties: { d: deep } }
      assert.include(yield* signatureOf({ type: "object", properties: { deep } }), "unknown")
    })
  )
})
