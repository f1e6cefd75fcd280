/**
 * Fills a Postgres database: files of rows that the server copies into its tables, while the next ones are generated. Indexes are there
 * and grow with the rows, except for those of text, which are made at the end. Triggers are those of the store, except that foreign keys are not checked, and that nothing is counted
 * when a tool is written, for its execution is written after it.
 */
import type { DBAdapter } from "@executor/sdk"
import { PostgresAdapter } from "@executor/storage-drizzle"
import { runSql } from "@executor/storage-drizzle/testing"
import { Effect } from "effect"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import { time } from "../Measure.ts"
import type { GeneratedExecution } from "./History.ts"
import { insertedColumns, makeRows, type Table, tables } from "./Rows.ts"

/** Executions of one transaction. */
const batch = 10_000

/** Makes the tables in an empty database of a server on this machine, and writes the executions into them. Gives what indexing their text took. */
export const fill = async (url: string, executions: Iterable<GeneratedExecution>): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), "executor-history-"))
  // The server runs as another user.
  chmodSync(folder, 0o755)
  try {
    const indexText = await Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(PostgresAdapter.make({ url }), (adapter) =>
          Effect.promise(async () => {
            const indexText = await dropTextIndexes(url)
            await copyAll(url, adapter, folder, executions)
            return indexText
          })
        )
      )
    )
    const indexMillis = await time(indexText)
    // As autovacuum does in time.
    await runSql(url, "VACUUM ANALYZE")
    return indexMillis
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Gives what makes them again. */
const dropTextIndexes = async (url: string): Promise<() => Promise<unknown>> => {
  const indexes = await runSql(
    url,
    "SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '% USING gin %'"
  )
  await runSql(url, indexes.map(({ name }) => `DROP INDEX "${name}";`).join(""))
  const definitions = indexes.map(({ definition }) => `${definition};`).join("")
  return () => runSql(url, `SET maintenance_work_mem = '1GB';${definitions}`)
}

const alterTriggers = (url: string, names: ReadonlyArray<Table>, change: string) =>
  runSql(url, names.map((name) => `ALTER TABLE "${name}" ${change};`).join(""))

const copyAll = async (
  url: string,
  adapter: DBAdapter["Service"],
  folder: string,
  executions: Iterable<GeneratedExecution>
): Promise<void> => {
  await alterTriggers(url, tables, "DISABLE TRIGGER ALL")
  const counting = tables.filter((table) => table !== "execution_tool")
  await alterTriggers(url, counting, "ENABLE TRIGGER USER")

  const lines = new Map(tables.map((table) => [table, { columns: insertedColumns(table), text: "" }]))
  const write = makeRows((table, row) => {
    const target = lines.get(table)!
    target.text += `${target.columns.map((column) => field(row[column])).join("\t")}\n`
  })
  /** Whoever asks for the groups of rollups first adds up what was noted for them. */
  const applyChanges = () => Effect.runPromise(adapter.find({ table: "rollup_group", limit: 1 }))
  const copy = async (number: number) => {
    const copies = [...lines].map(([table, target]) => {
      const file = join(folder, `${table}-${number}`)
      writeFileSync(file, target.text, { mode: 0o644 })
      target.text = ""
      return { table, file, sql: `COPY "${table}" (${target.columns.join(", ")}) FROM '${file}';` }
    })
    // The calls are half of the work.
    const halves = Map.groupBy(copies, ({ table }) => table === "execution_tool_call")
    await Promise.all([...halves.values()].map((half) => runSql(url, half.map(({ sql }) => sql).join(""))))
    for (const { file } of copies) rmSync(file)
  }

  // One batch is counted and the next one copied while the third is generated.
  let copying: Promise<unknown> = Promise.resolve()
  let applying: Promise<unknown> = Promise.resolve()
  const flush = async (number: number) => {
    await Promise.all([copying, applying])
    applying = applyChanges()
    copying = copy(number)
    // They are waited for by the next batch, or at the end.
    for (const underWay of [applying, copying]) underWay.catch(() => undefined)
  }
  let written = 0
  for (const execution of executions) {
    write(execution)
    written++
    // The connections of the copying move on.
    if (written % 100 === 0) await setImmediate()
    if (written % batch === 0) await flush(written)
  }
  if (written % batch !== 0) await flush(written)
  await Promise.all([copying, applying])
  await applyChanges()
  await alterTriggers(url, tables, "ENABLE TRIGGER ALL")
}

/** A value in the text format of `COPY`. */
const field = (value: unknown): string => {
  if (value === null || value === undefined) return "\\N"
  if (typeof value !== "string") return String(value)
  return /[\\\n\t\r]/.test(value)
    ? value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r")
    : value
}
