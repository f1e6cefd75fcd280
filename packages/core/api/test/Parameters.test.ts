import { clientName, ListExecutionsQuery, moment, sort } from "@executor/api"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"

const decodeQuery = Schema.decodeUnknownEffect(Schema.toCodecArrayFromSingle(ListExecutionsQuery), {
  onExcessProperty: "error"
})
const encodeQuery = Schema.encodeUnknownEffect(ListExecutionsQuery)

const refused = <A>(effect: Effect.Effect<A, Schema.SchemaError>) => Effect.map(Effect.flip(effect), String)

const statuses = ["pending", "running", "waiting_for_interaction", "completed", "failed", "!failed", "!cancelled"]
const value = fc.string({ unit: fc.constantFrom("a", "!", "=", "*", ".", ",", "\\", "é", "😀", " "), minLength: 1 })
const millis = fc.integer({ min: 0, max: 4_102_444_800_000 })
const anyQuery = fc.record(
  {
    limit: fc.integer({ min: 1, max: 100 }),
    cursor: fc.string(),
    status: fc.array(fc.constantFrom(...statuses), { minLength: 1 }),
    trigger: fc.array(
      value.filter((text) => text !== "!"),
      { minLength: 1 }
    ),
    tool: fc.array(
      value.filter((text) => text !== "!"),
      { minLength: 1 }
    ),
    from: millis,
    to: millis,
    after: millis,
    code: fc.string(),
    q: fc.string({ minLength: 3 }),
    sort: fc.record({
      field: fc.constantFrom("createdAt", "durationMs"),
      direction: fc.constantFrom("asc", "desc")
    }),
    elicitation: fc.boolean(),
    meta: fc.boolean()
  },
  { requiredKeys: [] }
)

describe("the query of GET /executions", () => {
  it.effect("comes back from text as it went in", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(anyQuery, async (query) => {
          const decoded = await Effect.runPromise(Effect.flatMap(encodeQuery(query), decodeQuery))
          assert.deepEqual(decoded, query as typeof decoded)
        })
      )
    )
  )

  it.effect("takes lists with commas, repeated, or both", () =>
    Effect.gen(function* () {
      for (const status of ["failed,running", ["failed", "running"]]) {
        assert.deepEqual(yield* decodeQuery({ status }), { status: ["failed", "running"] })
      }
      assert.deepEqual(yield* decodeQuery({ tool: ["a.b,c.*", "d.e"] }), { tool: ["a.b", "c.*", "d.e"] })
      const trigger = "a\\,b,=unknown,c\\\\,d\\e"
      assert.deepEqual(yield* decodeQuery({ trigger }), { trigger: ["a,b", "=unknown", "c\\", "d\\e"] })
    })
  )

  it.effect("refuses what it does not know", () =>
    Effect.gen(function* () {
      const wrong = [
        { limt: "1" },
        ...["0", "101", "1.5", "-1", "1e1", "0x10", " 1", ""].map((limit) => ({ limit })),
        ...["", "runing", "running,", "Running"].map((status) => ({ status })),
        ...["", "!", "a,", "a\\\\,"].map((trigger) => ({ trigger })),
        ...["a.b,,c.d", "!"].map((tool) => ({ tool })),
        { q: "ab" },
        ...["createdAt:up", "updatedAt", "+createdAt", "--createdAt", ""].map((sort) => ({ sort })),
        ...["1", "yes", "TRUE", ""].map((meta) => ({ meta })),
        { elicitation: ["true", "false"] }
      ]
      for (const query of wrong) yield* refused(decodeQuery(query))
    })
  )
})

describe("a moment", () => {
  const decode = Schema.decodeUnknownEffect(moment)

  it.effect("is milliseconds, or ISO 8601 with an offset, or a date in UTC", () =>
    Effect.gen(function* () {
      for (const [text, value] of [
        ["0", 0],
        ["1764000000000", 1_764_000_000_000],
        ["2026-11-22", Date.UTC(2026, 10, 22)],
        ["2026-11-22T16:00Z", Date.UTC(2026, 10, 22, 16)],
        ["2026-11-22T16:00:00.250Z", Date.UTC(2026, 10, 22, 16, 0, 0, 250)],
        ["2026-11-22T16:00:00+01:00", Date.UTC(2026, 10, 22, 15)]
      ] as const) {
        assert.strictEqual(yield* decode(text), value)
      }
    })
  )

  it.effect("is nothing else", () =>
    Effect.gen(function* () {
      for (const text of [
        "",
        "yesterday",
        "Nov 22 2026",
        "2026-11-22T16:00:00",
        "2026-13-01",
        "2026-02-30",
        "2026-02-29T00:00Z",
        "2026-11-22T25:00:00Z",
        "-5",
        "1e3",
        "9".repeat(16)
      ]) {
        assert.include(yield* refused(decode(text)), "Expected milliseconds since the epoch, or ISO 8601", text)
      }
    })
  )
})

describe("a sort", () => {
  it.effect("is a field with a direction, or after a minus, or alone", () =>
    Effect.gen(function* () {
      const decode = Schema.decodeUnknownEffect(sort)
      assert.deepEqual(yield* decode("createdAt:desc"), { field: "createdAt", direction: "desc" })
      assert.deepEqual(yield* decode("-durationMs"), { field: "durationMs", direction: "desc" })
      assert.deepEqual(yield* decode("durationMs"), { field: "durationMs", direction: "asc" })
    })
  )
})

describe("a client's name", () => {
  it.effect("has its version after the last slash", () =>
    Effect.gen(function* () {
      const decode = Schema.decodeUnknownEffect(clientName)
      assert.deepEqual(yield* decode("@acme/tool/1.0.0"), { name: "@acme/tool", version: "1.0.0" })
      for (const text of ["", "name", "name/", "/1", "a b/1", `${"n".repeat(127)}/1`]) yield* refused(decode(text))
    })
  )
})
