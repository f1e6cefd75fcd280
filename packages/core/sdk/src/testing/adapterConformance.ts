/**
 * What every `DBAdapter` must do, as a suite of tests. An adapter passes if it gives exactly what the contract says,
 * and for random queries and writes exactly what the memory adapter gives.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type {
  DBAdapter,
  DBError,
  FindOptions,
  OrderBy,
  Row,
  Where,
  WriteConflict,
  WriteOperation
} from "../DBAdapter.ts"
import { adapterFreed } from "./adapterFreed.ts"
import { longTextTests } from "./adapterLongText.ts"
import { adapterProperties } from "./adapterProperties.ts"
import { writingTests } from "./adapterWriting.ts"
import { codeRow, executionRow, toolCallRow } from "./rows.ts"

type Adapter = DBAdapter["Service"]

/** Makes an empty adapter for `coreSchema`, which lives until its scope ends. */
export type MakeAdapter = Effect.Effect<Adapter, unknown, Scope.Scope>

/** Writes rows of `execution`. */
export const insertExecutions = (adapter: Adapter, rows: ReadonlyArray<Row>) =>
  adapter.write([insertCode, { op: "insert", table: "execution", rows }])

/** Writes the code that rows of `execution` refer to. */
export const insertCode: WriteOperation = {
  op: "insert",
  table: "execution_code",
  rows: [codeRow],
  onConflict: "ignore"
}

export const idsOf = (adapter: Adapter, options: Partial<FindOptions>) =>
  Effect.map(adapter.find({ table: "execution", orderBy: [{ column: "id", direction: "asc" }], ...options }), (rows) =>
    rows.map((row) => row["id"]).join("")
  )

export const reasonOf = (effect: Effect.Effect<unknown, DBError | WriteConflict>) =>
  Effect.map(Effect.flip(effect), (error) => (error._tag === "DBError" ? error.reason : error._tag))

/** Declares the tests of an adapter under its name. */
export const adapterConformance = (name: string, makeAdapter: MakeAdapter): void => {
  const test = (title: string, body: (adapter: Adapter) => Effect.Effect<void, unknown>) =>
    it.effect(title, () => Effect.scoped(Effect.flatMap(makeAdapter, body)))

  describe(`${name}: reading`, () => {
    readingTests(test)
  })
  describe(`${name}: writing`, () => {
    writingTests(test)
  })
  describe(`${name}: long text`, () => {
    longTextTests(test)
  })
  adapterFreed(
    name,
    Effect.map(makeAdapter, (adapter) => ({ listening: adapter, releasing: adapter }))
  )
  describe(`${name}: like the memory adapter`, () => {
    adapterProperties(makeAdapter)
  })
}

export type AdapterTest = (title: string, body: (adapter: Adapter) => Effect.Effect<void, unknown>) => void

export const eq = (column: string, value: string | number | boolean): Where => ({ op: "eq", column, value })

const readingTests = (test: AdapterTest): void => {
  test("gives back every value as it was written", (adapter) =>
    Effect.gen(function* () {
      const rows = [
        executionRow("1", {
          trigger_meta_json: `Ünï😀 "quoted" 'single' \\ % _ \n\t\u0000 end`,
          error_text: "",
          created_at: Number.MAX_SAFE_INTEGER,
          updated_at: Number.MIN_SAFE_INTEGER,
          journal_complete: false
        }),
        executionRow("2", { error_text: "x".repeat(3_000_000), trigger_kind: "\uE000\u{10FFFF}", duration_ms: -1 })
      ]
      yield* insertExecutions(adapter, rows)
      expect(yield* adapter.find({ table: "execution", orderBy: [{ column: "id", direction: "asc" }] })).toEqual(rows)
    }))

  test("stores half a surrogate pair as U+FFFD, and finds it by that", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1", { error_text: "a\uD800b" })])
      const [row] = yield* adapter.find({ table: "execution", where: eq("error_text", "a\uD800b") })
      expect(row?.["error_text"]).toBe("a\uFFFDb")
    }))

  test("selects columns", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1", { journal_complete: false })])
      expect(yield* adapter.find({ table: "execution", select: ["journal_complete", "id"] })).toEqual([
        { journal_complete: false, id: "1" }
      ])
    }))

  const rows = [
    executionRow("1", { error_text: "abc", trigger_kind: "cli", duration_ms: 5, created_at: -1 }),
    executionRow("2", { error_text: "ABC", trigger_kind: null, duration_ms: null, journal_complete: false }),
    executionRow("3", { error_text: "a%c", trigger_kind: "http", duration_ms: 7, created_at: 3 }),
    executionRow("4", { error_text: "a_c\\", trigger_kind: "Cli", duration_ms: null, created_at: 3 })
  ]
  const cases: ReadonlyArray<readonly [where: Where, ids: string]> = [
    [eq("duration_ms", 5), "1"],
    [{ op: "ne", column: "duration_ms", value: 5 }, "3"],
    [{ op: "not", condition: eq("duration_ms", 5) }, "234"],
    [{ op: "not", condition: { op: "ne", column: "duration_ms", value: 5 } }, "124"],
    [{ op: "lt", column: "duration_ms", value: 7 }, "1"],
    [{ op: "lte", column: "duration_ms", value: 7 }, "13"],
    [{ op: "gt", column: "created_at", value: -1 }, "234"],
    [{ op: "gte", column: "created_at", value: 0.5 }, "34"],
    [{ op: "not", condition: { op: "gt", column: "duration_ms", value: 5 } }, "124"],
    [{ op: "lt", column: "trigger_kind", value: "a" }, "4"],
    [eq("journal_complete", false), "2"],
    [{ op: "in", column: "id", values: ["1", "3", "3", "9"] }, "13"],
    [{ op: "in", column: "id", values: [] }, ""],
    [{ op: "not", condition: { op: "in", column: "trigger_kind", values: ["cli"] } }, "234"],
    [{ op: "contains", column: "error_text", value: "BC" }, "12"],
    [{ op: "contains", column: "error_text", value: "%" }, "3"],
    [{ op: "contains", column: "error_text", value: "_" }, "4"],
    [{ op: "contains", column: "error_text", value: "\\" }, "4"],
    [{ op: "contains", column: "trigger_kind", value: "" }, "134"],
    [{ op: "startsWith", column: "error_text", value: "a" }, "134"],
    [{ op: "startsWith", column: "error_text", value: "a%" }, "3"],
    [{ op: "endsWith", column: "error_text", value: "c" }, "13"],
    [{ op: "endsWith", column: "trigger_kind", value: "" }, "134"],
    [{ op: "isNull", column: "trigger_kind" }, "2"],
    [{ op: "not", condition: { op: "isNull", column: "trigger_kind" } }, "134"],
    [{ op: "isNotNull", column: "duration_ms" }, "13"],
    [{ op: "and", conditions: [] }, "1234"],
    [{ op: "or", conditions: [] }, ""],
    [{ op: "not", condition: { op: "or", conditions: [] } }, "1234"],
    [
      { op: "or", conditions: [eq("id", "1"), { op: "and", conditions: [eq("id", "2"), eq("error_text", "ABC")] }] },
      "12"
    ],
    [{ op: "not", condition: { op: "and", conditions: [eq("duration_ms", 5), eq("id", "1")] } }, "234"]
  ]
  for (const [where, expected] of cases) {
    test(`selects ${expected || "nothing"} by ${JSON.stringify(where)}`, (adapter) =>
      Effect.gen(function* () {
        yield* insertExecutions(adapter, rows)
        expect(yield* idsOf(adapter, { where })).toBe(expected)
        expect(yield* adapter.count({ table: "execution", where })).toBe(expected.length)
      }))
  }

  test("takes conditions of many branches and lists of many values", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, rows)
      const values = Array.from({ length: 5000 }, (_, i) => `x${i}`)
      expect(yield* idsOf(adapter, { where: { op: "in", column: "id", values: [...values, "3"] } })).toBe("3")
      const conditions = values.map((value) => eq("id", value))
      expect(yield* idsOf(adapter, { where: { op: "or", conditions: [...conditions, eq("id", "2")] } })).toBe("2")
    }))

  test("selects by related rows", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, rows)
      const calls = [toolCallRow("c1", "1", 0), toolCallRow("c2", "2", 0, { tool_path: "x.y", namespace: "x" })]
      yield* adapter.write([{ op: "insert", table: "execution_tool_call", rows: calls }])
      const called = { op: "exists", table: "execution_tool_call", local: "id", foreign: "execution_id" } as const
      expect(yield* idsOf(adapter, { where: called })).toBe("12")
      expect(yield* idsOf(adapter, { where: { ...called, where: eq("namespace", "x") } })).toBe("2")
      expect(yield* idsOf(adapter, { where: { op: "not", condition: called } })).toBe("34")
      const parent: Where = { op: "exists", table: "execution", local: "parent_execution_id", foreign: "id" }
      expect(yield* idsOf(adapter, { where: parent })).toBe("")
    }))

  test("orders by several columns and directions, nulls last", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, rows)
      const ordered = (...orderBy: ReadonlyArray<readonly [string, "asc" | "desc"]>) =>
        idsOf(adapter, { orderBy: orderBy.map(([column, direction]) => ({ column, direction })) })
      expect(yield* ordered(["duration_ms", "asc"], ["id", "asc"])).toBe("1324")
      expect(yield* ordered(["duration_ms", "desc"], ["id", "asc"])).toBe("3124")
      expect(yield* ordered(["duration_ms", "desc"], ["id", "desc"])).toBe("3142")
      expect(yield* ordered(["created_at", "desc"], ["id", "asc"])).toBe("3421")
      expect(yield* ordered(["trigger_kind", "asc"])).toBe("4132")
      expect(yield* ordered(["error_text", "asc"])).toBe("2341")
      expect(yield* idsOf(adapter, { limit: 2 })).toBe("12")
      expect(yield* idsOf(adapter, { limit: 0 })).toBe("")
    }))

  test("orders text by code points", (adapter) =>
    Effect.gen(function* () {
      const codes = ["😀", "\uE000", "a", "Z", "é", ""]
      yield* insertExecutions(
        adapter,
        codes.map((code, id) => executionRow(String(id), { error_text: code }))
      )
      expect(yield* idsOf(adapter, { orderBy: [{ column: "error_text", direction: "asc" }] })).toBe("532410")
      expect(yield* idsOf(adapter, { where: { op: "gt", column: "error_text", value: "é" } })).toBe("01")
    }))

  const directions = ["asc", "desc"] as const
  for (const column of ["created_at", "duration_ms", "trigger_kind"]) {
    for (const direction of directions) {
      for (const idDirection of directions) {
        test(`pages by ${column} ${direction}, id ${idDirection} without a skip or a repeat`, (adapter) =>
          Effect.gen(function* () {
            const many = Array.from({ length: 23 }, (_, i) =>
              executionRow(String.fromCharCode(97 + i), {
                created_at: i % 3,
                duration_ms: i % 4 === 0 ? null : i % 3,
                trigger_kind: i % 5 === 0 ? null : `k${i % 2}`
              })
            )
            yield* insertExecutions(adapter, many)
            const orderBy: ReadonlyArray<OrderBy> = [
              { column, direction },
              { column: "id", direction: idDirection }
            ]
            const all = yield* idsOf(adapter, { orderBy })
            let paged = ""
            let after: FindOptions["after"]
            for (;;) {
              const page = yield* adapter.find({ table: "execution", orderBy, limit: 4, ...(after && { after }) })
              const last = page.at(-1)
              if (last === undefined) break
              paged += page.map((row) => row["id"]).join("")
              after = [last[column] ?? null, last["id"] ?? null]
            }
            expect(paged).toBe(all)
            expect(paged).toHaveLength(many.length)
          }))
      }
    }
  }

  test("counts groups, largest first, by value and by bucket", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(
        adapter,
        [-61, -60, -1, 0, 59, 60].map((created_at, i) =>
          executionRow(String(i), {
            created_at,
            trigger_kind: i < 3 ? null : "cli",
            duration_ms: i === 5 ? null : i % 2
          })
        )
      )
      const bucket = { bucket: { column: "created_at", size: 60 } }
      const countBy = (options: Partial<Parameters<Adapter["countBy"]>[0]>) =>
        adapter.countBy({ table: "execution", by: [], ...options })
      expect(yield* countBy({ by: [bucket] })).toEqual([
        { keys: [-60], count: 2 },
        { keys: [0], count: 2 },
        { keys: [-120], count: 1 },
        { keys: [60], count: 1 }
      ])
      expect(yield* countBy({ by: [{ column: "trigger_kind" }] })).toEqual([
        { keys: ["cli"], count: 3 },
        { keys: [null], count: 3 }
      ])
      expect(yield* countBy({ by: [{ column: "trigger_kind" }], distinct: "duration_ms", limit: 1 })).toEqual([
        { keys: ["cli"], count: 2 }
      ])
      expect(yield* countBy({ by: [{ column: "journal_complete" }, bucket], where: eq("id", "0") })).toEqual([
        { keys: [true, -120], count: 1 }
      ])
      expect(yield* countBy({})).toEqual([{ keys: [], count: 6 }])
    }))

  test("counts groups by related rows, each row once", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, rows)
      const calls = [
        ...[0, 1].map((seq) => toolCallRow(`a${seq}`, "1", seq)),
        ...[0, 1, 2].map((seq) => toolCallRow(`b${seq}`, "2", seq, { tool_path: "x.y", namespace: "x" })),
        toolCallRow("c", "3", 0)
      ]
      yield* adapter.write([{ op: "insert", table: "execution_tool_call", rows: calls }])
      const counts = (table: string, ...conditions: ReadonlyArray<Where>) =>
        adapter.countBy({ table, by: [{ column: "scope_id" }], where: { op: "and", conditions } })
      const ofExecution = (where?: Where): Where => ({
        op: "exists",
        table: "execution",
        local: "execution_id",
        foreign: "id",
        ...(where !== undefined && { where })
      })
      const first: Where = { op: "in", column: "id", values: ["1", "2"] }
      const count = (count: number) => [{ keys: ["a"], count }]
      expect(yield* counts("execution_tool_call", ofExecution())).toEqual(count(6))
      expect(yield* counts("execution_tool_call", ofExecution(first))).toEqual(count(5))
      expect(yield* counts("execution_tool_call", eq("seq", 1), ofExecution(first))).toEqual(count(2))
      expect(yield* counts("execution_tool_call", ofExecution(first), ofExecution(eq("id", "1")))).toEqual(count(2))
      expect(yield* counts("execution_tool_call", { op: "not", condition: ofExecution(first) })).toEqual(count(1))
      const called: Where = { op: "exists", table: "execution_tool_call", local: "id", foreign: "execution_id" }
      expect(yield* counts("execution", called)).toEqual(count(3))
      expect(yield* counts("execution", called, first)).toEqual(count(2))
    }))

  test("refuses what does not fit the schema", (adapter) =>
    Effect.gen(function* () {
      const table = "execution"
      const find = (options: Partial<FindOptions>) => reasonOf(adapter.find({ table, ...options }))
      expect(yield* find({ table: "nope" })).toBe("other")
      expect(yield* find({ where: eq("nope", 1) })).toBe("other")
      expect(yield* find({ where: eq("created_at", "1") })).toBe("other")
      expect(yield* find({ where: { op: "contains", column: "created_at", value: "1" } })).toBe("other")
      expect(yield* find({ where: eq(`id" OR 1 --`, "") })).toBe("other")
      expect(yield* find({ select: ["nope"] })).toBe("other")
      expect(yield* find({ orderBy: [{ column: "nope", direction: "asc" }] })).toBe("other")
      expect(yield* find({ limit: -1 })).toBe("other")
      expect(yield* find({ orderBy: [{ column: "id", direction: "asc" }], after: ["1", 2] })).toBe("other")
      expect(yield* reasonOf(adapter.countBy({ table, by: [{ bucket: { column: "error_text", size: 1 } }] }))).toBe(
        "other"
      )
    }))
}
