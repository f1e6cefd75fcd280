/**
 * Units of work on Postgres, in the order in which they were submitted.
 *
 * One connection writes. While it is busy, units queue up; then all that wait are sent together, in one transaction and
 * one round trip: a commit costs more than a statement. If a unit of a group fails, the group is undone and each of its
 * units is run in a transaction of its own, so that a failed unit takes back its own writes and no others.
 *
 * Transactions are READ COMMITTED: a statement sees what others have committed before it, waits for rows that others are
 * changing, and looks at them again before it changes them. So a condition on the row that is changed (an epoch, a
 * status) is never fulfilled twice. A row that is only looked at, to see whether another may be written, is locked for that. A deadlock is undone by the server and run again.
 *
 * A unit that cannot be sent waits for the server for a while, which begins when the server last answered: time in a queue that moves
 * does not count. Units that meet a connection which may only read are tried once more on a new one. When the connection is lost after it was sent, it may have been committed: it fails, and is not sent again.
 *
 * A unit that is interrupted while it is queued is not written; when every unit of a group is interrupted, the server is
 * told to cancel it. One that has been written stays written.
 */
import type { AdapterSchema, DBError, WriteConflict, WriteOperation, WriteOptions } from "@executor/sdk"
import { Effect } from "effect"
import type { QueryConfig } from "pg"
import { enqueue } from "./enqueue.ts"
import type { Client, Connections } from "./postgresConnections.ts"
import {
  databaseClosed,
  isContended,
  isLost,
  isOfSession,
  isReadOnly,
  toDBError,
  unknownOutcome
} from "./postgresErrors.ts"
import { keepPlansFresh } from "./postgresPlans.ts"
import { type Step, stepsOf } from "./postgresUnits.ts"

/** A group is at most this many units, so that what fails together is not much. */
const maxGroup = 64

/** Between attempts; random, so that processes that stood in each other's way do not meet again. */
const retryDelayMillis = (): number => 10 + Math.random() * 40

const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

type Outcome = Effect.Effect<ReadonlyArray<number>, DBError | WriteConflict>

interface Unit {
  readonly operations: ReadonlyArray<WriteOperation>
  readonly steps: ReadonlyArray<Step>
  readonly resume: (outcome: Outcome) => void
  readonly submittedAt: number
  readonly urgent: boolean
  interrupted: boolean
}

/** The units that are being run. */
interface Group {
  readonly client: Client
  readonly units: ReadonlyArray<Unit>
  readonly sent: Promise<Failure | undefined>
  cancelled?: Promise<void>
}

/** The writing side of a database. */
export interface Writer {
  readonly write: (operations: ReadonlyArray<WriteOperation>, options?: WriteOptions) => Outcome
  /** Units that were written or refused so far. */
  readonly answered: () => number
  /** Refuses all that comes later, and waits for what is queued. */
  readonly close: Effect.Effect<void>
}

/** Why the transaction of a group was undone, or may have been. */
interface Failure {
  readonly error: unknown
  /** The statement that failed. */
  readonly step: Step | undefined
  readonly isConnectionLost: boolean
}

/** `waitMillis` is how long a unit may wait for the server, or for others to let it through. */
export const makeWriter = (tables: AdapterSchema.Tables, connections: Connections, waitMillis: number): Writer => {
  let queue: Array<Unit> = []
  let draining: Promise<void> | undefined
  let group: Group | undefined
  let closed = false
  let answered = 0
  let answeredAt = -Infinity

  const noteAnswered = (units: ReadonlyArray<Unit>) => {
    answered += units.length
    answeredAt = performance.now()
  }

  /** Whether it is no longer tried again. */
  const isLate = (unit: Unit): boolean => performance.now() - Math.max(unit.submittedAt, answeredAt) >= waitMillis

  /** Runs units in one transaction, and tells them the outcome unless it fails. */
  const send = async (client: Client, units: ReadonlyArray<Unit>): Promise<Failure | undefined> => {
    const steps = units.flatMap((unit) => unit.steps)
    const inTransaction = steps.length > 1
    const statements = steps.map(({ parameters, text }) => connections.statement(text, parameters))
    const queries = inTransaction ? [{ text: "BEGIN" }, ...statements, { text: "COMMIT" }] : statements
    keepPlansFresh(client)
    const results = await sendAll(client, queries)
    const place = results.findIndex(({ status }) => status === "rejected")
    const failed = results[place]
    if (failed?.status === "rejected") {
      return {
        error: failed.reason,
        step: steps[inTransaction ? place - 1 : place],
        isConnectionLost: results.some((result) => result.status === "rejected" && isLost(result.reason))
      }
    }
    noteAnswered(units)
    let next = inTransaction ? 1 : 0
    for (const unit of units) {
      const changed = unit.operations.map(() => 0)
      for (const step of unit.steps) {
        const result = results[next++]
        if (result?.status !== "fulfilled") continue
        changed[step.operation] = (changed[step.operation] ?? 0) + step.changed(result.value)
      }
      unit.resume(Effect.succeed(changed))
    }
    return undefined
  }

  /**
   * What a unit fails with up to a step, leaving aside how many rows are changed: of this step that is known, and the earlier ones may
   * find others by now.
   */
  const errorBesides = async (steps: ReadonlyArray<Step>, step: Step): Promise<unknown> => {
    const client = await connections.acquireWriter().catch(() => undefined)
    if (client === undefined) return undefined
    const statements = steps
      .slice(0, steps.indexOf(step) + 1)
      .map(({ unchecked: { parameters, text } }) => connections.statement(text, parameters))
    const queries = [{ text: "BEGIN" }, ...statements, { text: "ROLLBACK" }]
    const results = await sendAll(client, queries)
    const failed = results.find(({ status }) => status === "rejected")
    const error = failed?.status === "rejected" ? failed.reason : undefined
    client.release(isLost(error))
    return isLost(error) || isContended(error) ? undefined : error
  }

  /** Runs units until each has its outcome; `isAgain` after a connection that could only read, as a new one may lead elsewhere. */
  const run = async (waiting: ReadonlyArray<Unit>, isAgain = false): Promise<void> => {
    let client: Client
    try {
      client = await connections.acquireWriter()
    } catch (error) {
      const late = waiting.filter((unit) => !isLost(error) || isLate(unit))
      fail(late, () => toDBError(error))
      const others = waiting.filter((unit) => !late.includes(unit) && !unit.interrupted)
      if (others.length === 0) return
      await sleep(retryDelayMillis())
      return run(others, isAgain)
    }
    const units = waiting.filter((unit) => !unit.interrupted)
    const current: Group = {
      client,
      units,
      sent: units.length === 0 ? Promise.resolve(undefined) : send(client, units)
    }
    group = current
    const failure = await current.sent
    group = undefined
    await current.cancelled
    client.release(failure?.isConnectionLost === true || isOfSession(failure?.error) || current.cancelled !== undefined)
    if (failure === undefined) return

    const { error, step } = failure
    if (isLost(error)) return fail(units, () => unknownOutcome(error))
    if (isContended(error) && !units.some(isLate)) {
      await sleep(retryDelayMillis())
      return run(units)
    }
    if (isReadOnly(error)) {
      if (!isAgain) return run(units, true)
      noteAnswered(units)
      return fail(units, () => toDBError(error))
    }
    if (units.length > 1) {
      for (const unit of units) await run([unit])
      return
    }
    noteAnswered(units)
    const conflict = step?.conflict(error)
    if (conflict === undefined || step === undefined) return fail(units, () => toDBError(error))
    const other = await errorBesides(
      units.flatMap((unit) => unit.steps),
      step
    )
    if (other !== undefined) return fail(units, () => toDBError(other))
    for (const unit of units) unit.resume(Effect.fail(conflict))
  }

  const drain = async (): Promise<void> => {
    // What is submitted in the same turn of the event loop goes together.
    await new Promise((resolve) => setImmediate(resolve))
    while (queue.length > 0) {
      const units = queue.slice(0, maxGroup)
      queue = queue.slice(maxGroup)
      // oxlint-disable-next-line no-await-in-loop
      await run(units).catch((error) => {
        for (const unit of units) unit.resume(Effect.die(error))
      })
    }
    draining = undefined
  }

  const interrupt = async (unit: Unit): Promise<void> => {
    unit.interrupted = true
    if (group === undefined || !group.units.includes(unit) || group.units.some(({ interrupted }) => !interrupted))
      return
    group.cancelled = connections.cancel(group.client, group.sent)
    await group.cancelled
  }

  const submit = (operations: ReadonlyArray<WriteOperation>, urgent: boolean): Outcome => {
    if (closed) return Effect.fail(databaseClosed())
    const steps = stepsOf(tables, operations)
    return Effect.callback((resume) => {
      const unit: Unit = {
        operations,
        steps,
        resume,
        submittedAt: performance.now(),
        urgent,
        interrupted: false
      }
      enqueue(queue, unit)
      draining ??= drain()
      return Effect.promise(() => interrupt(unit))
    })
  }

  return {
    answered: () => answered,
    write: (operations, { urgent = false } = {}) =>
      Effect.suspend(() => {
        try {
          return submit(operations, urgent)
        } catch (error) {
          return Effect.fail(toDBError(error))
        }
      }),
    close: Effect.promise(async () => {
      closed = true
      await draining
    })
  }
}

/** Sends statements without waiting for the outcome of one before the next, in as few packets as they take. */
const sendAll = (client: Client, queries: ReadonlyArray<QueryConfig>) => {
  const { stream } = client.connection
  stream.cork()
  try {
    return Promise.allSettled(queries.map((query) => client.query(query)))
  } finally {
    stream.uncork()
  }
}

const fail = (units: ReadonlyArray<Unit>, failure: () => DBError): void => {
  for (const unit of units) unit.resume(Effect.suspend(() => Effect.fail(failure())))
}
