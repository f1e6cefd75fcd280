/**
 * Random rows and queries over `coreSchema`. Values come from small sets, so that conditions meet rows, keys collide
 * and orders have ties; the texts are those that databases get wrong.
 */
import * as fc from "fast-check"
import { type Column, compile, type Table } from "../AdapterSchema.ts"
import { coreSchema } from "../CoreSchema.ts"
import type {
  CountByOptions,
  FindOptions,
  GroupBy,
  OrderBy,
  Row,
  SetValue,
  Value,
  Where,
  WriteOperation
} from "../DBAdapter.ts"
import { executionRow, toolCallRow } from "./rows.ts"

const texts = [
  "",
  "a",
  "A",
  "aB",
  "Ab",
  "b",
  "%",
  "_",
  "\\",
  "'",
  '"',
  "a%b",
  "a_b",
  "é",
  "É",
  "ß",
  "a\u0000b",
  "\uE000",
  "😀",
  "😀a",
  "\uFFFF"
]
const integers = [-1000, -61, -60, -1, 0, 1, 59, 60, 1000, 2 ** 40]
const ids = ["0", "1", "2", "3", "4", "5", "6", "7"]
const tables = compile(coreSchema)

const tableNamed = (name: string): Table => {
  const table = tables.get(name)
  if (table === undefined) throw new Error(`There is no table "${name}".`)
  return table
}
const execution = tableNamed("execution")
const toolCall = tableNamed("execution_tool_call")

/** The columns that vary: one of each type, with and without nulls, and the keys. */
const varying = new Map([
  [
    execution,
    ["id", "status", "trigger_kind", "created_at", "duration_ms", "journal_complete", "error_text", "interaction_count"]
  ],
  [toolCall, ["custom_id", "execution_id", "seq", "settle_seq", "tool_path", "error_text", "duration_ms"]]
])

const columnsOf = (table: Table): ReadonlyArray<Column> =>
  (varying.get(table) ?? []).flatMap((name) => table.columns.get(name) ?? [])

const scalarOf = (column: Column): fc.Arbitrary<string | number | boolean> => {
  if (column.name === "id" || column.name === "custom_id" || column.name === "execution_id")
    return fc.constantFrom(...ids)
  if (column.type === "boolean") return fc.boolean()
  if (column.type === "integer") return fc.constantFrom(...integers)
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...texts) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) }
  )
}

const valueOf = (column: Column): fc.Arbitrary<Value> =>
  column.nullable ? fc.option(scalarOf(column), { nil: null, freq: 3 }) : scalarOf(column)

const rowOf = (table: Table): fc.Arbitrary<Row> =>
  fc.record(Object.fromEntries(columnsOf(table).map((column) => [column.name, valueOf(column)])))

/** Complete rows of `execution` and of its tool calls, no key twice. */
export const anyRows: fc.Arbitrary<{
  readonly executions: ReadonlyArray<Row>
  readonly toolCalls: ReadonlyArray<Row>
}> = fc
  .record({
    executions: fc.uniqueArray(rowOf(execution), { maxLength: 8, selector: (row) => row["id"] }),
    toolCalls: fc.array(rowOf(toolCall), { maxLength: 16 })
  })
  .map(({ executions, toolCalls }) => ({
    executions: executions.map((row) => executionRow(String(row["id"]), row)),
    toolCalls: toolCalls.flatMap((row, seq) => {
      const parent = executions[seq % Math.max(executions.length, 1)]
      return parent === undefined
        ? []
        : [
            toolCallRow("", "", 0, {
              ...row,
              custom_id: row["custom_id"] === null ? null : `t${seq}`,
              seq,
              execution_id: String(parent["id"])
            })
          ]
    })
  }))

const comparisonOf = (table: Table): fc.Arbitrary<Where> =>
  fc.constantFrom(...columnsOf(table)).chain((column) => {
    const name = column.name
    const text: ReadonlyArray<fc.Arbitrary<Where>> =
      column.type === "text"
        ? [
            fc.record({
              op: fc.constantFrom("contains" as const, "startsWith" as const, "endsWith" as const),
              column: fc.constant(name),
              value: scalarOf(column).map(String)
            }) as fc.Arbitrary<Where>
          ]
        : []
    return fc.oneof(
      fc.record({
        op: fc.constantFrom("eq", "ne", "lt", "lte", "gt", "gte"),
        column: fc.constant(name),
        value: scalarOf(column)
      }),
      fc.record({
        op: fc.constant("in"),
        column: fc.constant(name),
        values: fc.array(scalarOf(column), { maxLength: 5 })
      }),
      fc.record({ op: fc.constantFrom("isNull", "isNotNull"), column: fc.constant(name) }),
      ...text
    )
  })

const whereOf = (table: Table, depth: number): fc.Arbitrary<Where> => {
  if (depth === 0) return comparisonOf(table)
  const inner = fc.oneof(
    { weight: 2, arbitrary: comparisonOf(table) },
    { weight: 1, arbitrary: whereOf(table, depth - 1) }
  )
  return fc.oneof(
    inner,
    fc.record({ op: fc.constantFrom("and", "or"), conditions: fc.array(inner, { maxLength: 3 }) }),
    fc.record({ op: fc.constant("not"), condition: inner }),
    table === execution
      ? fc.record({
          op: fc.constant("exists"),
          table: fc.constant(toolCall.name),
          local: fc.constant("id"),
          foreign: fc.constant("execution_id"),
          where: whereOf(toolCall, depth - 1)
        })
      : fc.record({
          op: fc.constant("exists"),
          table: fc.constant(execution.name),
          local: fc.constant("execution_id"),
          foreign: fc.constant("id"),
          where: comparisonOf(execution)
        })
  ) as fc.Arbitrary<Where>
}

const anyTable = fc.constantFrom(execution, toolCall)
const anyDirection = fc.constantFrom("asc" as const, "desc" as const)

/** An order that ends with the primary key, so that it has no ties, and maybe a position in it. */
export const anyFind: fc.Arbitrary<FindOptions> = anyTable.chain((table) =>
  fc
    .record({
      orderBy: fc.uniqueArray(
        fc.record({ column: fc.constantFrom(...columnsOf(table).map(({ name }) => name)), direction: anyDirection }),
        { maxLength: 3, selector: ({ column }) => column }
      ),
      idDirection: anyDirection,
      where: fc.option(whereOf(table, 3), { nil: undefined }),
      limit: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
      after: fc.option(fc.constantFrom(...ids), { nil: undefined })
    })
    .chain(({ after, idDirection, limit, orderBy, where }) => {
      const order: ReadonlyArray<OrderBy> = [
        ...orderBy.filter(({ column }) => column !== "id"),
        { column: "id", direction: idDirection }
      ]
      const position = fc.tuple(...order.map(({ column }) => valueOf(table.columns.get(column) as Column)))
      return (after === undefined ? fc.constant(undefined) : position).map((position) => ({
        table: table.name,
        orderBy: order,
        ...(where && { where }),
        ...(limit !== undefined && { limit }),
        ...(position && { after: position })
      }))
    })
)

const groupOf = (table: Table): fc.Arbitrary<GroupBy> => {
  const numbers = columnsOf(table).filter(({ type }) => type === "integer")
  return fc.oneof(
    fc.record({ column: fc.constantFrom(...columnsOf(table).map(({ name }) => name)) }),
    fc.record({ notNull: fc.constantFrom(...columnsOf(table).map(({ name }) => name)) }),
    fc.record({
      bucket: fc.record({
        column: fc.constantFrom(...numbers.map(({ name }) => name)),
        size: fc.constantFrom(1, 7, 60, 1000)
      })
    })
  )
}

/** A grouped count of rows or of different values. */
export const anyCountBy: fc.Arbitrary<CountByOptions> = anyTable.chain((table) =>
  fc
    .record({
      by: fc.array(groupOf(table), { maxLength: 2 }),
      where: fc.option(whereOf(table, 2), { nil: undefined }),
      limit: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }),
      distinct: fc.option(fc.constantFrom(...columnsOf(table).map(({ name }) => name)), { nil: undefined }),
      sum: fc.option(fc.subarray(columnsOf(table).flatMap(({ name, type }) => (type === "integer" ? [name] : []))), {
        nil: undefined
      })
    })
    .map(({ by, distinct, limit, sum, where }) => ({
      table: table.name,
      by,
      ...(where && { where }),
      ...(limit !== undefined && { limit }),
      ...(distinct !== undefined && { distinct }),
      ...(sum && { sum })
    }))
)

const anyExpect = fc.option(fc.constantFrom(0, 1, 2), { nil: undefined, freq: 2 })

const anyOnConflict = fc.option(fc.constantFrom("ignore" as const, "update" as const), { nil: undefined })

const anyCountOf: fc.Arbitrary<SetValue> = fc.option(whereOf(toolCall, 1), { nil: undefined }).map((where) => ({
  countOf: { table: toolCall.name, local: "id", foreign: "execution_id", ...(where && { where }) }
}))

const anySumOf: fc.Arbitrary<SetValue> = fc
  .array(fc.tuple(fc.option(whereOf(toolCall, 1), { nil: undefined }), fc.constantFrom("seq", "duration_ms")), {
    maxLength: 2
  })
  .map((parts) => ({
    sumOf: parts.map(([where, column]) => ({
      table: toolCall.name,
      local: "id",
      foreign: "execution_id",
      column,
      ...(where && { where })
    }))
  }))

const setOf = (column: Column): fc.Arbitrary<SetValue> =>
  column.type === "integer"
    ? fc.oneof(valueOf(column), fc.record({ increment: fc.constantFrom(-1, 1, 60) }), anyCountOf, anySumOf)
    : valueOf(column)

/** A unit of work: inserts that may collide, updates and deletes that may find other rows than they expect. */
export const anyUnit: fc.Arbitrary<ReadonlyArray<WriteOperation>> = fc.array(
  fc.oneof(
    fc.tuple(rowOf(execution), anyOnConflict, anyExpect).map(([row, onConflict, expect]): WriteOperation => ({
      op: "insert",
      table: execution.name,
      rows: [executionRow(String(row["id"]), row)],
      ...(onConflict && { onConflict }),
      ...(expect !== undefined && { expect })
    })),
    fc
      .tuple(rowOf(toolCall), anyOnConflict, fc.option(whereOf(execution, 1), { nil: undefined }), anyExpect)
      .map(([row, onConflict, where, expect]): WriteOperation => ({
        op: "insert",
        table: toolCall.name,
        rows: [toolCallRow("", "", 0, { ...row, seq: Math.abs(Number(row["seq"])) })],
        ...(onConflict && { onConflict }),
        ...(where && { given: { table: execution.name, where } }),
        ...(expect !== undefined && { expect })
      })),
    fc
      .tuple(
        whereOf(execution, 1),
        fc
          .constantFrom(...columnsOf(execution).slice(1))
          .chain((column) => fc.tuple(fc.constant(column), setOf(column))),
        anyExpect
      )
      .map(([where, [column, value], expect]): WriteOperation => ({
        op: "update",
        table: execution.name,
        where,
        set: { [column.name]: value },
        ...(expect !== undefined && { expect })
      })),
    fc.tuple(anyTable, anyExpect).chain(([table, expect]) =>
      whereOf(table, 1).map((where): WriteOperation => ({
        op: "delete",
        table: table.name,
        where,
        ...(expect !== undefined && { expect })
      }))
    )
  ),
  { minLength: 1, maxLength: 3 }
)
