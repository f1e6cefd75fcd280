import { coreSchema, type DBError } from "@executor/sdk"
import { DatabaseUrl, PostgresAdapter } from "@executor/storage-drizzle"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { assert, it } from "@effect/vitest"
import { getTableConfig } from "drizzle-orm/pg-core"
import { Effect } from "effect"
import { inspect } from "node:util"
import { readMigrations } from "../embed-migrations.ts"
import * as tables from "../schema.postgres.ts"
import { startWriter } from "./startWriter.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const sql = (url: string, text: string) => Effect.promise(() => runSql(url, text))

const errorOf = (url: string, waitMillis?: number) =>
  Effect.flip(Effect.scoped(PostgresAdapter.make({ url, waitMillis })))

const row = { scope_id: "a", namespace: "n", plugin_id: "p", description: "", created_at: 1, updated_at: 1 }
const insert = { op: "insert", table: "source", rows: [{ ...row, config_json: "{}" }] } as const

it.effect("keeps what was written when it is opened again", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* Effect.scoped(Effect.flatMap(PostgresAdapter.make({ url }), (adapter) => adapter.write([insert])))
    const adapter = yield* PostgresAdapter.make({ url })
    assert.deepStrictEqual(yield* adapter.find({ table: "source" }), insert.rows)
  })
)

it.effect("several processes open a fresh database at once and write to it without loss", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const names = ["p0", "p1", "p2", "p3"]
    const writers = yield* Effect.all(names.map((name) => startWriter(url, name, "20")))
    for (const writer of writers) {
      assert.deepStrictEqual(yield* Effect.promise(() => writer.ended), { errors: "", code: 0 })
    }
    const adapter = yield* PostgresAdapter.make({ url })
    const rows = yield* adapter.find({
      table: "execution",
      select: ["id", "status"],
      orderBy: [{ column: "id", direction: "asc" }]
    })
    const expected = names.flatMap((name) => Array.from({ length: 20 }, (_, i) => `${name}-${i}`))
    assert.deepStrictEqual(
      rows,
      expected.toSorted().map((id) => ({ id, status: "completed" }))
    )
    assert.strictEqual(yield* adapter.count({ table: "execution_tool_call" }), 160)
  })
)

it.effect("refuses a database of a newer version, and one whose tables are of another program", () =>
  Effect.gen(function* () {
    const newer = yield* freshDatabase
    yield* Effect.scoped(PostgresAdapter.make({ url: newer }))
    yield* sql(newer, "INSERT INTO executor_migration VALUES (999, 'future', now())")
    const { message } = yield* errorOf(newer)
    assert.match(message, /test_.* cannot be opened.*newer version of Executor \(schema 999, .*update Executor/)

    const other = yield* freshDatabase
    yield* sql(other, "CREATE TABLE execution (notes text)")
    assert.match((yield* errorOf(other)).message, /another program.*\(execution\)/)
    const names = yield* sql(other, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert.deepStrictEqual(names, [{ tablename: "execution" }])
  })
)

it.effect("makes its tables in the default schema of the connection, beside those of others", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* sql(url, "CREATE TABLE notes (text text)")
    yield* sql(url, "CREATE SCHEMA ours")
    const inSchema = new URL(url)
    inSchema.searchParams.set("options", "-c search_path=ours")
    const adapter = yield* PostgresAdapter.make({ url: inSchema.href })
    yield* adapter.write([insert])
    assert.deepStrictEqual(yield* sql(url, "SELECT namespace FROM ours.source"), [{ namespace: "n" }])
    const names = yield* sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert.deepStrictEqual(names, [{ tablename: "notes" }])
  })
)

it.effect("refuses a database whose encoding cannot hold all text", () =>
  Effect.gen(function* () {
    const url = new URL(yield* freshDatabase)
    const options = "TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
    yield* sql(url.href, `CREATE DATABASE "latin_of_${url.pathname.slice(1)}" ${options}`)
    const latin = new URL(url)
    latin.pathname = `/latin_of_${url.pathname.slice(1)}`
    assert.match((yield* errorOf(latin.href)).message, /encoding is LATIN1.*ENCODING 'UTF8'/)
    yield* sql(url.href, `DROP DATABASE "${latin.pathname.slice(1)}"`)
  })
)

it.effect("says why a database cannot be opened, and never its password", () =>
  Effect.gen(function* () {
    const url = new URL(yield* freshDatabase)
    const shows = (error: DBError, expected: RegExp) => {
      assert.match(error.message, expected)
      for (const secret of [url.password, "s3cret"]) {
        assert.notInclude(inspect(error, { depth: null }), secret)
        assert.notInclude(JSON.stringify(error), secret)
      }
    }
    const change = (part: Partial<URL>) => Object.assign(new URL(url), part).href
    shows(yield* errorOf(change({ password: "s3cret" })), /postgres@127.*the password is wrong/)
    shows(yield* errorOf(change({ password: "" })), /wants a password, and the URL has none/)
    shows(yield* errorOf(change({ pathname: "/none" })), /there is no such database/)
    shows(yield* errorOf(change({ port: "1" }), 50), /cannot be reached.*ECONNREFUSED/)
    shows(yield* errorOf(change({ search: "?sslmode=verify-full" }), 50), /does not support SSL/)
    shows(yield* errorOf("postgres://u:s3cret@host:port/x"), /expected postgres:\/\/user:password@host/)
    shows(yield* errorOf("postgres://u:s3cret%zz@127.0.0.1:1/x", 50), /cannot be reached/)
  })
)

it.effect("is read-only where the database is", () =>
  Effect.gen(function* () {
    const url = new URL(yield* freshDatabase)
    yield* Effect.scoped(PostgresAdapter.make({ url: url.href }))
    url.searchParams.set("options", "-c default_transaction_read_only=on")
    const adapter = yield* PostgresAdapter.make({ url: url.href })
    assert.deepInclude(yield* Effect.flip(adapter.write([insert])), { _tag: "DBError", reason: "readOnly" })
    assert.deepStrictEqual(yield* adapter.find({ table: "source" }), [])
  })
)

it.effect("is chosen by a URL, and SQLite by a path", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const file = `${yield* temporaryFolder}/executor.db`
    for (const database of [url, url.replace("postgres:", "postgresql:"), file]) {
      const adapter = yield* DatabaseUrl.open(database)
      yield* adapter.write([{ op: "delete", table: "source", where: { op: "and", conditions: [] } }, insert])
    }
    assert.deepStrictEqual(yield* sql(url, "SELECT namespace FROM source"), [{ namespace: "n" }])
  })
)

it("has the migrations of the folder embedded", async () => {
  const { migrations } = await import(new URL("../src/internal/postgresMigrations.ts", import.meta.url).href)
  assert.deepStrictEqual(migrations, readMigrations("postgres"))
})

it.effect("has in the database what the schema and the Drizzle tables say", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* PostgresAdapter.make({ url })
    const types = { text: 'text COLLATE "C"', integer: "bigint", boolean: "boolean" }
    const byTable = (table: string) =>
      `(SELECT oid FROM pg_class WHERE relname = '${table}' AND relnamespace = 'public'::regnamespace)`
    for (const [name, table] of Object.entries(coreSchema)) {
      const expected = Object.entries(table.columns).map(([column, { type, ...rest }]) => ({
        name: column,
        type: types[type],
        not_null: !("nullable" in rest)
      }))
      const columns = yield* sql(
        url,
        `SELECT attname AS name, attnotnull AS not_null, format_type(atttypid, NULL) ||
          CASE attcollation WHEN 0 THEN '' ELSE ' COLLATE ' || quote_ident(collname) END AS type
        FROM pg_attribute LEFT JOIN pg_collation c ON c.oid = attcollation
        WHERE attrelid = ${byTable(name)} AND attnum > 0 AND NOT attisdropped ORDER BY attnum`
      )
      // A column that was added later is the last of its table.
      assert.sameDeepMembers([...columns], expected)
      const drizzle = Object.values(tables)
        .map(getTableConfig)
        .find((config) => config.name === name)
      assert.deepStrictEqual(
        drizzle?.columns.map((column) => ({
          name: column.name,
          type: column.getSQLType(),
          not_null: column.notNull
        })),
        expected
      )
      const indexes = yield* sql(
        url,
        `SELECT indexrelid::regclass::text AS name, indisunique AS is_unique,
          pg_get_expr(indpred, indrelid) AS condition,
          (SELECT json_agg(attname ORDER BY place) FROM unnest(indkey) WITH ORDINALITY AS key (number, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = number) AS columns
        FROM pg_index WHERE indrelid = ${byTable(name)} AND NOT indisprimary
          AND indexrelid::regclass::text !~ '(tool_set_key|_search)$' ORDER BY indexrelid::regclass::text`
      )
      assert.deepStrictEqual(
        indexes,
        table.indexes
          .map((index) => ({
            name: index.name,
            is_unique: "unique" in index,
            condition: "notNull" in index ? `(${index.notNull} IS NOT NULL)` : null,
            columns: [...index.columns]
          }))
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      )
      const keys = yield* sql(
        url,
        `SELECT pg_get_constraintdef(oid) AS key FROM pg_constraint
        WHERE conrelid = ${byTable(name)} AND contype IN ('p', 'f') ORDER BY contype DESC, conname`
      )
      assert.deepStrictEqual(keys, [
        { key: `PRIMARY KEY (${table.primaryKey.join(", ")})` },
        ...("foreignKeys" in table ? table.foreignKeys : []).map((key) => ({
          key:
            `FOREIGN KEY (${key.column}) REFERENCES ${key.table}(${key.references}) ` +
            `ON DELETE ${"onDelete" in key ? key.onDelete.toUpperCase() : "CASCADE"}`
        }))
      ])
    }
  })
)
