/**
 * A database in memory, in the place of one that cannot be opened: what executes code goes on with it, and with the sources and tools
 * that can still be read from the other.
 */
import { AdapterSchema, coreSchema, type DBAdapter, DBError, type Row, type WriteOperation } from "@executor/sdk"
import { Effect, type Scope } from "effect"
import { isPostgres } from "./DatabaseUrl.ts"
import { find } from "./internal/queries.ts"
import { openReadOnly } from "./internal/readOnly.ts"
import { migrations } from "./internal/sqliteMigrations.ts"
import { makeStatements } from "./internal/statements.ts"
import * as SqliteAdapter from "./SqliteAdapter.ts"

/** What there is without the database. */
export interface MemoryDatabase {
  readonly adapter: DBAdapter["Service"]
  /** Whether the sources of the other database are in it. */
  readonly hasSources: boolean
}

/** The tables that executing code reads. */
const catalogTables = ["source", "tool"]

/** Opens a database in memory with the catalog of another, where that is a file of this version that can be read. */
export const open = Effect.fnUntraced(function* (options: {
  readonly instead: string
}): Effect.fn.Return<MemoryDatabase, DBError, Scope.Scope> {
  const adapter = yield* SqliteAdapter.make({ file: ":memory:" })
  const catalog = isPostgres(options.instead) ? undefined : yield* Effect.option(readCatalog(options.instead))
  if (catalog?._tag !== "Some") return { adapter, hasSources: false }
  yield* adapter.write(catalog.value).pipe(Effect.catchTag("WriteConflict", Effect.die))
  return { adapter, hasSources: true }
})

/** The rows of the catalog, as the unit of work that writes them elsewhere. It fails with whatever is in the way: all are the same here. */
const readCatalog = (file: string): Effect.Effect<ReadonlyArray<WriteOperation>, unknown> =>
  Effect.try({
    try: () => {
      const database = openReadOnly(file)
      try {
        if (database.pragma("user_version", { simple: true }) !== migrations.length) {
          throw new DBError({ message: "It was written by another version.", reason: "other" })
        }
        const statements = makeStatements(database, AdapterSchema.compile(coreSchema))
        return catalogTables.map((table) => ({
          op: "insert" as const,
          table,
          rows: find(statements, { table }) as ReadonlyArray<Row>
        }))
      } finally {
        database.close()
      }
    },
    catch: (cause) => cause
  })
