/**
 * A database of the version before the rollups had groups, with executions: its counters after it is opened are those that a repair
 * would make, and say what is there. What it says to be running is taken over.
 */
import { DBExecutionStore, type DBError, ExecutionId, ScopeId } from "@executor/sdk"
import { DatabaseUrl, Rollups } from "@executor/storage-drizzle"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { readMigrations } from "../embed-migrations.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const hour = 3_600_000

const execution = (id: string, status: string, createdAt: number, client: string | null, bin: number | null) => `
  INSERT INTO execution (id, scope_id, status, trigger_kind, trigger_client, tool_call_count, failed_call_count, in_doubt_call_count,
    interaction_count, size, created_at, updated_at, seed, epoch, journal_complete, code_id, duration_ms, duration_bin)
    VALUES ('${id}', 'a', '${status}', 'mcp', ${client === null ? "NULL" : `'${client}'`}, 1, 0, 0, 0, 7, ${createdAt}, 0, 0, 0, TRUE, 'c', ${bin}, ${bin});`

const tool = (id: string, createdAt: number, ...names: ReadonlyArray<string>) =>
  names
    .map(
      (name) =>
        `INSERT INTO execution_tool (execution_id, tool, scope_id, created_at) VALUES ('${id}', '${name}', 'a', ${createdAt});`
    )
    .join("")

const history = [
  "INSERT INTO execution_code VALUES ('c', 'a', '1', '1');",
  execution("e0", "completed", 0, "inspector", 3),
  tool("e0", 0, "github.issues.create", "github.*"),
  execution("e1", "failed", 2 * hour, null, null),
  tool("e1", 2 * hour, "slack.create", "slack.*", "github.issues.create", "github.*"),
  execution("e2", "completed", 400 * hour, "inspector", 5),
  execution("e3", "running", 401 * hour, null, null),
  "UPDATE execution SET owner = 'lost', lease_until = 500 WHERE id = 'e3';",
  tool("e3", 401 * hour, "slack.create", "slack.*"),
  "INSERT INTO tool_name VALUES ('a', 'github.issues.create'), ('a', 'github.*'), ('a', 'slack.create'), ('a', 'slack.*');"
].join("")

const sqlite = Effect.gen(function* () {
  const file = join(yield* temporaryFolder, "history.db")
  const database = new Database(file)
  for (const name of ["executor_code_id", "executor_duration_bin"])
    database.function(name, { varargs: true }, () => null)
  for (const { sql } of readMigrations("sqlite").slice(0, 5)) database.exec(sql)
  database.pragma(`application_id = ${0x45786563}`)
  database.pragma("user_version = 5")
  database.exec(history)
  database.close()
  return file
})

const postgres = Effect.gen(function* () {
  const url = yield* freshDatabase
  const run = (sql: string) => Effect.promise(() => runSql(url, sql))
  yield* run(
    "CREATE TABLE executor_migration (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)"
  )
  for (const [index, { name, sql }] of readMigrations("postgres").slice(0, 4).entries()) {
    yield* run(sql)
    yield* run(`INSERT INTO executor_migration VALUES (${index + 1}, '${name}', now())`)
  }
  yield* run(history)
  return url
})

const takesOver = (name: string, make: Effect.Effect<string, never, Scope.Scope>): void => {
  it.effect(`takes over what is in a database of an older version: ${name}`, () =>
    Effect.gen(function* () {
      const store = DBExecutionStore.make(yield* DatabaseUrl.open(yield* make, { reads: "inline" }))
      const scope = ScopeId.make("a")
      const id = ExecutionId.make("e3")
      const look = { at: 1_000, limit: 10 }
      assert.deepStrictEqual(yield* store.listAbandoned(scope, { ...look, crashesBelow: 1 }), [id])
      const crashes = Effect.map(store.readJournal(scope, id), ({ crashes }) => crashes)
      assert.strictEqual(yield* crashes, 0)
      yield* store.claim(scope, id, { owner: "p", at: 1_000, leaseUntil: 500 })
      assert.strictEqual(yield* crashes, 1)
      assert.deepStrictEqual(yield* store.listAbandoned(scope, { ...look, crashesFrom: 1 }), [id])
    })
  )
}

const upgrades = (name: string, make: Effect.Effect<string, never, Scope.Scope>): void => {
  it.effect(`counts what is in a database of an older version: ${name}`, () =>
    Effect.gen(function* (): Effect.fn.Return<void, DBError | Error, Scope.Scope> {
      const database = yield* make
      const store = DBExecutionStore.make(yield* DatabaseUrl.open(database, { reads: "inline" }))
      assert.deepStrictEqual(yield* Rollups.check({ database }), [])
      const counts = Effect.map(
        Effect.forEach([[], ["*.create"], ["!github.*"], ["slack.*"]], (toolPathFilter) =>
          store.list(ScopeId.make("a"), { toolPathFilter, includeMeta: true })
        ),
        (pages) =>
          pages.map(({ meta }) => [
            meta?.totalRowCount,
            meta?.filterRowCount,
            meta?.statusCounts.completed,
            meta?.toolFacets
          ])
      )
      const facets = [
        { toolPath: "github.issues.create", count: 2 },
        { toolPath: "slack.create", count: 2 }
      ]
      const expected = [
        [4, 4, 2, facets],
        [4, 3, 1, facets],
        [4, 2, 1, facets],
        [4, 2, 0, facets]
      ]
      assert.deepStrictEqual(yield* counts, expected)
      for (const { removed, table, written } of yield* Rollups.repair({ database })) {
        assert.deepStrictEqual([table, removed, written], [table, 0, 0])
      }
      assert.deepStrictEqual(yield* counts, expected)
    })
  )
}

upgrades("SQLite", sqlite)
upgrades("Postgres", postgres)
takesOver("SQLite", sqlite)
takesOver("Postgres", postgres)
