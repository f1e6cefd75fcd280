/**
 * No argument that a program passes, and nothing that a tool returns, holds up the loop of the host: through the whole engine.
 */
import type { StaticTool } from "@executor/sdk"
import { tool } from "@executor/sdk"
import type { FinishedExecution } from "@executor/execution"
import { leastLoopGap } from "@executor/sdk/testing"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { engineOf } from "./support/harness.ts"

/** What the design promises. */
const maxGapMs = 20

const number = { type: "number" }

/** Looks at every value, and refers to itself in alternatives. */
const strict = {
  type: "object",
  properties: { list: { $ref: "#/$defs/list" } },
  additionalProperties: { anyOf: [number, { $ref: "#/$defs/list" }] },
  $defs: {
    list: { type: "array", items: { anyOf: [number, { $ref: "#/$defs/list" }, { $ref: "#/$defs/row" }] } },
    row: { type: "object", properties: { id: number }, required: ["id"], additionalProperties: false }
  }
}

/** Results of several megabytes, made once: making them is not what is measured. */
const results: Readonly<Record<string, unknown>> = {
  keys: Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`key ${index}`, index])),
  rows: Array.from({ length: 120_000 }, (_, index) => ({ id: index, name: `row ${index}`, done: true })),
  numbers: Array.from({ length: 2_000_000 }, (_, index) => index % 1000),
  // As JSON twice as long, in one step that cannot be sliced: machines differ by more in that than in all else.
  text: '"'.repeat(1_000_000)
}

const tools: ReadonlyArray<StaticTool> = [
  tool({ name: "any", description: "Takes anything.", input: { type: "object" }, handler: () => 1 }),
  tool({ name: "strict", description: "Takes lists.", input: strict, handler: () => 1 }),
  tool({ name: "asks", description: "Asks.", input: { type: "object" }, requiresApproval: true, handler: () => 1 }),
  tool({
    name: "few",
    description: "Takes a few.",
    input: Schema.Record(Schema.String, Schema.Unknown),
    handler: () => 1
  }),
  tool({ name: "echo", description: "Gives it back.", input: { type: "object" }, handler: (input: unknown) => input }),
  tool({
    name: "result",
    description: "Gives much.",
    input: { type: "object" },
    handler: ({ name }: { readonly name: string }) => results[name]
  })
]

/** Arguments near the limit of a megabyte. */
const shapes = {
  "60,000 keys": "Object.fromEntries(Array.from({ length: 60000 }, (_, i) => ['k' + i, 0]))",
  "60,000 rows": "({ list: Array.from({ length: 60000 }, (_, i) => ({ id: i })) })",
  "rows that are all wrong": "({ list: Array.from({ length: 60000 }, (_, i) => ({ no: i })) })",
  "400,000 numbers": "({ list: Array.from({ length: 400000 }, (_, i) => i % 10) })",
  "one long text": "({ list: 'x'.repeat(1e6) })",
  "deep lists":
    "({ list: Array.from({ length: 300 }, () => { let v = 1; for (let d = 0; d < 200; d++) v = [v]; return v }) })"
}

describe("the host's loop keeps turning", () => {
  it.layer(QuickJsExecutor.layer({ workers: 2 }), { excludeTestServices: true })((it) => {
    const check = Effect.fnUntraced(function* (code: string, expected: unknown) {
      const { engine } = yield* engineOf(tools)
      let outcome: FinishedExecution | undefined
      // What the test itself reads of megabytes is no gap of the engine's.
      const gap = yield* leastLoopGap(
        Effect.map(engine.execute(code, { onElicitation: () => Effect.succeed({ action: "accept" }) }), (finished) => {
          outcome = finished
        })
      )
      assert.isUndefined(outcome?.error)
      assert.deepStrictEqual(JSON.parse(outcome?.resultJson ?? "null"), expected)
      assert.isBelow(gap, maxGapMs)
    })

    for (const [shape, make] of Object.entries(shapes)) {
      const fits = shape !== "rows that are all wrong" && shape !== "one long text"
      it.effect(`${shape}: taken as they are`, () => check(`return await tools.t.any(${make})`, 1))
      it.effect(`${shape}: checked`, () =>
        check(`return await tools.t.strict(${make}).catch((error) => error.name)`, fits ? 1 : "ToolInputInvalid")
      )
      it.effect(`${shape}: shown for approval`, () => check(`return await tools.t.asks(${make})`, 1))
      if (shape === "one long text") continue
      it.effect(`${shape}: more than a schema that checks in one piece takes`, () =>
        check(`return await tools.t.few(${make}).catch((error) => error.name)`, "ToolInputInvalid")
      )
      it.effect(`${shape}: more than a built-in tool takes`, () =>
        check(`return await tools.search(${make}).catch((error) => error.name)`, "ToolInputInvalid")
      )
    }

    for (const tool of ["echo", "strict"]) {
      it.effect(`60,000 keys, four times at once, to ${tool}`, () =>
        check(
          `const o = ${shapes["60,000 keys"]}; return (await Promise.all(Array.from({ length: 4 }, () => tools.t.${tool}(o)))).length`,
          4
        )
      )
    }

    it.effect("a small, deep value", () =>
      check(`let v = 1; for (let d = 0; d < 200; d++) v = [v]; return await tools.t.strict({ list: v })`, 1)
    )

    for (const name of Object.keys(results)) {
      it.effect(`a result of megabytes: ${name}`, () =>
        check(`return typeof (await tools.t.result({ name: "${name}" }))`, name === "text" ? "string" : "object")
      )
    }
  })
})
