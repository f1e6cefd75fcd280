/**
 * Executions that end their process: they are not taken up for ever, and do little harm to their neighbours until then.
 *
 * The row of an execution counts how many processes in a row were lost shortly after they had taken it up: see `ExecutionLease`. A process
 * that has held it for the time after which leases are prolonged has survived it, and the count begins anew.
 *
 * - From `maxCrashes` on nobody takes it up. It ends as failed, and says why.
 * - A process that ends leaves all that it held, and all of that is counted. From `suspectFrom` on an execution is a **suspect**. An
 *   engine takes up one suspect at a time, and the next when that has ended, waits, or was survived. So an execution that ends its
 *   process takes no other suspect along, and comes to its bound alone. The suspect with the most crashes is first.
 * - A person's answer has its execution taken up at once, whatever the count.
 */
import type { DBError, ExecutionId, HeldExecution } from "@executor/sdk"
import { Effect } from "effect"
import type { LiveExecution } from "./LiveExecution.ts"

/** How many processes in a row may be lost shortly after they have taken an execution up. */
export const maxCrashes = 5

/** How many make it a suspect. Any process may be killed once, and all that it held is soon taken up together. */
export const suspectFrom = 2

/** Whether an execution is taken up in its turn. */
export const isSuspect = (crashes: number): boolean => crashes >= suspectFrom && crashes < maxCrashes

/** The end of an execution over which too many processes were lost. */
export const endOf = (id: ExecutionId, crashes: number) =>
  ({
    status: "failed",
    name: "RepeatedCrash",
    message:
      `The process that ran it ended ${crashes} times in a row shortly after it had taken it up, so no process takes it up again. ` +
      "Look at its last calls, at the log of the server, and whether the machine ran out of memory. " +
      `Corrected code can go on with the results of its calls: executor fork ${id} --code <file>.`
  }) as const

/** The suspects of an engine. */
export interface Suspects {
  /** Whether it is not its turn to go on. Asked before anything else, as a caller that waits for it asks again and again. */
  readonly keepBack: (id: ExecutionId) => Effect.Effect<boolean, DBError>
  /** Takes a suspect up, unless another is here. */
  readonly alone: <A, E>(take: Effect.Effect<A, E>) => Effect.Effect<A | "gone", E>
}

/** Looks after the suspects among the executions of an engine. */
export const make = (
  executions: ReadonlyMap<unknown, LiveExecution>,
  read: (id: ExecutionId) => Effect.Effect<ReadonlyArray<HeldExecution>, DBError>
): Suspects => {
  let taking = false
  /** Whether a suspect runs here that was not survived yet. */
  const areHere = () =>
    taking ||
    Array.from(executions.values()).some(({ crashes, progress }) => crashes() >= suspectFrom && !progress.isWaiting())
  return {
    keepBack: (id) =>
      areHere()
        ? Effect.map(read(id), (rows) =>
            rows.some(({ cancelRequestedAt, crashes }) => cancelRequestedAt === null && isSuspect(crashes))
          )
        : Effect.succeed(false),
    alone: Effect.fnUntraced(function* (take) {
      if (areHere()) return "gone"
      taking = true
      return yield* Effect.ensuring(
        take,
        Effect.sync(() => (taking = false))
      )
    })
  }
}
