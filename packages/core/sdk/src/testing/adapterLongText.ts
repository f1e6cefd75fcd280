/**
 * What every adapter must do with long text, which some store in another form: give it back as it was written, and find it as
 * any other text.
 */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Row, Where } from "../DBAdapter.ts"
import { type AdapterTest, eq, idsOf, insertCode, insertExecutions, reasonOf } from "./adapterConformance.ts"
import { executionRow, toolCallRow } from "./rows.ts"

/** Where adapters begin to treat a text as a long one. */
const longBytes = 64 * 1024

const characters = ["a", "Z", "é", "漢", "😀", "\u0000", "\n", "\uFFFF"]

/** Text of so many UTF-16 units that looks like no other of another seed. */
const textOf = (seed: number, units: number): string => {
  let state = seed
  let text = ""
  while (text.length < units - 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    text += characters[(state >> 16) % characters.length] ?? ""
  }
  return text.padEnd(units, "x")
}

const texts: ReadonlyArray<string> = [
  ...[-1, 0, 1].map((more) => "x".repeat(longBytes + more)),
  ...[-1, 0, 1].map((more) => "é".repeat(longBytes / 2) + "x".repeat(1 + more)),
  ...[-1, 0, 1].map((more) => "漢".repeat((longBytes - 1) / 3) + "x".repeat(1 + more)),
  textOf(1, longBytes),
  textOf(2, 3_000_000),
  // A pair in every place where a text may be cut.
  `x${"😀".repeat(1_000_000)}`,
  "😀".repeat(1_000_000)
]

/** Declares the tests of long text. */
export const longTextTests = (test: AdapterTest): void => {
  const byId = (id: string): Where => eq("id", id)

  test("gives long text back as it was written, alone and in lists", (adapter) =>
    Effect.gen(function* () {
      const rows = texts.map((text, i) => executionRow(String.fromCharCode(97 + i), { error_text: text }))
      yield* insertExecutions(adapter, rows)
      for (const row of rows) {
        expect((yield* adapter.find({ table: "execution", where: byId(String(row["id"])) }))[0]).toEqual(row)
      }
      const all = yield* adapter.find({ table: "execution", orderBy: [{ column: "id", direction: "asc" }] })
      expect(all.map((row) => row["error_text"] === texts[all.indexOf(row)])).toEqual(texts.map(() => true))
    }))

  test("stores half a surrogate pair as U+FFFD in long text too", (adapter) =>
    Effect.gen(function* () {
      const long = textOf(3, 100_000)
      yield* insertExecutions(adapter, [executionRow("1", { error_text: `\uDC00${long}\uD800${long}\uD83D` })])
      const [row] = yield* adapter.find({ table: "execution" })
      expect(row?.["error_text"] === `\uFFFD${long}\uFFFD${long}\uFFFD`).toBe(true)
    }))

  test("replaces long text by short text and by nothing, and the other way round", (adapter) =>
    Effect.gen(function* () {
      const table = "execution_tool_call"
      const [first, second] = [textOf(4, 200_000), textOf(5, 1_000_000)]
      const call = toolCallRow("c", "1", 0, { args_json: first, result_json: "short" })
      yield* insertExecutions(adapter, [executionRow("1")])
      yield* adapter.write([{ op: "insert", table, rows: [call] }])
      const stored = Effect.map(adapter.find({ table, where: eq("execution_id", "1"), limit: 1 }), ([row]) => [
        row?.["args_json"] === first ? "first" : row?.["args_json"],
        row?.["result_json"] === second ? "second" : row?.["result_json"]
      ])
      expect(yield* stored).toEqual(["first", "short"])
      const set = { args_json: null, result_json: second }
      yield* adapter.write([{ op: "update", table, where: eq("execution_id", "1"), set }])
      expect(yield* stored).toEqual([null, "second"])
      const row: Row = { ...call, result_json: "" }
      yield* adapter.write([{ op: "insert", table, rows: [row], onConflict: "update" }])
      expect(yield* stored).toEqual(["first", ""])
    }))

  const [one, two] = [textOf(6, 100_000), textOf(7, 2_500_000)]
  const rows = [
    executionRow("1", { error_text: "short" }),
    executionRow("2", { error_text: `${one}MiddleOne${one}` }),
    executionRow("3", { error_text: `a${two}middleTWO${two}` }),
    executionRow("4", { error_text: `${"A".repeat(longBytes)}%_\\` }),
    executionRow("5")
  ]
  const of = (id: number): string => String(rows[id - 1]?.["error_text"])
  const column = "error_text"
  const cases: ReadonlyArray<readonly [title: string, where: Where, ids: string]> = [
    ["what is in its middle", { op: "contains", column, value: "middleone" }, "2"],
    ["what is in several", { op: "contains", column, value: "MIDDLE" }, "23"],
    ["wildcards", { op: "contains", column, value: "%_\\" }, "4"],
    ["its end", { op: "endsWith", column, value: "%_\\" }, "4"],
    ["a long end", { op: "endsWith", column, value: two }, "3"],
    ["its beginning", { op: "startsWith", column, value: "AAA" }, "4"],
    ["a long beginning", { op: "startsWith", column, value: one }, "2"],
    ["all of it", eq(column, of(3)), "3"],
    ["not all of it", { op: "ne", column, value: of(3) }, "124"],
    ["one of several", { op: "in", column, values: ["short", of(2)] }, "12"],
    ["its order", { op: "gte", column, value: of(4) }, of(2) >= of(4) ? "1234" : "134"],
    ["that there is any", { op: "isNotNull", column }, "1234"],
    ["that there is none", { op: "isNull", column }, "5"]
  ]
  test("finds long text like any other text", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, rows)
      for (const [title, where, ids] of cases) {
        expect([title, yield* idsOf(adapter, { where })]).toEqual([title, ids])
        expect([title, yield* adapter.count({ table: "execution", where })]).toEqual([title, ids.length])
      }
    }))

  test("orders and groups by long text as by any other", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [...rows, executionRow("6", { error_text: of(3) })])
      const orderBy = [
        { column, direction: "asc" },
        { column: "id", direction: "asc" }
      ] as const
      const sorted = yield* idsOf(adapter, { orderBy })
      expect(sorted.endsWith("3615")).toBe(true)
      expect(yield* idsOf(adapter, { orderBy, after: [of(3), "3"] })).toBe("615")
      const [group] = yield* adapter.countBy({ table: "execution", by: [{ column }], limit: 1 })
      expect([group?.count, group?.keys[0] === of(3)]).toEqual([2, true])
    }))

  test("applies units in their order, whatever the length of their text", (adapter) =>
    Effect.gen(function* () {
      yield* adapter.write([insertCode])
      const table = "execution"
      const update = (text: string) =>
        adapter.write([{ op: "update", table, where: byId("1"), set: { error_text: text }, expect: 1 }])
      const units = [
        adapter.write([{ op: "insert", table, rows: [executionRow("1", { error_text: two })] }]),
        update("short"),
        update(one),
        adapter.write([{ op: "update", table, where: eq(column, one), set: { status: "failed" }, expect: 1 }]),
        update("last")
      ]
      yield* Effect.all(units, { concurrency: "unbounded" })
      const [row] = yield* adapter.find({ table })
      expect([row?.["status"], row?.["error_text"]]).toEqual(["failed", "last"])
    }))

  test("writes nothing of a unit with long text that is refused", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1")])
      expect(
        yield* reasonOf(insertExecutions(adapter, [executionRow("2", { error_text: two }), executionRow("1")]))
      ).toBe("unique")
      expect(yield* reasonOf(insertExecutions(adapter, [executionRow("2", { error_text: two, nope: 1 })]))).toBe(
        "other"
      )
      expect(yield* idsOf(adapter, {})).toBe("1")
    }))
}
