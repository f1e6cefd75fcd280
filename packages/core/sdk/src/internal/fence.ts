/**
 * The condition under which the holder of an execution may write, and what it means when that is not fulfilled.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, Where } from "../DBAdapter.ts"
import { LeaseLost } from "../ExecutionLease.ts"
import type { ExecutionId, ScopeId } from "../Ids.ts"

/** Conditions on the row of the execution, none where the write names no epoch. */
export const fence = (epoch: number | undefined): ReadonlyArray<Where> =>
  epoch === undefined ? [] : [{ op: "eq", column: "epoch", value: epoch }]

/** The condition that the execution of a row still has the epoch. */
export const fenceOfChild = (epoch: number | undefined): ReadonlyArray<Where> =>
  epoch === undefined
    ? []
    : [
        {
          op: "exists",
          table: "execution",
          local: "execution_id",
          foreign: "id",
          where: { op: "eq", column: "epoch", value: epoch }
        }
      ]

/** Fails with `LeaseLost` where the execution is there under a later epoch, and with `otherwise` where not. */
export const fencedOr = <E>(
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  id: ExecutionId,
  epoch: number | undefined,
  otherwise: () => Effect.Effect<never, E>
): Effect.Effect<never, E | DBError | LeaseLost> => {
  if (epoch === undefined) return otherwise()
  const where: Where = {
    op: "and",
    conditions: [
      { op: "eq", column: "id", value: id },
      { op: "eq", column: "scope_id", value: scopeId },
      { op: "gt", column: "epoch", value: epoch }
    ]
  }
  return Effect.flatMap(adapter.count({ table: "execution", where }), (taken): Effect.Effect<never, E | LeaseLost> =>
    taken > 0 ? leaseLost(id) : otherwise()
  )
}

export const leaseLost = (id: ExecutionId) =>
  new LeaseLost({
    message: `Another process has taken execution "${id}" over, since this one had not prolonged its lease in time. Nothing was written.`,
    executionId: id
  })
