/**
 * What units of work must do on every adapter: all of their steps or none, in the order in which they were submitted.
 */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Row, Where } from "../DBAdapter.ts"
import { type AdapterTest, eq, idsOf, insertCode, insertExecutions, reasonOf } from "./adapterConformance.ts"
import { executionRow, toolCallRow } from "./rows.ts"

/** Declares the tests of writing. */
export const writingTests = (test: AdapterTest): void => {
  const table = "execution"
  const byId = (id: string): Where => eq("id", id)

  test("gives the number of changed rows of each operation", (adapter) =>
    Effect.gen(function* () {
      yield* adapter.write([insertCode])
      const changed = yield* adapter.write([
        { op: "insert", table, rows: [executionRow("1"), executionRow("2"), executionRow("3")] },
        { op: "update", table, where: { op: "gt", column: "id", value: "1" }, set: { status: "failed" } },
        { op: "update", table, where: byId("9"), set: { status: "failed" } },
        { op: "delete", table, where: byId("1") },
        { op: "insert", table, rows: [] }
      ])
      expect(changed).toEqual([3, 2, 0, 1, 0])
      expect(yield* idsOf(adapter, { where: eq("status", "failed") })).toBe("23")
    }))

  test("increments counters", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1", { tool_call_count: 4 })])
      const set = { tool_call_count: { increment: 3 }, duration_ms: { increment: 1 }, error_text: "e" }
      yield* adapter.write([{ op: "update", table, where: byId("1"), set }])
      const [row] = yield* adapter.find({ table })
      expect(row).toEqual(executionRow("1", { tool_call_count: 7, error_text: "e" }))
    }))

  test("undoes the whole unit when another number of rows changes", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1"), executionRow("2", { status: "failed" })])
      const error = yield* Effect.flip(
        adapter.write([
          { op: "insert", table, rows: [executionRow("3")] },
          { op: "delete", table, where: byId("2"), expect: 1 },
          { op: "update", table, where: eq("status", "running"), set: { status: "completed" }, expect: 1 }
        ])
      )
      expect(error).toMatchObject({ _tag: "WriteConflict", operation: 2, expected: 1, changed: 2 })
      expect(yield* idsOf(adapter, {})).toBe("12")
      expect(yield* idsOf(adapter, { where: eq("status", "completed") })).toBe("")
    }))

  test("undoes a lone update that changes too many rows", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1"), executionRow("2")])
      const where = eq("status", "running")
      const write = adapter.write([{ op: "update", table, where, set: { status: "failed" }, expect: 1 }])
      expect(yield* reasonOf(write)).toBe("WriteConflict")
      expect(yield* idsOf(adapter, { where })).toBe("12")
    }))

  test("refuses a second row with the same key, and undoes its unit", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1", { idempotency_key: "k" })])
      expect(yield* reasonOf(insertExecutions(adapter, [executionRow("2"), executionRow("1")]))).toBe("unique")
      expect(yield* reasonOf(insertExecutions(adapter, [executionRow("3", { idempotency_key: "k" })]))).toBe("unique")
      yield* insertExecutions(adapter, [executionRow("4", { idempotency_key: "k", scope_id: "b" }), executionRow("5")])
      expect(yield* idsOf(adapter, {})).toBe("145")
    }))

  test("refuses rows and changes that do not fit the schema", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1")])
      const insert = (row: Row) => reasonOf(insertExecutions(adapter, [row]))
      expect(yield* insert(executionRow("2", { nope: 1 }))).toBe("other")
      expect(yield* insert(executionRow("2", { status: null }))).toBe("other")
      expect(yield* insert(executionRow("2", { created_at: 0.5 }))).toBe("other")
      expect(yield* insert(executionRow("2", { created_at: "0" }))).toBe("other")
      expect(yield* insert(executionRow("2", { journal_complete: 1 }))).toBe("other")
      const update = (set: Row) => reasonOf(adapter.write([{ op: "update", table, where: byId("1"), set }]))
      expect(yield* update({ id: "2" })).toBe("other")
      expect(yield* update({ nope: "2" })).toBe("other")
      expect(yield* update({ status: null })).toBe("other")
      expect(yield* adapter.find({ table })).toEqual([executionRow("1")])
    }))

  test("takes what a row leaves out for null", (adapter) =>
    Effect.gen(function* () {
      const complete = executionRow("1")
      const row = Object.fromEntries(Object.entries(complete).filter(([, value]) => value !== null))
      yield* insertExecutions(adapter, [row])
      expect(yield* adapter.find({ table })).toEqual([complete])
    }))

  test("deletes what refers to a deleted row, and refuses to refer to none", (adapter) =>
    Effect.gen(function* () {
      const calls = "execution_tool_call"
      yield* insertExecutions(adapter, [executionRow("1"), executionRow("2")])
      yield* adapter.write([
        {
          op: "insert",
          table: calls,
          rows: [toolCallRow("a", "1", 0), toolCallRow("b", "1", 1), toolCallRow("c", "2", 0)]
        }
      ])
      const orphan = adapter.write([{ op: "insert", table: calls, rows: [toolCallRow("d", "9", 0)] }])
      expect(yield* reasonOf(orphan)).toBe("foreignKey")
      expect(yield* adapter.write([{ op: "delete", table, where: byId("1") }])).toEqual([1])
      expect(yield* adapter.find({ table: calls, select: ["id"] })).toEqual([{ id: "c" }])
    }))

  test("keeps units that are submitted together apart: one that fails undoes no other", (adapter) =>
    Effect.gen(function* () {
      yield* adapter.write([insertCode])
      const units = Array.from({ length: 40 }, (_, i) =>
        Effect.exit(
          adapter.write([
            { op: "insert", table, rows: [executionRow(`x${i}`)] },
            // Every fourth unit finds no such row, every fifth repeats the key of the first.
            { op: "update", table, where: byId(`x${i}`), set: { status: "failed" }, expect: i % 4 === 1 ? 2 : 1 },
            { op: "insert", table, rows: i % 5 === 2 ? [executionRow("x0")] : [] }
          ])
        )
      )
      const exits = yield* Effect.all(units, { concurrency: "unbounded" })
      const kept = exits.flatMap((exit, i) => (exit._tag === "Success" ? [`x${i}`] : []))
      expect(kept).toEqual(units.flatMap((_, i) => (i % 4 === 1 || i % 5 === 2 ? [] : [`x${i}`])))
      const rows = yield* adapter.find({ table, where: eq("status", "failed"), select: ["id"] })
      expect(new Set(rows.map((row) => row["id"]))).toEqual(new Set(kept))
    }))

  test("applies units in the order in which they were submitted", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1")])
      const set = (seed: number) =>
        adapter.write([{ op: "update", table, where: eq("seed", seed), set: { seed: seed + 1 }, expect: 1 }])
      yield* Effect.all(
        Array.from({ length: 50 }, (_, seed) => set(seed)),
        { concurrency: "unbounded" }
      )
      expect(yield* adapter.find({ table, select: ["seed"] })).toEqual([{ seed: 50 }])
    }))

  test("applies urgent units before those that wait, where units are queued", (adapter) =>
    Effect.gen(function* () {
      yield* insertExecutions(adapter, [executionRow("1")])
      const others = Array.from({ length: 50 }, () =>
        adapter.write([{ op: "update", table, where: byId("1"), set: { seed: { increment: 1 } } }])
      )
      const urgent = (id: string, where: Where) =>
        adapter.write([{ op: "insert", table, rows: [executionRow(id)], given: { table, where } }], { urgent: true })
      const untouched: Where = { op: "and", conditions: [byId("1"), eq("seed", 0)] }
      const units = [...others, urgent("2", untouched), urgent("3", byId("2"))]
      const changed = yield* Effect.all(units, { concurrency: "unbounded" })
      const first = adapter.answeredWrites === undefined ? 0 : 1
      expect(changed.slice(-2)).toEqual([[first], [first]])
      expect(yield* adapter.find({ table, select: ["seed"], where: byId("1") })).toEqual([{ seed: 50 }])
    }))

  test("counts the units that were answered, refused ones as well, where units are queued", (adapter) =>
    Effect.gen(function* () {
      const { answeredWrites } = adapter
      if (answeredWrites === undefined) return
      yield* adapter.write([insertCode])
      const before = answeredWrites()
      const grown = () => answeredWrites() - before
      yield* insertExecutions(adapter, [executionRow("1")])
      expect(grown()).toBe(1)
      expect(yield* reasonOf(insertExecutions(adapter, [executionRow("1")]))).toBe("unique")
      expect(grown()).toBe(2)
      const set = { status: "failed" }
      const conflicting = adapter.write([{ op: "update", table, where: byId("9"), set, expect: 1 }])
      expect(yield* reasonOf(conflicting)).toBe("WriteConflict")
      expect(grown()).toBe(3)
      const fitting = adapter.write([{ op: "update", table, where: byId("1"), set, expect: 1 }])
      const units = Array.from({ length: 20 }, (_, i) => Effect.exit(i % 4 === 1 ? conflicting : fitting))
      yield* Effect.all(units, { concurrency: "unbounded" })
      expect(grown()).toBe(23)
    }))
}
