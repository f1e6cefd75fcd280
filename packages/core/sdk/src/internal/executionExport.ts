/**
 * Reading the history from its beginning to its end, at any size in the same memory.
 *
 * Slim rows are read in pages, and what belongs to them in as few queries as fit into {@link readChars}: rows know how
 * large they are once they have ended. An execution that is larger, or has not ended, is read by itself, its calls in
 * portions by their sizes. So no more than that is held at a time, or one call or result that is larger.
 */
import { Effect, Option, Stream, Struct } from "effect"
import type { DBAdapter, DBError, Row, Where } from "../DBAdapter.ts"
import { type ArchiveRecord, ExportOptions } from "../ExecutionArchive.ts"
import type { ListOptionsInvalid } from "../ExecutionStore.ts"
import type { ExecutionId, ScopeId } from "../Ids.ts"
import { isTerminal, type ExecutionStatus } from "../Status.ts"
import { makeFilters, whereExecution } from "./executionFilters.ts"
import { decodeOptions } from "./executionList.ts"
import { byId, eq, getExecution } from "./executionRows.ts"
import { readExecution, readInteraction, readToolCall } from "./records.ts"

type Adapter = DBAdapter["Service"]
type Records = ReadonlyArray<ArchiveRecord>
type ReadRecords = Effect.Effect<Records, DBError>

/** Slim rows that are read at a time. */
const pageRows = 200

/** Characters of results, logs and calls that are read at a time. */
const readChars = 256 * 1024

/** Characters of code that are kept, since executions share it. */
const keptCodeChars = 8 * 1024 * 1024

/** Calls whose sizes are read at a time, and questions: these show the arguments of a call, of up to 1 MB by default. */
const sizedCalls = 500
const pageQuestions = 8

const decodeExportOptions = decodeOptions(ExportOptions)

const textOf = (row: Row, column: string): string => String(row[column])
const numberOf = (row: Row, column: string): number => Number(row[column] ?? 0)
const lastOf = (rows: ReadonlyArray<Row>, columns: ReadonlyArray<string>) => {
  const last = rows.at(-1)
  return last === undefined ? undefined : columns.map((column) => last[column] ?? null)
}

/** Pages until one is not full; `read` gets the last row of the one before. */
const paged = <S, A>(
  limit: number,
  read: (
    after: S | undefined
  ) => Effect.Effect<{ readonly items: ReadonlyArray<A>; readonly last: S | undefined }, DBError>
): Stream.Stream<ReadonlyArray<A>, DBError> =>
  Stream.paginate(undefined as S | undefined, (after) =>
    Effect.map(read(after), ({ items, last }) => [
      [items],
      items.length < limit || last === undefined ? Option.none() : Option.some(last)
    ])
  )

/** Executions under the filters with all that belongs to them, oldest first. */
export const exportExecutions = (
  adapter: Adapter,
  scopeId: ScopeId,
  input: ExportOptions
): Stream.Stream<ArchiveRecord, DBError | ListOptionsInvalid> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { executionsOnly = false, ...options } = yield* decodeExportOptions(input)
      const where = whereExecution(yield* makeFilters(adapter, scopeId, options))
      const order = ["created_at", "id"]
      const pages = paged(pageRows, (after: Row[string][] | undefined) =>
        Effect.map(
          adapter.find({
            table: "execution",
            where,
            orderBy: order.map((column) => ({ column, direction: "asc" })),
            limit: pageRows,
            ...(after && { after })
          }),
          (items) => ({ items, last: lastOf(items, order) })
        )
      )
      const reader = makeReader(adapter, scopeId, executionsOnly)
      return pages.pipe(
        Stream.flatMap((rows) => Stream.fromIterable(portions(rows))),
        Stream.flatMap((rows) => reader(rows)),
        Stream.flatMap((records) => Stream.fromArray(records))
      )
    })
  )

const isEnded = (row: Row): boolean => isTerminal(textOf(row, "status") as ExecutionStatus)

/** Splits rows into those that are read together. */
function* portions(rows: ReadonlyArray<Row>): Generator<ReadonlyArray<Row>> {
  let portion: Array<Row> = []
  let size = 0
  for (const row of rows) {
    const own = isEnded(row) ? numberOf(row, "size") : readChars
    if (portion.length > 0 && size + own > readChars) {
      yield portion
      portion = []
      size = 0
    }
    portion.push(row)
    size += own
  }
  if (portion.length > 0) yield portion
}

const makeReader = (adapter: Adapter, scopeId: ScopeId, executionsOnly: boolean) => {
  const codes = new Map<string, string>()
  let codeChars = 0

  const codeOf = Effect.fnUntraced(function* (id: string) {
    const known = codes.get(id)
    if (known !== undefined) return known
    const [row] = yield* adapter.find({ table: "execution_code", select: ["code"], where: byId(scopeId, id), limit: 1 })
    if (row === undefined) return undefined
    const code = textOf(row, "code")
    codeChars += code.length
    if (codeChars > keptCodeChars) {
      codes.clear()
      codeChars = code.length
    }
    codes.set(id, code)
    return code
  })

  const ofExecution = (id: string): ReadonlyArray<Where> => [eq("execution_id", id), eq("scope_id", scopeId)]

  const toolCalls = (rows: ReadonlyArray<Row>): ReadRecords =>
    Effect.forEach(rows, (row) => Effect.map(readToolCall(row), (call) => ({ type: "toolCall" as const, ...call })))

  const interactions = (id: string): Stream.Stream<Records, DBError> => {
    const order = ["created_at", "id"]
    return paged(pageQuestions, (after: Row[string][] | undefined) =>
      Effect.gen(function* () {
        const rows = yield* adapter.find({
          table: "execution_interaction",
          where: { op: "and", conditions: ofExecution(id) },
          orderBy: order.map((column) => ({ column, direction: "asc" })),
          limit: pageQuestions,
          ...(after && { after })
        })
        const items = yield* Effect.forEach(rows, (row) =>
          Effect.map(readInteraction(row), (interaction) => ({
            type: "interaction" as const,
            ...Struct.omit(interaction, ["responsePrivateJson"])
          }))
        )
        return { items, last: lastOf(rows, order) }
      })
    )
  }

  /** The calls of one execution, as many at a time as fit. */
  const callsBySize = (id: string): Stream.Stream<Records, DBError> =>
    Stream.paginate(-1, (after) =>
      Effect.gen(function* () {
        const later: Where = { op: "gt", column: "seq", value: after }
        const sizes = yield* adapter.find({
          table: "execution_tool_call",
          select: ["seq", "args_size", "result_size"],
          where: { op: "and", conditions: [...ofExecution(id), later] },
          orderBy: [{ column: "seq", direction: "asc" }],
          limit: sizedCalls
        })
        let chars = 0
        const fitting = sizes.findIndex((row, index) => {
          chars += numberOf(row, "args_size") + numberOf(row, "result_size")
          return chars > readChars && index > 0
        })
        const last = sizes.at(fitting === -1 ? -1 : fitting - 1)
        if (last === undefined) return [[[]], Option.none()]
        const seq = numberOf(last, "seq")
        const rows = yield* adapter.find({
          table: "execution_tool_call",
          where: { op: "and", conditions: [...ofExecution(id), later, { op: "lte", column: "seq", value: seq }] },
          orderBy: [{ column: "seq", direction: "asc" }]
        })
        const isLast = fitting === -1 && sizes.length < sizedCalls
        return [[yield* toolCalls(rows)], isLast ? Option.none() : Option.some(seq)]
      })
    )

  /** An execution by itself. One that was swept since its row was read is not there any more. */
  const alone = (row: Row): Stream.Stream<Records, DBError> => {
    const id = textOf(row, "id")
    const execution = getExecution(adapter, scopeId, id as ExecutionId).pipe(
      Effect.map((found): Records => [{ type: "execution", ...found }]),
      Effect.catchTag("ExecutionNotFound", () => Effect.succeed<Records>([]))
    )
    return executionsOnly
      ? Stream.fromEffect(execution)
      : Stream.fromEffect(execution).pipe(
          Stream.flatMap((records) =>
            records.length === 0
              ? Stream.empty
              : Stream.make(records).pipe(Stream.concat(callsBySize(id)), Stream.concat(interactions(id)))
          )
        )
  }

  const together = Effect.fnUntraced(function* (rows: ReadonlyArray<Row>): Effect.fn.Return<Records, DBError> {
    const values = rows.map((row) => textOf(row, "id"))
    const where: Where = {
      op: "and",
      conditions: [{ op: "in", column: "execution_id", values }, eq("scope_id", scopeId)]
    }
    const found = yield* adapter.find({ table: "execution_output", where })
    const outputs = new Map(found.map((row) => [textOf(row, "execution_id"), row]))
    const hasCalls = !executionsOnly && rows.some((row) => numberOf(row, "tool_call_count") > 0)
    const calls = hasCalls
      ? yield* adapter.find({
          table: "execution_tool_call",
          where,
          orderBy: [
            { column: "execution_id", direction: "asc" },
            { column: "seq", direction: "asc" }
          ]
        })
      : []
    const callsOf = Map.groupBy(calls, (row) => textOf(row, "execution_id"))
    const records: Array<ArchiveRecord> = []
    for (const row of rows) {
      const id = textOf(row, "id")
      const code = yield* codeOf(textOf(row, "code_id"))
      // Swept since its row was read.
      if (code === undefined) continue
      records.push({ type: "execution", ...(yield* readExecution({ ...row, ...outputs.get(id), id, code })) })
      records.push(...(yield* toolCalls(callsOf.get(id) ?? [])))
      if (!executionsOnly && numberOf(row, "interaction_count") > 0) {
        records.push(...(yield* Stream.runCollect(interactions(id))).flat())
      }
    }
    return records
  })

  return (rows: ReadonlyArray<Row>): Stream.Stream<Records, DBError> => {
    const [first] = rows
    return rows.length === 1 && first !== undefined && (!isEnded(first) || numberOf(first, "size") >= readChars)
      ? alone(first)
      : Stream.fromEffect(together(rows))
  }
}
