/**
 * What the rollups should hold, as SQL that both databases understand: each derived from the executions that have ended.
 *
 * The triggers of the migrations keep the rollups current; these statements make them anew.
 */

const ended = `"status" IN ('completed', 'failed', 'cancelled')`

const start = `CASE p."period" WHEN 0 THEN 0 ELSE e."created_at" - ((e."created_at" % p."period") + p."period") % p."period" END`

const [hour, day, week] = [3_600_000, 86_400_000, 604_800_000]

const periods = (...lengths: ReadonlyArray<number>) =>
  `(${lengths.map((length) => `SELECT ${length} AS "period"`).join(" UNION ALL ")}) AS p`

const counts = `count(*), sum(e."tool_call_count"), sum(e."failed_call_count"), sum(e."in_doubt_call_count")`
const sums = `"executions", "calls", "failed_calls", "in_doubt_calls"`

const isGroup = (client: string) =>
  `g."scope_id" = e."scope_id" AND g."status" = e."status" AND g."trigger_kind" IS NOT DISTINCT FROM e."trigger_kind" AND g."trigger_client" IS NOT DISTINCT FROM ${client} AND g."asked" = (e."asked_at" IS NOT NULL)`

const withGroup = `"execution" AS e JOIN "rollup_group" AS g ON ${isGroup(`e."trigger_client"`)}`
const withGroupOfAnyClient = `"execution" AS e JOIN "rollup_group" AS g ON ${isGroup("NULL")}`

/** What the two databases write differently. */
export interface JsonSql {
  /** A group's tools in order, as a JSON array. */
  readonly tools: string
  /** The elements of the tools of a set `s`, as `tool` of `t`. */
  readonly elements: string
}

export const sqliteJson: JsonSql = {
  tools: `json_group_array("tool" ORDER BY "tool")`,
  elements: `(SELECT k."id", j."value" AS "tool" FROM "tool_set" AS k, json_each(k."tools_json") AS j) AS t ON t."id" = s."id"`
}

export const postgresJson: JsonSql = {
  tools: `array_to_json(array_agg("tool" ORDER BY "tool"))::text`,
  elements: `json_array_elements_text(s."tools_json"::json) AS t("tool") ON TRUE`
}

const toolSets = ({ tools }: JsonSql) =>
  `(SELECT "execution_id", ${tools} AS "tools_json" FROM "execution_tool" GROUP BY "execution_id") AS t`

/** One table of counters. */
export interface RollupTable {
  readonly name: string
  readonly columns: string
  /** The query for all of its rows, with the columns in that order. */
  readonly derive: string
}

/** The statements that add the groups and the sets of tools that are missing. Others stay, and count nothing. */
export const addMissing = (json: JsonSql): ReadonlyArray<string> => [
  ...[`e."trigger_client"`, "NULL"].map(
    (client) => `INSERT INTO "rollup_group" ("scope_id", "status", "trigger_kind", "trigger_client", "asked")
      SELECT DISTINCT e."scope_id", e."status", e."trigger_kind", ${client}, e."asked_at" IS NOT NULL FROM "execution" AS e
      WHERE e.${ended} AND NOT EXISTS (SELECT 1 FROM "rollup_group" AS g WHERE ${isGroup(client)})`
  ),
  `INSERT INTO "tool_set" ("scope_id", "tools_json")
    SELECT DISTINCT e."scope_id", t."tools_json" FROM ${toolSets(json)} JOIN "execution" AS e ON e."id" = t."execution_id"
    WHERE e.${ended} AND NOT EXISTS (SELECT 1 FROM "tool_set" AS s WHERE s."scope_id" = e."scope_id" AND s."tools_json" = t."tools_json")`
]

export const rollupTables = (json: JsonSql): ReadonlyArray<RollupTable> => [
  {
    name: "execution_rollup",
    columns: `"group_id", "period", "start", ${sums}, "size"`,
    derive: `SELECT g."id", p."period", ${start}, ${counts}, sum(e."size")
      FROM ${withGroup}, ${periods(0, day, hour)} WHERE e.${ended} GROUP BY 1, 2, 3`
  },
  {
    name: "duration_rollup",
    columns: `"group_id", "period", "start", "duration_bin", "executions"`,
    derive: `SELECT g."id", p."period", ${start}, e."duration_bin", count(*)
      FROM ${withGroupOfAnyClient}, ${periods(week, day, hour)}
      WHERE e.${ended} AND e."duration_bin" IS NOT NULL GROUP BY 1, 2, 3, 4`
  },
  {
    name: "tool_rollup",
    columns: `"group_id", "tool", ${sums}`,
    derive: `SELECT g."id", t."tool", ${counts}
      FROM ${withGroup} JOIN "execution_tool" AS t ON t."execution_id" = e."id" WHERE e.${ended} GROUP BY 1, 2`
  },
  {
    name: "tool_set_member",
    columns: `"scope_id", "tool", "tool_set_id"`,
    derive: `SELECT s."scope_id", t."tool", s."id" FROM "tool_set" AS s JOIN ${json.elements}`
  },
  {
    name: "tool_set_rollup",
    columns: `"group_id", "period", "start", "tool_set_id", "duration_bin", ${sums}`,
    derive: `SELECT g."id", p."period", ${start}, s."id", coalesce(e."duration_bin", -1), ${counts}
      FROM ${withGroup} JOIN ${toolSets(json)} ON t."execution_id" = e."id"
      JOIN "tool_set" AS s ON s."scope_id" = e."scope_id" AND s."tools_json" = t."tools_json", ${periods(week, hour)}
      WHERE e.${ended} GROUP BY 1, 2, 3, 4, 5`
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
    SELECT g."scope_id", r."executions" AS "counted", 0 AS "ended" FROM "execution_rollup" AS r JOIN "rollup_group" AS g ON g."id" = r."group_id"
      WHERE r."period" = 0
    UNION ALL SELECT "scope_id", 0, count(*) FROM "execution" WHERE ${ended} GROUP BY "scope_id"
    ${pending === undefined ? "" : `UNION ALL SELECT "scope_id", "change", 0 FROM (${pending}) AS "pending"`}
  ) AS "counts" GROUP BY "scope_id" HAVING sum("counted") <> sum("ended") ORDER BY "scope_id"`
