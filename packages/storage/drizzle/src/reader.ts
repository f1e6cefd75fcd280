/**
 * The entry of a reader thread: long reads of a database file, checkpoints, the index of its text, and giving free pages back,
 * away from the thread of the adapter. The last two go in small steps, between requests; the index also for a moment before a
 * search.
 *
 * SQLite's own way to stop a query is not reachable from JavaScript, and a thread inside one cannot be ended either. So
 * each table is read through a view of the same name, which has a condition that is always true and, each few hundred
 * rows, asks whether to go on. SQLite merges such a view into the query: it uses the same indexes as without.
 */
import { AdapterSchema, coreSchema, DBError } from "@executor/sdk"
import Database from "better-sqlite3"
import { parentPort, workerData } from "node:worker_threads"
import { hasSearch } from "./internal/candidates.ts"
import { toDBError } from "./internal/errors.ts"
import { movedFrom } from "./internal/fileIdentity.ts"
import { makeFreePages } from "./internal/freePages.ts"
import type { FromReader, ReaderData, ToReader } from "./internal/readerMessages.ts"
import { registerPackedText } from "./internal/packedText.ts"
import { type ReadItem, runRead } from "./internal/reads.ts"
import { makeSearchIndex } from "./internal/searchIndex.ts"
import { makeStatements } from "./internal/statements.ts"

/** A look takes as long as a few rows; rows of long text take a millisecond for so many. A power of two. */
const rowsBetweenLooks = 256

/** A slice of an answer takes the adapter's thread about a millisecond. */
const sliceRows = 250
const sliceCharacters = 1_000_000

/**
 * A checkpoint that lets writers go on leaves what they write meanwhile, so under steady writing the log would never
 * begin anew. From this many pages (16 MB) they are kept out for the last stretch.
 */
const restartPages = 4_000

/** How long that last stretch waits for readers of an old state, with writers kept out. */
const restartWaitMillis = 5

/** How long a search waits for the index. What is not in it then is looked into. */
const catchUpMillis = 100

/** Between requests there is time: writers wait for the steps. */
const idleMillis = 100
const restRatio = 3

const port = parentPort
if (port === null) throw new Error("This module is the entry of a worker thread")
const { cancelled, file, files, lockWaitMillis } = workerData as ReaderData

const post = (message: FromReader): void => port.postMessage(message)

let current = 0
const goOn = (): 1 => {
  if (Atomics.load(cancelled, 0) === current) throw new DBError({ message: "The read was cancelled.", reason: "other" })
  return 1
}

/** Opens what the adapter has open, or throws where that is no longer there: a new log beside an old index would damage the database. */
const open = (options: Database.Options): Database.Database => {
  refuseOther()
  const database = new Database(file, { fileMustExist: true, ...options })
  try {
    refuseOther()
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const refuseOther = (): void => {
  const fault = movedFrom(files)
  // What ends a thread crosses to another, which only plain errors do whole.
  if (fault !== undefined) throw new Error(fault.message)
}

const openReader = (): Database.Database => {
  const database = open({ readonly: true, timeout: lockWaitMillis })
  database.pragma("temp_store = MEMORY")
  database.function("executor_go_on", goOn)
  registerPackedText(database, goOn)
  const tables = database
    .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND wr = 0")
    .pluck()
    .all()
  // In a thread that is being ended, functions are not called and give null: the overflow then ends the query.
  const look = "ifnull(executor_go_on(), abs(-9223372036854775808 + (rowid & 0)))"
  for (const name of tables.map(String).filter((name) => !name.startsWith("sqlite_"))) {
    database.exec(
      `CREATE TEMP VIEW "${name}" AS SELECT rowid AS rowid, * FROM main."${name}" ` +
        // The first row is looked at, so that nested scans of a small table are too.
        `WHERE (rowid & ${rowsBetweenLooks - 1}) <> 1 OR ${look}`
    )
  }
  return database
}

const reading = openReader()
const statements = makeStatements(reading, AdapterSchema.compile(coreSchema))

let items: ReadonlyArray<ReadItem> = []
let sent = 0

const sendSlice = (): void => {
  const from = sent
  let characters = 0
  while (sent < items.length && sent - from < sliceRows && characters < sliceCharacters) {
    const item = items[sent++]
    for (const value of Object.values(item ?? {})) {
      if (typeof value === "string" || value instanceof Uint8Array) characters += value.length
    }
  }
  const last = sent === items.length
  post({ _tag: "slice", items: from === 0 && last ? items : items.slice(from, sent), last })
  if (last) items = []
}

const fail = (error: unknown): void => {
  try {
    const { cause, message, reason } = toDBError(error)
    post({ _tag: "failed", message, reason, ...(cause instanceof Error && { cause }) })
  } catch {
    post({ _tag: "failed", message: String(error), ...(error instanceof Error && { cause: error }) })
  }
}

interface Writing {
  readonly database: Database.Database
  readonly index: () => boolean
  readonly giveBack: () => boolean
}

let writing: Writing | undefined

/** What only a connection that may write can do; it writes nothing else. */
const openWriter = (): Writing => {
  if (writing !== undefined) return writing
  const database = open({ timeout: restartWaitMillis })
  database.pragma("synchronous = NORMAL")
  return (writing = { database, index: makeSearchIndex(database), giveBack: makeFreePages(database) })
}

/** Readers see the log, so this needs a connection that may write. */
const checkpoint = (): void => {
  try {
    const { database } = openWriter()
    const [state] = database.pragma("wal_checkpoint(PASSIVE)") as ReadonlyArray<{ readonly log: number }>
    if (state !== undefined && state.log >= restartPages) database.pragma("wal_checkpoint(RESTART)")
  } catch {
    // Another process may hold a lock, or the disk be full. The log is kept, and this asked for again.
  }
  post({ _tag: "checkpointed" })
}

/** Whether a step was taken, and there may be more. */
const tryStep = (step: (writing: Writing) => boolean): boolean => {
  try {
    return step(openWriter())
  } catch {
    // As for a checkpoint: what is not in the index is looked into, and free pages are used again.
    return false
  }
}

const indexStep = (): boolean => tryStep(({ index }) => index())
const giveBackStep = (): boolean => tryStep(({ giveBack }) => giveBack())

const catchUp = (): void => {
  const end = performance.now() + catchUpMillis
  while (performance.now() < end && indexStep()) goOn()
}

let idle: ReturnType<typeof setTimeout> | undefined

const tidyWhenIdle = (wait: number): void => {
  clearTimeout(idle)
  idle = setTimeout(() => {
    const started = performance.now()
    if (indexStep() || giveBackStep()) tidyWhenIdle((performance.now() - started) * restRatio)
  }, wait)
}

/** With nothing left to wait for, the thread ends by itself. */
const end = (): void => {
  clearTimeout(idle)
  reading.close()
  writing?.database.close()
  port.close()
}

port.on("message", (message: ToReader) => {
  tidyWhenIdle(idleMillis)
  switch (message._tag) {
    case "read":
      current = message.id
      try {
        if (hasSearch(message.request.options.where)) catchUp()
        items = runRead(statements, message.request)
        sent = 0
      } catch (error) {
        return fail(error)
      }
      return sendSlice()
    case "more":
      return sendSlice()
    case "checkpoint":
      return checkpoint()
    case "tidy":
      return
    case "end":
      return end()
  }
})

post({ _tag: "ready" })
