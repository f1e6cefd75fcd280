/**
 * The log file of the data folder: what went wrong inside, for whoever repairs it, and readable by the owner only.
 *
 * A person gets a correlation id; the file has the cause under it. What parts of the system log goes there too, down to debug
 * messages (few, such as what a server that failed had printed), so that nothing of the inside appears on a terminal.
 */
import { Cause, Effect, Layer, Logger, References } from "effect"
import { randomUUID } from "node:crypto"
import { appendFileSync, renameSync, statSync } from "node:fs"
import { dataFiles } from "./DataFolder.ts"

/** A log larger than this is set aside (`.old`) and begun anew: it is for the latest trouble, not an archive. */
const maxLogBytes = 5 * 1024 * 1024

/** Entries that are kept while the log cannot be written: the disk that is full for it was full for the history. The oldest go first. */
const maxUnwritten = 500

/** How soon they are tried again. */
const retryMs = 1_000

let unwritten: ReadonlyArray<string> = []
let retry: NodeJS.Timeout | undefined

/** Appends an entry. A log that cannot be written must not turn one failure into two. */
const append = (folder: string, text: string): boolean => {
  unwritten = [...unwritten, `${text.trimEnd()}\n`]
  return writeEntries(folder)
}

const writeEntries = (folder: string): boolean => {
  clearTimeout(retry)
  const file = dataFiles.log(folder)
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > maxLogBytes) renameSync(file, `${file}.old`)
    appendFileSync(file, unwritten.join(""), { mode: 0o600 })
    unwritten = []
    return true
  } catch {
    unwritten = unwritten.slice(-maxUnwritten)
    retry = setTimeout(() => writeEntries(folder), retryMs).unref()
    return false
  }
}

/** Writes a defect down and gives the message for the person. */
export const record = (folder: string, cause: unknown): string => {
  const id = randomUUID()
  const text = Cause.isCause(cause) ? Cause.pretty(cause) : cause instanceof Error ? String(cause.stack) : String(cause)
  const written = append(folder, `${new Date().toISOString()} ${id} defect\n${text}`)
  return written
    ? `Something went wrong inside executor. This is a bug; please report it with the entry ${id} of ${dataFiles.log(folder)}`
    : `Something went wrong inside executor (${id}), and its log ${dataFiles.log(folder)} cannot be written either.`
}

/** Sends what is logged to the file instead of the terminal. */
export const layerLogger = (folder: string): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([
      Logger.map(Logger.formatLogFmt, (line) => {
        append(folder, line)
      })
    ]),
    Layer.succeed(References.MinimumLogLevel, "Debug")
  )

/** What `Effect` needs to report a defect. */
export const reporter =
  (folder: string) =>
  (cause: Cause.Cause<unknown>): Effect.Effect<string> =>
    Effect.sync(() => record(folder, cause))
