/**
 * The two databases, each filled with a history and opened as a host opens it, and their sizes.
 */
import { type DBAdapter, DBExecutionStore } from "@executor/sdk"
import { PostgresAdapter, SqliteAdapter } from "@executor/storage-drizzle"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { time } from "../Measure.ts"
import { checkEqual, writeThrough } from "./Check.ts"
import { generate, scopeId } from "./History.ts"
import { needle } from "./Needles.ts"
import * as PostgresFill from "./PostgresFill.ts"
import * as SqliteFill from "./SqliteFill.ts"

/** A database with a history. */
export interface Filled {
  readonly adapter: DBAdapter["Service"]
  /** Undefined where the database was there already. */
  readonly fillMillis: number | undefined
  /** What the store took then to index the text. */
  readonly indexMillis: number
  /** Bytes beside code, arguments, results and logs. */
  readonly overheadBytes: () => Promise<number>
}

/** How histories are made in one kind of database; they live until their scope ends. */
export interface Kind {
  readonly name: string
  /** Whether writes have aims: those of a server depend on what is between. */
  readonly aimsAtWrites: boolean
  readonly fill: (executions: number) => Effect.Effect<Filled, unknown, Scope.Scope>
  readonly empty: Effect.Effect<DBAdapter["Service"], unknown, Scope.Scope>
}

const payloads = [
  "SELECT sum(octet_length(code)) AS bytes FROM execution_code",
  "SELECT sum(coalesce(octet_length(args_json), 0) + coalesce(octet_length(result_json), 0)) AS bytes FROM execution_tool_call",
  "SELECT sum(coalesce(octet_length(logs_json), 0) + coalesce(octet_length(result_json), 0)) AS bytes FROM execution_output"
]

const overhead = async (sizeQuery: string, query: (sql: string) => Promise<number> | number): Promise<number> => {
  let bytes = await query(sizeQuery)
  for (const sql of payloads) bytes -= await query(sql)
  return bytes
}

/** SQLite in files of a folder, or one of so many executions in `kept.file`, which is left there and used again. */
export const sqlite = (folder: string, kept?: { readonly file: string; readonly executions: number }): Kind => {
  let files = 0
  const newFile = () => join(folder, `${files++}.sqlite`)
  return {
    name: "SQLite",
    aimsAtWrites: true,
    fill: Effect.fnUntraced(function* (executions) {
      const file = kept?.executions === executions ? kept.file : newFile()
      const fillMillis = existsSync(file)
        ? undefined
        : yield* Effect.promise(() => time(() => SqliteFill.fill(file, generate(executions))))
      const query = (sql: string): number => {
        const database = new Database(file, { readonly: true })
        try {
          return Number(database.prepare(sql).pluck().get())
        } finally {
          database.close()
        }
      }
      const size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
      const adapter = yield* SqliteAdapter.make({ file })
      const hasIndex = query("SELECT count(*) FROM sqlite_schema WHERE name = 'execution_search_pending'") > 0
      const indexMillis = hasIndex ? yield* Effect.promise(() => time(() => indexed(adapter, query))) : 0
      return { adapter, fillMillis, indexMillis, overheadBytes: () => overhead(size, query) }
    }),
    empty: Effect.suspend(() => SqliteAdapter.make({ file: newFile() }))
  }
}

/** The store keeps about this many rows out of its index of text. */
const keptPending = 1_000

/**
 * Waits until the store has indexed the text. By itself it does so a little at a time, to let others write; searches hurry it,
 * and those for code do not look into what is not indexed yet.
 */
const indexed = async (adapter: DBAdapter["Service"], query: (sql: string) => number): Promise<void> => {
  const store = DBExecutionStore.make(adapter)
  const pending = `SELECT count(*) FROM (SELECT 1 FROM execution_search_pending LIMIT ${2 * keptPending})`
  while (query(pending) > keptPending) {
    await Effect.runPromise(store.list(scopeId, { codeQuery: needle.code(0) }))
  }
}

/** Postgres on the server that {@link freshDatabase} uses. */
export const postgres: Kind = {
  name: "Postgres",
  aimsAtWrites: false,
  fill: Effect.fnUntraced(function* (executions) {
    const url = yield* freshDatabase
    const startedAt = performance.now()
    const indexMillis = yield* Effect.promise(() => PostgresFill.fill(url, generate(executions)))
    const fillMillis = performance.now() - startedAt - indexMillis
    const query = async (sql: string) => Number((await runSql(url, sql))[0]?.["bytes"])
    const size =
      "SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    const adapter = yield* PostgresAdapter.make({ url })
    return { adapter, fillMillis, indexMillis, overheadBytes: () => overhead(size, query) }
  }),
  empty: Effect.flatMap(freshDatabase, (url) => PostgresAdapter.make({ url }))
}

/** Executions that are enough to compare both ways of writing. */
const checked = 500

/** Fails unless what is filled is what the store would have written; gives the number of rows that were compared. */
export const check = ({ empty, fill }: Kind): Effect.Effect<number, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { adapter } = yield* fill(checked)
    const stored = yield* empty
    yield* writeThrough(stored, generate(checked))
    return yield* checkEqual(adapter, stored)
  })
