/**
 * Keeps the leases of the executions that run here, or that ended here and whose end is not written yet. Hears what other processes
 * have written about them: that they are to be cancelled, that a question of theirs is answered, or that another process has taken
 * them. The protocol is in `ExecutionLease`.
 *
 * One fiber looks after all of them, while there are any: short executions never meet it.
 *
 * Prolonging also sets the crashes of an execution to 0, once it has been here for the time after which leases are prolonged: see
 * `Crashes`. Other executions may wait for that, so it comes at once.
 *
 * A lease is prolonged long before it ends, so that a slow moment costs none. A process that cannot reach its
 * history for a whole lease may lose its executions to one that can, and is refused its writes then.
 */
import type { ExecutionId, ExecutionStore, ScopeId } from "@executor/sdk"
import { Clock, Effect, Exit, type Scope } from "effect"
import type { LiveExecution } from "./LiveExecution.ts"
import type { UnwrittenEnds } from "./UnwrittenEnds.ts"

/** How long an execution belongs to a process that says nothing more, unless its engine is made with another time. */
export const defaultLeaseMs = 30_000

/** A lease is prolonged when so much of it is over. */
export const renewAfter = 1 / 3

/** How often is looked for what other processes have written: how long a person waits for an answer to reach another process. */
export const lookMs = 1_000

/** How long a look may take: a store that hangs is asked again. */
export const lookTimeoutMs = 5_000

/** How long prolonging may take. Where the store takes no writes, what others have written is heard nevertheless. */
export const renewTimeoutMs = 2_000

/** Why an execution ended that somebody cancelled. */
export const cancelledOnRequest = "It was cancelled on request."

/** Looks after executions. */
export interface Leases {
  /** Looks after an execution that has just begun here, until it is no longer in `executions`. */
  readonly watch: () => void
}

/** Looks after the executions of an engine while its scope lives. */
export const make = Effect.fnUntraced(function* (options: {
  readonly store: ExecutionStore["Service"]
  readonly scopeId: ScopeId
  readonly owner: string
  readonly leaseMs: number
  readonly executions: ReadonlyMap<unknown, LiveExecution>
  readonly unwritten: UnwrittenEnds
}): Effect.fn.Return<Leases, never, Scope.Scope> {
  const { executions, leaseMs, owner, scopeId, store, unwritten } = options
  const context = yield* Effect.context<Scope.Scope>()
  const runFork = Effect.runForkWith(context)
  let watching: { readonly interruptUnsafe: () => void } | undefined
  let renewAt = 0

  const look = Effect.fnUntraced(function* (now: number) {
    const old = Array.from(executions.values()).filter(({ startedHereAt }) => now - startedHereAt >= lookMs)
    const ids = old.map(({ id }) => id)
    const ended = unwritten.ids()
    const survived = old.filter((each) => each.crashes() > 0 && now - each.startedHereAt >= leaseMs * renewAfter)
    const isDue = survived.length > 0 || (now >= renewAt && ids.length + ended.length > 0)
    const renews = isDue && (yield* renew([...ids, ...ended], now + leaseMs, survived))
    if (renews) {
      renewAt = now + leaseMs * renewAfter
      for (const execution of survived) execution.survived()
    }
    if (ids.length === 0) return
    for (const { cancelRequestedAt, epoch, id } of yield* store.heldExecutions(scopeId, ids)) {
      const execution = executions.get(id)
      if (execution === undefined) continue
      if (epoch !== execution.epoch) {
        execution.leave("lease_lost")
        continue
      }
      if (renews) execution.prolonged(now + leaseMs)
      if (cancelRequestedAt !== null) execution.stop({ _tag: "Cancelled", message: cancelledOnRequest })
    }
    yield* Effect.forEach(
      old.filter(({ interactions }) => interactions.pending().length > 0),
      (execution) => hear(execution),
      { discard: true }
    )
  })

  /** Prolongs leases; whether that is known to be done. */
  const renew = (ids: ReadonlyArray<ExecutionId>, until: number, survived: ReadonlyArray<LiveExecution>) => {
    const idsSurvived = survived.map(({ id }) => id)
    const renewed = Effect.suspend(() => store.renewLeases(scopeId, owner, ids, until, idsSurvived))
    return Effect.map(Effect.exit(Effect.timeout(renewed, renewTimeoutMs)), Exit.isSuccess)
  }

  const hear = ({ id, interactions }: LiveExecution) =>
    Effect.map(store.listInteractions(scopeId, id), (recorded) => {
      for (const interaction of recorded) interactions.answeredElsewhere(interaction)
    })

  const loop = Effect.gen(function* () {
    while (executions.size > 0 || unwritten.ids().length > 0) {
      yield* Effect.sleep(lookMs)
      const now = yield* Clock.currentTimeMillis
      // A history that cannot be reached, or fails in any other way, is asked again the next time.
      yield* Effect.exit(Effect.timeoutOption(look(now), lookTimeoutMs))
    }
  })

  yield* Effect.addFinalizer(() => Effect.sync(() => watching?.interruptUnsafe()))

  return {
    watch: () => {
      if (watching !== undefined) return
      const fiber = runFork(loop)
      watching = fiber
      fiber.addObserver(() => (watching = undefined))
    }
  }
})
