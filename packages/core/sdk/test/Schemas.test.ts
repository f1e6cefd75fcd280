import { assert, describe, it } from "@effect/vitest"
import {
  createExecutor,
  definePlugin,
  type JsonSchema,
  MemoryAdapter,
  ToolFailed,
  ToolInputInvalid
} from "@executor/sdk"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"

/** JSON Schemas as others write them: mostly sensible, with keywords that contradict, lead nowhere or make no sense. */
const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.boolean(),
    fc.record(
      {
        type: fc.constantFrom(
          "string",
          "number",
          "integer",
          "object",
          "array",
          "boolean",
          "null",
          "any",
          ["string", "null"],
          7
        ),
        enum: fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 3 }),
        const: fc.jsonValue({ maxDepth: 1 }),
        $ref: fc.constantFrom("#", "#/$defs/a", "#/nowhere", "https://example.com/schema", "%"),
        properties: fc.dictionary(fc.constantFrom("a", "b", "__proto__", "toString", "a/b~c"), tie("schema"), {
          maxKeys: 3
        }),
        required: fc.array(fc.constantFrom("a", "b", "a/b~c"), { maxLength: 2 }),
        additionalProperties: tie("schema"),
        items: fc.oneof(tie("schema"), fc.array(tie("schema"), { maxLength: 2 })),
        anyOf: fc.array(tie("schema"), { maxLength: 3 }),
        oneOf: fc.array(tie("schema"), { maxLength: 2 }),
        allOf: fc.array(tie("schema"), { maxLength: 2 }),
        not: tie("schema"),
        pattern: fc.constantFrom("^a+$", "(", "[\\w-.]"),
        patternProperties: fc.dictionary(fc.constantFrom("^a", "("), tie("schema"), { maxKeys: 1 }),
        minimum: fc.integer(),
        maxLength: fc.nat(),
        uniqueItems: fc.boolean(),
        format: fc.constantFrom("email", "uri", "nonsense"),
        description: fc.string(),
        $id: fc.constantFrom("a", "https://example.com/a", "//"),
        $schema: fc.constantFrom("http://json-schema.org/draft-07/schema#", "x"),
        $defs: fc.dictionary(fc.constantFrom("a"), tie("schema"), { maxKeys: 1 })
      },
      { requiredKeys: [] }
    ) as fc.Arbitrary<JsonSchema>
  )
}))

describe("a schema from outside", () => {
  it.effect("whatever it is, is shown, and gives a result or a typed error", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(schema, fc.jsonValue({ maxDepth: 3 }), (inputSchema, args) =>
          Effect.runPromise(
            Effect.gen(function* () {
              const executor = yield* createExecutor({
                scopes: ["team"],
                adapter: MemoryAdapter.make(),
                plugins: [
                  definePlugin({
                    id: "any",
                    source: {
                      config: Schema.Struct({}),
                      describe: () => "Any",
                      open: () =>
                        Effect.succeed({
                          listTools: Effect.succeed({
                            tools: [
                              { name: "tool", description: "", inputSchema, requiresApproval: false, annotations: {} }
                            ]
                          }),
                          invoke: (_, given) => Effect.succeed(given)
                        })
                    }
                  })
                ]
              })
              yield* executor.sources.add({ namespace: "any", pluginId: "any", config: {} })
              const shown = yield* executor.tools.schema("any.tool")
              assert.isString(shown.signature)
              const outcome = yield* executor.tools.invoke("any.tool", args).pipe(
                Effect.catchTags({
                  ToolInputInvalid: (error) => Effect.succeed(error),
                  ToolFailed: (error) => Effect.succeed(error)
                })
              )
              if (outcome instanceof ToolInputInvalid) assert.isNotEmpty(outcome.issues)
              else if (outcome instanceof ToolFailed) assert.include(outcome.message, "schema is broken")
              // Refused nulls are left out, and defaults filled in.
              else if (!/null|default/.test(JSON.stringify([inputSchema, args]))) assert.deepEqual(outcome, args)
            }).pipe(Effect.scoped)
          )
        ),
        { numRuns: 500 }
      )
    )
  )
})
