/**
 * Units of work, in the order in which they were submitted, grouped into transactions.
 *
 * A commit costs more than a statement, so the units that were submitted in one turn of the event loop share one. A
 * group is first run without savepoints, for failure is rare; if a unit fails, the group is undone and run again with a
 * savepoint around each unit, so that a failed unit takes back its own writes and no others. Callers learn the outcome
 * after the commit, never before.
 *
 * BEGIN..COMMIT is one synchronous step. A group ends after a few milliseconds, and what is left goes to the next turn,
 * so that a burst of writes does not hold up the event loop. When another process holds the lock, the queue keeps its
 * order and is tried again; a unit that has waited too long fails as `unavailable`.
 *
 * Long texts are packed before, one after the other. The units behind them wait, so that the order stays.
 *
 * Before each group it is asked whether the file is still the one at its path. Where it is not, nothing is written.
 *
 * A unit that is interrupted while it is queued is not written. One that has been written stays written.
 */
import { type DBError, WriteConflict, type WriteOperation, type WriteOptions } from "@executor/sdk"
import { Effect } from "effect"
import { enqueue } from "./enqueue.ts"
import { databaseClosed, isBusy, locked, toDBError } from "./errors.ts"
import { isOneStatement, runUnit } from "./operations.ts"
import { longTexts, type PackedTexts, packTexts } from "./packedText.ts"
import { retryDelayMillis } from "./retry.ts"
import type { Statements } from "./statements.ts"

/**
 * A group ends after this time; the commit comes on top, and 5 ms is what the event loop should stand still at most.
 */
const groupMillis = 3

type Outcome = Effect.Effect<ReadonlyArray<number>, DBError | WriteConflict>

interface Unit {
  readonly operations: ReadonlyArray<WriteOperation>
  readonly resume: (outcome: Outcome) => void
  /** When it has waited too long for a lock; nothing before it has found one held. */
  deadline: number | undefined
  interrupted: boolean
  readonly urgent: boolean
  readonly longTexts: ReadonlyArray<string>
  /** Its long texts by what is stored for them; nothing until they are packed. */
  packed: PackedTexts | undefined
}

const noTexts: PackedTexts = new Map()

/** The writing side of a connection. */
export interface Writer {
  readonly write: (operations: ReadonlyArray<WriteOperation>, options?: WriteOptions) => Outcome
  /** Units that were written or refused so far. */
  readonly answered: () => number
  /** Writes what is queued, once, and refuses all that comes later. */
  readonly close: () => void
}

/** What running a group has come to: outcomes by unit, or a lock that somebody else holds. */
type GroupResult = ReadonlyArray<readonly [unit: Unit, outcome: Outcome]> | "busy"

const deletes = ({ operations }: Unit): boolean => operations.some(({ op }) => op === "delete")

/**
 * `waitMillis` is how long a unit may wait for a lock; `refusal` is why nothing can be kept now, if so; `onCommit` is called after each commit, with whether it may have deleted
 * rows.
 */
export const makeWriter = (
  statements: Statements,
  inTransaction: () => boolean,
  waitMillis: number,
  refusal: () => DBError | undefined,
  onCommit: (deleted: boolean) => void
): Writer => {
  let queue: Array<Unit> = []
  let scheduled: ReturnType<typeof setImmediate> | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  let packing = false
  let closed = false
  let answered = 0

  const exec = (text: string) => statements.run(text, [])
  /** A full disk, for one, makes SQLite undo the transaction by itself. */
  const rollback = () => {
    if (inTransaction()) exec("ROLLBACK")
  }

  const failure = (error: unknown): Outcome =>
    error instanceof WriteConflict ? Effect.fail(error) : Effect.suspend(() => Effect.fail(toDBError(error)))

  const runAlone = (unit: Unit): GroupResult => {
    try {
      return [[unit, Effect.succeed(runUnit(statements, unit.operations, unit.packed ?? noTexts))]]
    } catch (error) {
      return isBusy(error) ? "busy" : [[unit, failure(error)]]
    }
  }

  /** Runs units in one transaction for a few milliseconds; units left over have no outcome. */
  const runGroup = (units: ReadonlyArray<Unit>, savepoints: boolean): GroupResult => {
    const outcomes: Array<readonly [Unit, Outcome]> = []
    try {
      exec("BEGIN IMMEDIATE")
    } catch (error) {
      return isBusy(error) ? "busy" : units.map((unit) => [unit, failure(error)])
    }
    const started = performance.now()
    for (const unit of units) {
      if (savepoints) exec("SAVEPOINT unit")
      try {
        outcomes.push([unit, Effect.succeed(runUnit(statements, unit.operations, unit.packed ?? noTexts))])
      } catch (error) {
        if (savepoints && inTransaction()) exec("ROLLBACK TO unit")
        else {
          const isUndone = !inTransaction()
          rollback()
          if (!isUndone && units.length > 1) return runGroup(units, true)
          return [...outcomes.map(([unit]) => unit), unit].map((unit) => [unit, failure(error)])
        }
        outcomes.push([unit, failure(error)])
      }
      if (savepoints) exec("RELEASE unit")
      if (performance.now() - started > groupMillis) break
    }
    try {
      exec("COMMIT")
      return outcomes
    } catch (error) {
      rollback()
      return outcomes.map(([unit]) => [unit, failure(error)])
    }
  }

  const flush = () => {
    scheduled = undefined
    queue = queue.filter((unit) => !unit.interrupted)
    const unready = queue.findIndex(({ packed }) => packed === undefined)
    const units = unready === -1 ? queue : queue.slice(0, unready)
    const [first] = units
    if (first === undefined) return
    const refused = refusal()
    const result =
      refused !== undefined
        ? units.map((unit) => [unit, Effect.fail(refused)] as const)
        : units.length === 1 && isOneStatement(statements.tables, first.operations)
          ? runAlone(first)
          : runGroup(units, false)
    if (result === "busy") {
      waitForLock()
      return
    }
    queue = queue.slice(result.length)
    answered += result.length
    if (units.length > result.length) schedule()
    for (const [unit, outcome] of result) unit.resume(outcome)
    onCommit(result.some(([unit]) => deletes(unit)))
  }

  const waitForLock = () => {
    const now = performance.now()
    const late = queue.filter((unit) => closed || (unit.deadline ??= now + waitMillis) <= now)
    queue = queue.filter((unit) => !late.includes(unit))
    if (queue.length > 0) {
      retry = setTimeout(() => {
        retry = undefined
        flush()
      }, retryDelayMillis())
    }
    for (const unit of late) unit.resume(Effect.fail(locked()))
  }

  const schedule = () => {
    if (retry === undefined) scheduled ??= setImmediate(flush)
  }

  const pack = async (): Promise<void> => {
    if (packing) return
    packing = true
    for (;;) {
      const unit = queue.find(({ interrupted, packed }) => packed === undefined && !interrupted)
      if (unit === undefined) break
      // One that cannot be packed, for want of memory, is stored as it is.
      // oxlint-disable-next-line no-await-in-loop
      unit.packed = await packTexts(unit.longTexts).catch(() => noTexts)
      schedule()
    }
    packing = false
  }

  return {
    answered: () => answered,
    write: (operations, { urgent = false } = {}) =>
      Effect.callback((resume) => {
        if (closed) {
          resume(Effect.fail(databaseClosed()))
          return
        }
        const texts = longTexts(statements.tables, operations)
        const unit: Unit = {
          operations,
          resume,
          deadline: undefined,
          interrupted: false,
          urgent,
          longTexts: texts,
          packed: texts.length === 0 ? noTexts : undefined
        }
        enqueue(queue, unit)
        if (unit.packed === undefined) void pack()
        else schedule()
        return Effect.sync(() => {
          unit.interrupted = true
        })
      }),
    close: () => {
      closed = true
      clearImmediate(scheduled)
      clearTimeout(retry)
      retry = undefined
      // What is not packed yet is stored as it is.
      for (const unit of queue) unit.packed ??= noTexts
      while (queue.length > 0) flush()
    }
  }
}
