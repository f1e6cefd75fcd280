/**
 * Random queries over random rows, and random units of work: an adapter gives what the memory adapter gives.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import type { DBAdapter, DBError, WriteConflict } from "../DBAdapter.ts"
import * as MemoryAdapter from "../MemoryAdapter.ts"
import { insertCode, type MakeAdapter } from "./adapterConformance.ts"
import { anyCountBy, anyFind, anyRows, anyUnit } from "./arbitraries.ts"
import { checkProperty } from "./checkProperty.ts"
import * as fc from "fast-check"

/** How many random cases each property tries. */
const runs = 150

const state = (adapter: DBAdapter["Service"]) =>
  Effect.all(
    ["execution", "execution_tool_call"].map((table) =>
      adapter.find({ table, orderBy: [{ column: "id", direction: "asc" }] })
    )
  )

/** Deletes everything: making an adapter for each case would take longer than the case. */
const empty = (adapter: DBAdapter["Service"]) =>
  adapter.write([{ op: "delete", table: "execution", where: { op: "and", conditions: [] } }, insertCode])

const insertAll = (
  adapter: DBAdapter["Service"],
  rows: typeof anyRows extends fc.Arbitrary<infer Rows> ? Rows : never
) =>
  adapter.write([
    insertCode,
    { op: "insert", table: "execution", rows: rows.executions },
    { op: "insert", table: "execution_tool_call", rows: rows.toolCalls }
  ])

/** An outcome without the words of its error. */
const outcome = (exit: Exit.Exit<ReadonlyArray<number>, DBError | WriteConflict>): string => {
  if (Exit.isSuccess(exit)) return exit.value.join()
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (error === undefined) return "defect"
  return error._tag === "DBError"
    ? error.reason
    : `operation ${error.operation} expected ${error.expected}, changed ${error.changed}`
}

/** Declares the properties of an adapter. */
export const adapterProperties = (makeAdapter: MakeAdapter): void => {
  it.effect(
    "random queries over random rows",
    () =>
      Effect.gen(function* () {
        const adapter = yield* makeAdapter
        const queries = fc.record({
          rows: anyRows,
          finds: fc.array(anyFind, { minLength: 1, maxLength: 6 }),
          counts: fc.array(anyCountBy, { maxLength: 3 })
        })
        yield* checkProperty(queries, runs, ({ counts, finds, rows }) =>
          Effect.gen(function* () {
            const model = MemoryAdapter.make()
            yield* empty(adapter)
            yield* insertAll(adapter, rows)
            yield* insertAll(model, rows)
            for (const options of finds) {
              expect(yield* adapter.find(options)).toEqual(yield* model.find(options))
              const { table, where } = options
              const counted = { table, ...(where && { where }) }
              expect(yield* adapter.count(counted)).toBe(yield* model.count(counted))
            }
            for (const options of counts) {
              expect(yield* adapter.countBy(options)).toEqual(yield* model.countBy(options))
            }
          })
        )
      }),
    60_000
  )

  it.effect(
    "random units of work, alone and together",
    () =>
      Effect.gen(function* () {
        const adapter = yield* makeAdapter
        const work = fc.record({
          rows: anyRows,
          units: fc.array(anyUnit, { minLength: 1, maxLength: 6 }),
          together: fc.boolean()
        })
        yield* checkProperty(work, runs, ({ rows, together, units }) =>
          Effect.gen(function* () {
            const model = MemoryAdapter.make()
            yield* empty(adapter)
            yield* insertAll(adapter, rows)
            yield* insertAll(model, rows)
            const run = (target: DBAdapter["Service"]) =>
              Effect.map(
                Effect.all(
                  units.map((unit) => Effect.exit(target.write(unit))),
                  { concurrency: together ? "unbounded" : 1 }
                ),
                (exits) => exits.map(outcome)
              )
            expect(yield* run(adapter)).toEqual(yield* run(model))
            expect(yield* state(adapter)).toEqual(yield* state(model))
          })
        )
      }),
    60_000
  )
}
