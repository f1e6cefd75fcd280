/**
 * The `DBAdapter` for SQLite: one file, several processes, no server.
 *
 * `make({ file })` opens (and creates, and migrates) a database in a scope. The file uses a write-ahead log, so readers
 * and the one writer of the moment do not wait for each other; writers of other processes are waited for without
 * holding up the event loop. Writes submitted together are committed together. After a crash, at any moment, the file
 * holds every unit of work whole or not at all.
 *
 * Writes and reads of single rows run on the thread that asks for them, which is quicker than any other. Lists and counts
 * run on reader threads, and so do checkpoints and giving space back: however long a query takes, the event loop is free.
 *
 * A file that is deleted, moved or replaced while it is open takes no more writes: they fail as `moved`, and work again once the file
 * is back. Reads go on in the open file, so that what it holds can still be taken out. Its log is written back into it meanwhile, and no
 * file is opened beside the log of another (see `internal/logOwner.ts`).
 */
import { AdapterSchema, coreSchema, DBAdapter, type DBError, Doorbell, type Group, type Row } from "@executor/sdk"
import { Effect, Layer, type Scope } from "effect"
import { resolve } from "node:path"
import { type Checkpoints, makeCheckpoints } from "./internal/checkpoints.ts"
import { toDBError } from "./internal/errors.ts"
import { makeFaults } from "./internal/faults.ts"
import { type FileIdentity, identify, watchFiles } from "./internal/fileIdentity.ts"
import { removeLeftLog, writeLogBack } from "./internal/logOwner.ts"
import { openDatabase } from "./internal/open.ts"
import { otherCommits } from "./internal/otherCommits.ts"
import { hasPacked, registerPackedText, unpackRows } from "./internal/packedText.ts"
import { isPointRead } from "./internal/pointRead.ts"
import { makeReaders } from "./internal/readers.ts"
import { type ReadItem, type ReadRequest, runRead } from "./internal/reads.ts"
import { blockingWaitMillis, defaultLockWaitMillis, retryBusy } from "./internal/retry.ts"
import { sharedRings } from "./internal/sharedRings.ts"
import { tryWriteNow } from "./internal/sqliteInspection.ts"
import { makeStatements } from "./internal/statements.ts"
import { connectFile } from "./internal/useFile.ts"
import { makeWriter } from "./internal/writer.ts"

/** Where the database is. */
export interface SqliteOptions {
  /** A path, made with mode 0600 if there is no such file in its folder; or `:memory:`. */
  readonly file: string
  /**
   * How long to wait for a lock of another process before failing as `unavailable`, in milliseconds; 5000 by default.
   */
  readonly lockWaitMillis?: number | undefined
  /**
   * Where lists and counts run: on threads of their own (`worker`, the default for files), which start with the first
   * of them; or on the thread that asks (`inline`), which suits a process that ends after one, as starting a thread
   * takes about 50 ms. `:memory:` is always read inline.
   */
  readonly reads?: "worker" | "inline" | undefined
  /** The entry of the reader threads, for a program that is bundled. Defaults to the one beside this module. */
  readonly readerUrl?: URL | undefined
}

/** How long a look whether writes work again waits for a lock of others. */
const triedMillis = 1_000

const defaultReaderUrl = (): URL =>
  new URL(import.meta.url.endsWith(".ts") ? "./reader.ts" : "./reader.js", import.meta.url)

/**
 * Opens a database with the tables of the system, and closes it with the scope.
 *
 * Fails with a `DBError` that names the file when it cannot be opened or created, belongs to another program, or was
 * written by a newer version.
 */
export const make = Effect.fnUntraced(function* (
  options: SqliteOptions
): Effect.fn.Return<DBAdapter["Service"], DBError, Scope.Scope> {
  const { file, lockWaitMillis = defaultLockWaitMillis, reads = "worker" } = options
  const database = yield* openDatabase(file, lockWaitMillis)
  registerPackedText(database)
  const files: FileIdentity = file === ":memory:" ? [] : identify(resolve(file))
  yield* Effect.addFinalizer(() => Effect.sync(() => removeLeftLog(database, files)))
  const moved = watchFiles(files)
  const tables = AdapterSchema.compile(coreSchema)
  const statements = makeStatements(database, tables)
  const readNow = (request: ReadRequest) =>
    retryBusy<ReadonlyArray<ReadItem>>(lockWaitMillis, () => runRead(statements, request))
  let checkpoints: Checkpoints | undefined
  let tidy: (() => void) | undefined
  let read = readNow
  if (reads === "worker" && file !== ":memory:") {
    const readers = yield* Effect.acquireRelease(
      Effect.sync(() =>
        makeReaders({
          url: options.readerUrl ?? defaultReaderUrl(),
          file: resolve(file),
          files,
          lockWaitMillis,
          inline: readNow,
          onAvailable: (available) => checkpoints?.setAvailable(available)
        })
      ),
      (readers) => readers.close
    )
    checkpoints = makeCheckpoints(database, readers.checkpoint)
    tidy = readers.tidy
    read = (request) => (isPointRead(tables, request) ? readNow(request) : readers.read(request))
  }
  const writer = yield* Effect.acquireRelease(
    Effect.sync(() =>
      makeWriter(
        statements,
        () => database.inTransaction,
        lockWaitMillis,
        moved,
        (deleted) => {
          checkpoints?.committed()
          if (deleted) tidy?.()
        }
      )
    ),
    (writer) => Effect.sync(writer.close)
  )
  const faults = makeFaults({
    look: Effect.suspend(() => {
      const fault = moved()
      if (fault === undefined) return Effect.void
      writeLogBack(database, files)
      return Effect.fail(fault)
    }),
    tryWrite:
      file === ":memory:"
        ? Effect.void
        : Effect.scoped(
            Effect.flatMap(connectFile(file, blockingWaitMillis), (connection) =>
              retryBusy(Math.min(lockWaitMillis, triedMillis), () => tryWriteNow(connection))
            )
          )
  })
  const bell = Doorbell.make((ring) => otherCommits(database, ring))
  const freed = yield* sharedRings(bell)
  return DBAdapter.of({
    schema: coreSchema,
    keepsRollups: true,
    find: (options) =>
      Effect.flatMap(read({ op: "find", options }), (items) =>
        unpacked(AdapterSchema.tableOf(tables, options.table), items as ReadonlyArray<Row>)
      ),
    count: (options) => Effect.map(read({ op: "count", options }), ([count]) => Number(count)),
    countBy: (options) => Effect.map(read({ op: "countBy", options }), (items) => items as ReadonlyArray<Group>),
    write: faults.watch(bell.watch(writer.write)),
    answeredWrites: writer.answered,
    faults: faults.changes,
    freed
  })
})

/** Rows with the text of what is packed in them. */
const unpacked = (table: AdapterSchema.Table, rows: ReadonlyArray<Row>): Effect.Effect<ReadonlyArray<Row>, DBError> =>
  rows.some((row) => hasPacked(table, row))
    ? Effect.as(Effect.tryPromise({ try: (signal) => unpackRows(table, rows, signal), catch: toDBError }), rows)
    : Effect.succeed(rows)

/** The database of a file, for as long as the layer lives. */
export const layer = (options: SqliteOptions): Layer.Layer<DBAdapter, DBError> => Layer.effect(DBAdapter, make(options))
