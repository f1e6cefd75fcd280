/**
 * What SQLite's planner is told of the data: the figures of a history of a million executions.
 *
 * SQLite chooses an index by the table `sqlite_stat1`, which `ANALYZE` fills by reading everything. Without it, it takes a scope for as
 * selective as an id, and reads all executions of a scope to find one. And plans that follow from what a database held when it
 * was looked at last are good or bad by chance. So the figures are written with the tables and stay: where a history is small, any
 * plan is quick.
 *
 * An entry has the rows of the index, and then for each of its columns how many rows share a value of it and of those before
 * it (sqlite.org/fileformat2.html#stat1tab). Those of a status are of any but `completed`: that one is asked for in order, or
 * counted from rollups.
 */
import type Database from "better-sqlite3"

const statistics: ReadonlyArray<readonly [table: string, index: string, figures: string]> = [
  ["execution", "sqlite_autoindex_execution_1", "1000000 1"],
  ["execution", "execution_created", "1000000 1000000 1 1"],
  ["execution", "execution_status", "1000000 1000000 5000 1 1"],
  ["execution", "execution_trigger", "1000000 1000000 200000 1 1"],
  ["execution", "execution_code_created", "1000000 200 1 1"],
  ["execution", "execution_asked", "20000 20000 1 1"],
  ["execution", "execution_duration", "1000000 1000000 100 1"],
  ["execution", "execution_completed", "1000000 1000000 1 1"],
  ["execution", "execution_parent", "1000 1"],
  ["execution", "execution_idempotency", "10000 10000 1"],
  ["execution_code", "sqlite_autoindex_execution_code_1", "5000 1"],
  ["execution_output", "sqlite_autoindex_execution_output_1", "1000000 1"],
  ["execution_interaction", "sqlite_autoindex_execution_interaction_1", "20000 1"],
  ["execution_interaction", "execution_interaction_execution", "20000 2 1 1 1"],
  ["execution_interaction", "execution_interaction_status", "20000 20000 7000 1"],
  ["execution_tool_call", "sqlite_autoindex_execution_tool_call_1", "3000000 3 1"],
  ["execution_tool_call", "execution_tool_call_custom_id", "1000 1"],
  ["execution_tool", "execution_tool", "3000000 3 1"],
  ["execution_tool", "execution_tool_created", "3000000 3000000 40000 1 1"],
  ["tool_name", "tool_name", "100 100 1"],
  ["rollup_group", "rollup_group_status", "80 80 25 5"],
  ["execution_rollup", "execution_rollup", "50000 600 200 1"],
  ["duration_rollup", "duration_rollup", "600000 20000 7000 20 1"],
  ["tool_rollup", "tool_rollup", "4000 50 1"],
  ["tool_set", "tool_set_key", "9000 9000 1"],
  ["tool_set_member", "tool_set_member", "50000 50000 500 1"],
  ["tool_set_rollup", "tool_set_rollup", "1400000 17000 8000 100 3 1"]
]

/** Writes the figures; they count from the next time that the database is opened, and in this connection at once. */
export const writeStatistics = (database: Database.Database): void => {
  // Makes the table, and little else: it reads a few rows of each index.
  database.pragma("analysis_limit = 1")
  database.exec("ANALYZE; DELETE FROM sqlite_stat1")
  const insert = database.prepare("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)")
  for (const entry of statistics) insert.run(...entry)
  database.exec("ANALYZE sqlite_schema")
}
