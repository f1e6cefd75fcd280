/**
 * The `DBAdapter` for Postgres: one database for many processes.
 *
 * `make({ url })` connects (and creates the tables, and migrates them) in a scope. Reads run on a few connections, and
 * are cancelled in the server when their fiber is interrupted. Writes run in the order in which they were submitted, on
 * one connection, and those that wait together are committed together.
 *
 * Where the server cannot be reached, reads and writes that were not sent wait for it for a while, and then fail as
 * `unavailable`. A write whose connection was lost before the server answered fails at once, for nobody knows whether it
 * was committed.
 */
import {
  AdapterSchema,
  coreSchema,
  DBAdapter,
  DBError,
  Doorbell,
  type FindOptions,
  type Row,
  type Value
} from "@executor/sdk"
import { Effect, Layer, type Scope } from "effect"
import { type Dialect, startSql } from "./internal/dialect.ts"
import { makeFaults } from "./internal/faults.ts"
import { makeConnections } from "./internal/postgresConnections.ts"
import { changesCounters, makeCounters } from "./internal/postgresCounters.ts"
import { postgresDialect } from "./internal/postgresDialect.ts"
import { toDBError } from "./internal/postgresErrors.ts"
import { tryWrite } from "./internal/postgresInspection.ts"
import { marker, migrateDatabase } from "./internal/postgresOpen.ts"
import { searchOf } from "./internal/postgresSearch.ts"
import { makeWriter } from "./internal/postgresWriter.ts"
import { findPart, groupOf, hasParts, type Part, type Select, selectCount, selectCountBy } from "./internal/selects.ts"
import { sharedRings } from "./internal/sharedRings.ts"

/** Where the database is. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with the parameters that pg takes. */
  readonly url: string
  /** How many connections read at the same time, 5 by default; one more writes, one listens for `freed`, and at times one cancels. */
  readonly connections?: number | undefined
  /**
   * How long to wait for the server, or for a free connection, before failing as `unavailable`, in milliseconds; 5000 by
   * default.
   */
  readonly waitMillis?: number | undefined
}

const defaultConnections = 5
const defaultWaitMillis = 5_000

/**
 * Connects to a database and makes the tables of the system in it; disconnects with the scope.
 *
 * Fails with a `DBError` that names the server and the database when it cannot be reached, has other tables of the same
 * names, or was written by a newer version.
 */
export const make = Effect.fnUntraced(function* (
  options: PostgresOptions
): Effect.fn.Return<DBAdapter["Service"], DBError, Scope.Scope> {
  const { connections: readers = defaultConnections, url, waitMillis = defaultWaitMillis } = options
  const shownUrl = yield* shown(url)
  const connections = yield* makeConnections({ url, connections: readers, waitMillis })
  yield* migrateDatabase(connections, shownUrl)
  const tables = AdapterSchema.compile(coreSchema)
  const counters = yield* makeCounters(connections)
  const writer = yield* Effect.acquireRelease(
    Effect.sync(() => makeWriter(tables, connections, waitMillis)),
    (writer) => writer.close
  )

  const read = <S extends Select, A>(
    options: Pick<FindOptions, "table" | "where">,
    build: (dialect: Dialect) => S,
    decode: (rows: Array<Row>, select: S) => A
  ) =>
    Effect.flatMap(
      attempt(() => {
        const search = searchOf(tables, options)
        return { search, plain: build(postgresDialect), narrowed: search && build(search.dialect) }
      }),
      ({ narrowed, plain, search }) => {
        const statementOf = ({ parameters, text }: Select) => connections.statement(text, parameters)
        return connections.read(async (client) => {
          const few = search && (await client.query<{ few: boolean }>(statementOf(search.probe))).rows[0]?.few
          const select = narrowed !== undefined && few === true ? narrowed : plain
          return decode((await client.query<Row>(statementOf(select))).rows, select)
        })
      }
    )

  const faults = makeFaults({
    // Refused wherever a write is, and changes nothing.
    look: connections
      .useWriter((client) => client.query(`UPDATE ${marker} SET version = version WHERE false`))
      .pipe(Effect.asVoid),
    tryWrite: tryWrite(url)
  })
  const freed = yield* sharedRings(Doorbell.make((ring) => connections.listen(freedChannel, ring)))
  return DBAdapter.of({
    schema: coreSchema,
    keepsRollups: true,
    find: (options) => {
      const rows = read(
        options,
        (dialect) => selectRows(dialect, tables, options),
        (rows) => rows
      )
      // Every question to the rollups begins with their groups.
      return options.table === "rollup_group" ? Effect.andThen(counters.bringUpToDate, rows) : rows
    },
    count: (options) =>
      read(
        options,
        (dialect) => selectCount(dialect, tables, options),
        ([row]) => Number(row?.["count"])
      ),
    countBy: (options) =>
      read(
        options,
        (dialect) => selectCountBy(dialect, tables, options),
        (rows, select) => rows.map((row) => groupOf(select, row, (_, value) => (value ?? null) as Value))
      ),
    write: faults.watch((operations, options) => {
      const written = writer.write(operations, options)
      return operations.some(changesCounters) ? Effect.tap(written, counters.applySoon) : written
    }),
    answeredWrites: writer.answered,
    faults: faults.changes,
    freed
  })
})

/** The database of a URL, for as long as the layer lives. */
export const layer = (options: PostgresOptions): Layer.Layer<DBAdapter, DBError> =>
  Layer.effect(DBAdapter, make(options))

/** Where a trigger notifies of executions that are given up, by this process as well: see the migration `0006_doorbell`. */
const freedChannel = "executor_freed"

const attempt = <A>(evaluate: () => A): Effect.Effect<A, DBError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return Effect.fail(toDBError(error))
    }
  })

/**
 * A list that is read in two parts is one statement, so that both are of one state of the database. The second part runs
 * only if the first does not fill the page: Postgres reads the parts of a `UNION ALL` one after the other, and a part
 * with a limit is never read in parallel.
 */
const selectRows = (dialect: Dialect, tables: AdapterSchema.Tables, options: FindOptions): Select => {
  AdapterSchema.checkLimit(options.limit)
  const { limit } = options
  const table = AdapterSchema.tableOf(tables, options.table)
  const sql = startSql(dialect, tables)
  const part = (part: Part) => findPart(sql, options, part, limit)
  const text = (): string => {
    if (limit === undefined || !hasParts(table, options)) return part("all")
    if (options.after?.[0] === null) return part("null")
    return `(${part("notNull")}) UNION ALL (${part("null")}) LIMIT ${limit}`
  }
  return { text: text(), parameters: sql.parameters }
}

/** The URL without what must not be shown; fails if it is none. */
const shown = (url: string): Effect.Effect<string, DBError> =>
  Effect.suspend(() => {
    const parsed = URL.parse(url)
    if (parsed !== null && /^postgres(ql)?:$/.test(parsed.protocol)) {
      parsed.password = ""
      parsed.search = ""
      return Effect.succeed(parsed.href)
    }
    return Effect.fail(
      new DBError({
        message: "The URL of the database is not valid: expected postgres://user:password@host:port/database.",
        reason: "other"
      })
    )
  })
