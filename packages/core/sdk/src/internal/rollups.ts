/**
 * Asking the rollups: the tables in which a database counts executions that have ended, by period (see `coreSchema`).
 */
import type { Where } from "../DBAdapter.ts"
import type { ScopeId } from "../Ids.ts"
import { between } from "./executionFilters.ts"
import { eq } from "./executionRows.ts"

/** Rows of a rollup: those of periods that are so long, from a time on and before another. */
export interface RollupPart {
  readonly period: number
  readonly from: number | undefined
  readonly to: number | undefined
}

/** The periods in milliseconds, longest first; 0 is all time. */
export const rollupPeriods: ReadonlyArray<number> = [0, 86_400_000, 3_600_000]

/** The one period of all time. */
export const allTime: RollupPart = { period: 0, from: 0, to: 1 }

/** The condition of rows of a rollup. */
export const whereRollup = (scopeId: ScopeId, part: RollupPart, conditions: ReadonlyArray<Where> = []): Where => ({
  op: "and",
  conditions: [
    eq("scope_id", scopeId),
    { op: "eq", column: "period", value: part.period },
    ...between("start", part),
    ...conditions
  ]
})
