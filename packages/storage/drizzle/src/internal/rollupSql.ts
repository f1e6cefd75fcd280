/**
 * What the rollups should hold, as SQL that both databases understand: each derived from the executions that have ended.
 *
 * The triggers of the migrations keep the rollups current; these statements make them anew.
 */

const ended = `"status" IN ('completed', 'failed', 'cancelled')`

const start = `CASE p."period" WHEN 0 THEN 0 ELSE e."created_at" - ((e."created_at" % p."period") + p."period") % p."period" END`

const periods = `(SELECT 0 AS "period" UNION ALL SELECT 3600000 UNION ALL SELECT 86400000) AS p`

const asked = `CASE WHEN e."asked_at" IS NOT NULL THEN 1 END`

/** One table of counters. */
export interface RollupTable {
  readonly name: string
  /** Its columns but the generated id, in the order in which `derive` selects them. */
  readonly columns: string
  /** The query for all of its rows. */
  readonly derive: string
}

export const rollupTables: ReadonlyArray<RollupTable> = [
  {
    name: "execution_rollup",
    columns: `"scope_id", "period", "start", "status", "trigger_kind", "trigger_client", "asked_at", "executions", "calls", "failed_calls", "in_doubt_calls", "size"`,
    derive: `SELECT e."scope_id", p."period", ${start}, e."status", e."trigger_kind", e."trigger_client", ${asked}, count(*), sum(e."tool_call_count"), sum(e."failed_call_count"), sum(e."in_doubt_call_count"), sum(e."size")
      FROM "execution" AS e, ${periods} WHERE e.${ended} GROUP BY 1, 2, 3, 4, 5, 6, 7`
  },
  {
    name: "duration_rollup",
    columns: `"scope_id", "period", "start", "status", "trigger_kind", "asked_at", "duration_bin", "executions"`,
    derive: `SELECT e."scope_id", p."period", ${start}, e."status", e."trigger_kind", ${asked}, e."duration_bin", count(*)
      FROM "execution" AS e, ${periods} WHERE e.${ended} AND e."duration_bin" IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7`
  },
  {
    name: "tool_rollup",
    columns: `"scope_id", "period", "start", "tool", "status", "trigger_kind", "trigger_client", "asked_at", "executions", "calls", "failed_calls", "in_doubt_calls"`,
    derive: `SELECT e."scope_id", p."period", ${start}, t."tool", e."status", e."trigger_kind", e."trigger_client", ${asked}, count(*), sum(e."tool_call_count"), sum(e."failed_call_count"), sum(e."in_doubt_call_count")
      FROM "execution" AS e JOIN "execution_tool" AS t ON t."execution_id" = e."id", ${periods} WHERE e.${ended} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8`
  }
]

/**
 * The statements that make a table anew: what it held is kept as a temporary table until the last of them has counted the
 * rows that are other than they were, as `changed`. Then `forget` is run.
 */
export const rebuild = ({ columns, derive, name }: RollupTable) => {
  const count = (one: string, other: string) =>
    `(SELECT count(*) FROM (SELECT ${columns} FROM ${one} EXCEPT SELECT ${columns} FROM ${other}) AS different)`
  return {
    replace: [
      `CREATE TEMPORARY TABLE "rollup_before" AS SELECT ${columns} FROM "${name}"`,
      `DELETE FROM "${name}"`,
      `INSERT INTO "${name}" (${columns}) ${derive}`
    ],
    compare: `SELECT ${count(`"${name}"`, `"rollup_before"`)} AS "written", ${count(`"rollup_before"`, `"${name}"`)} AS "removed"`,
    forget: `DROP TABLE "rollup_before"`
  }
}

/**
 * Scopes whose counters do not add up: one row each with what is counted and what has ended. `pending` selects a scope and a
 * change that is still to be counted.
 */
export const findDifferences = (pending?: string): string => `
  SELECT "scope_id", sum("counted") AS "counted", sum("ended") AS "ended" FROM (
    SELECT "scope_id", "executions" AS "counted", 0 AS "ended" FROM "execution_rollup" WHERE "period" = 0
    UNION ALL SELECT "scope_id", 0, count(*) FROM "execution" WHERE ${ended} GROUP BY "scope_id"
    ${pending === undefined ? "" : `UNION ALL SELECT "scope_id", "change", 0 FROM (${pending}) AS "pending"`}
  ) AS "counts" GROUP BY "scope_id" HAVING sum("counted") <> sum("ended") ORDER BY "scope_id"`
