/**
 * Knowing whether a database takes writes: see `faults` of `DBAdapter`.
 *
 * While somebody listens, the adapter looks every {@link lookMillis} for what no write has met yet. While there is a fault, a look
 * tries a write and takes it back, so that the end of the fault is noticed without one. A look that has no answer in
 * {@link answerMillis} tells of a database that hangs.
 *
 * A write that fails for a reason which lies with the storage says so at once. One whose connection was lost may work on the next,
 * so it only has the adapter look at once. A write that fails for another reason may fail because of its content: the next look decides.
 */
import { type DBAdapter, DBError } from "@executor/sdk"
import { type Cause, Effect, Exit, Option, Queue, Result, Stream } from "effect"
import { sleep, sleepInSteps } from "./realTime.ts"

type Write = DBAdapter["Service"]["write"]

/** Between two looks. */
const lookMillis = 1_000

/** How long the database may take for one: with the time between two, a fault is known within 5 s. */
const answerMillis = 3_000

/** Changes that a listener has not taken yet; of more, the oldest are dropped. */
const maxUntaken = 16

/** How a database is looked at. */
export interface Looks {
  /** Fails with what would make a write fail, as far as that can be seen without writing much. */
  readonly look: Effect.Effect<void, DBError>
  /** Writes, and takes it back. */
  readonly tryWrite: Effect.Effect<void, DBError>
}

/** What is known of a database. */
export interface Faults {
  /** Learns from the units of work that fail. */
  readonly watch: (write: Write) => Write
  /** See `faults` of `DBAdapter`. */
  readonly changes: Stream.Stream<DBError | undefined>
}

/** Why a unit of work fails where every other would as well. */
const lasting: ReadonlySet<DBError["reason"]> = new Set(["readOnly", "full", "moved"])

/** Knows nothing of a fault at first. */
export const makeFaults = ({ look, tryWrite }: Looks): Faults => {
  let fault: DBError | undefined
  let isSuspect = false
  let lookNow = (): void => undefined
  const listeners = new Set<(fault: DBError | undefined) => void>()

  const set = (found: DBError | undefined): void => {
    const isChange = found?.reason !== fault?.reason
    fault = found
    if (isChange) for (const tell of listeners) tell(found)
  }

  const note = (error: DBError): void => {
    if (lasting.has(error.reason)) return set(error)
    if (error.reason !== "unavailable" && error.reason !== "other") return
    isSuspect = true
    if (error.reason === "unavailable" && fault === undefined) lookNow()
  }

  /** A look may fail where writes do not: for want of a connection of its own. */
  const works = (): void => {
    isSuspect = false
    if (fault !== undefined) set(undefined)
  }

  const lookOnce = Effect.suspend(() => {
    const looking = fault !== undefined || isSuspect ? Effect.andThen(look, tryWrite) : look
    isSuspect = false
    const tooLate = Effect.andThen(sleepInSteps(answerMillis), Effect.fail(hangs()))
    return Effect.map(Effect.result(Effect.raceFirst(looking, tooLate)), (result) =>
      set(Result.isFailure(result) ? result.failure : undefined)
    )
  })

  const untilNextLook = Effect.raceFirst(
    sleep(lookMillis),
    Effect.callback<void>((resume) => {
      lookNow = () => resume(Effect.void)
    })
  )

  const listen = (queue: Queue.Queue<DBError | undefined, Cause.Done>) =>
    Effect.gen(function* () {
      const tell = (fault: DBError | undefined) => void Queue.offerUnsafe(queue, fault)
      yield* Effect.acquireRelease(
        Effect.sync(() => listeners.add(tell)),
        () => Effect.sync(() => listeners.delete(tell))
      )
      tell(fault)
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(lookOnce, untilNextLook)))
    })

  return {
    watch: (write) => (operations, options) =>
      Effect.onExit(write(operations, options), (exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) return works()
          const error = Option.getOrUndefined(Exit.findErrorOption(exit))
          if (error?._tag === "DBError") note(error)
        })
      ),
    changes: Stream.callback<DBError | undefined>(listen, { bufferSize: maxUntaken, strategy: "sliding" })
  }
}

const hangs = (): DBError =>
  new DBError({
    message: `The database has not answered within ${answerMillis / 1_000} s: look whether it, its disk or the network is overloaded or hangs.`,
    reason: "unavailable"
  })
