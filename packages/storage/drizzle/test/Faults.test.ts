/**
 * What takes writes away from a database is known at once, and so is its end. Nothing that fails is told as written.
 */
import type { DBAdapter, DBError } from "@executor/sdk"
import { PostgresAdapter, SqliteAdapter } from "@executor/storage-drizzle"
import { runSql, startPostgres } from "@executor/storage-drizzle/testing"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Option, Stream } from "effect"
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { connected } from "./postgres.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

let rows = 0

/** Writes one row, and gives its name once it is told as written. */
const write = (adapter: DBAdapter["Service"]) => {
  const namespace = `row${rows++}`
  const row = {
    scope_id: "a",
    namespace,
    plugin_id: "p",
    description: "",
    created_at: 1,
    updated_at: 1,
    config_json: "{}"
  }
  return Effect.as(adapter.write([{ op: "insert", table: "source", rows: [row] }]), namespace)
}

const names = (adapter: DBAdapter["Service"]) =>
  Effect.map(adapter.find({ table: "source" }), (found) => found.map((row) => row["namespace"]))

/** Listens to the faults of an adapter; `until` waits for one of a kind, and for none without. */
const hear = Effect.fnUntraced(function* ({ faults = Stream.empty }: DBAdapter["Service"]) {
  const heard: Array<DBError | undefined> = []
  yield* Effect.forkScoped(Stream.runForEach(faults, (fault) => Effect.sync(() => heard.push(fault))))
  const until = (reason: DBError["reason"] | undefined) =>
    Effect.callback<DBError | undefined>((resume) => {
      const timer = setInterval(() => {
        const last = heard.at(-1)
        if (heard.length > 0 && last?.reason === reason) resume(Effect.succeed(last))
      }, 5)
      return Effect.sync(() => clearInterval(timer))
    })
  yield* until(undefined)
  return { heard, until }
})

const isInode = process.platform !== "win32"

/** A file: how it is lost and comes back, if it does, and what is said. Windows lets nobody take away what is open. */
const losses: ReadonlyArray<{
  readonly name: string
  readonly lose: (file: string) => void
  readonly bringBack?: (file: string) => void
  readonly says: RegExp
}> = [
  {
    name: "moved away",
    lose: (file) => renameSync(file, `${file}.away`),
    bringBack: (file) => renameSync(`${file}.away`, file),
    says: /deleted or moved away.* Put the same file back/
  },
  {
    name: "in a folder that is renamed",
    lose: (file) => renameSync(join(file, ".."), join(file, "../../away")),
    bringBack: (file) => renameSync(join(file, "../../away"), join(file, "..")),
    says: /deleted or moved away/
  },
  { name: "deleted with its folder", lose: (file) => rmSync(join(file, ".."), { recursive: true }), says: /deleted/ },
  {
    name: "without its log",
    lose: (file) => renameSync(`${file}-wal`, `${file}-away`),
    bringBack: (file) => renameSync(`${file}-away`, `${file}-wal`),
    says: /-wal or -shm .* SIGTERM/
  },
  { name: "emptied", lose: (file) => truncateSync(file), says: /emptied/ }
]

it.live.skipIf(!isInode)("a file that is lost takes no writes until it is back, and what it holds can be read", () =>
  Effect.forEach(
    losses,
    Effect.fnUntraced(function* ({ bringBack, lose, name, says }) {
      const folder = join(yield* temporaryFolder, "data")
      mkdirSync(folder)
      const file = join(folder, "executor.db")
      // A thread takes long to start, so that one case has threads is enough.
      const adapter = yield* SqliteAdapter.make({ file, reads: name === "moved away" ? "worker" : "inline" })
      const { heard, until } = yield* hear(adapter)
      const first = yield* write(adapter)

      lose(file)
      const fault = yield* until("moved")
      assert.match(fault?.message ?? "", says)
      assert.deepInclude(yield* Effect.flip(write(adapter)), { _tag: "DBError", reason: "moved" }, name)
      // A thread would only start now, and finds no file that it may open.
      assert.deepStrictEqual(yield* names(adapter), [first], name)
      if (bringBack === undefined) return
      bringBack(file)
      yield* until(undefined)
      const second = yield* write(adapter)
      assert.sameMembers(yield* names(adapter), [first, second], name)
      assert.deepStrictEqual(
        heard.map((fault) => fault?.reason),
        [undefined, "moved", undefined],
        name
      )
    }, Effect.scoped),
    { concurrency: "unbounded", discard: true }
  )
)

it.live.skipIf(!isInode)(
  "leaves another file in its place alone, also when it closes, and writes back a log that was deleted",
  () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, "executor.db")
      const written = yield* Effect.scoped(
        Effect.gen(function* () {
          const adapter = yield* SqliteAdapter.make({ file, reads: "inline" })
          const { until } = yield* hear(adapter)
          yield* write(adapter)
          for (const name of [file, `${file}-wal`, `${file}-shm`]) rmSync(name)
          const other = yield* SqliteAdapter.make({ file, reads: "inline" })
          const written = yield* write(other)
          assert.match((yield* until("moved"))?.message ?? "", /^Another file is in the place/)
          assert.deepInclude(yield* Effect.flip(write(adapter)), { reason: "moved" })
          return written
        })
      )
      assert.deepStrictEqual(
        yield* Effect.scoped(Effect.flatMap(SqliteAdapter.make({ file, reads: "inline" }), names)),
        [written]
      )

      const kept = yield* Effect.scoped(
        Effect.gen(function* () {
          const adapter = yield* SqliteAdapter.make({ file, reads: "inline" })
          const kept = yield* write(adapter)
          rmSync(`${file}-wal`)
          return kept
        })
      )
      copyFileSync(file, `${file}.copy`)
      assert.include(readFileSync(`${file}.copy`, "latin1"), kept)
    })
)

/** A server: how it is brought to take no writes of `user` in `database`, and back; what is said. */
const refusals: ReadonlyArray<{
  readonly name: string
  readonly refuse: string
  readonly allow: string
  readonly reason: DBError["reason"]
  readonly says: RegExp
}> = [
  {
    name: "may_only_read",
    refuse: "ALTER DATABASE may_only_read SET default_transaction_read_only = on",
    allow: "ALTER DATABASE may_only_read RESET default_transaction_read_only",
    reason: "readOnly",
    says: /read-only\. It is a standby, or its default_transaction_read_only/
  },
  {
    name: "no_connection_left",
    refuse: "ALTER ROLE no_connection_left CONNECTION LIMIT 0",
    allow: "ALTER ROLE no_connection_left CONNECTION LIMIT -1",
    reason: "unavailable",
    says: /too many connections/
  },
  {
    name: "other_password",
    refuse: "ALTER ROLE other_password PASSWORD 'two'",
    allow: "ALTER ROLE other_password PASSWORD 'one'",
    reason: "unavailable",
    says: /the password is wrong/
  },
  {
    name: "no_time",
    // A quick machine does most in less than the least that can be set.
    refuse: `
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
      CREATE TRIGGER slow BEFORE UPDATE ON executor_migration EXECUTE FUNCTION slow();
      ALTER ROLE no_time SET statement_timeout = 1`,
    allow: "ALTER ROLE no_time RESET statement_timeout; DROP TRIGGER slow ON executor_migration",
    reason: "unavailable",
    says: /ended a statement/
  },
  {
    name: "no_right",
    refuse: "ALTER TABLE source OWNER TO postgres; ALTER TABLE executor_migration OWNER TO postgres",
    allow: "ALTER TABLE source OWNER TO no_right; ALTER TABLE executor_migration OWNER TO no_right",
    reason: "readOnly",
    says: /may not do this/
  }
]

it.live("a Postgres that refuses, restarts or hangs is known, and loses nothing that was told as written", () =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(Effect.promise(startPostgres), ({ end }) => Effect.promise(end))
    const databaseOf = (name: string, user?: string) => {
      const url = new URL(server.url)
      url.pathname = `/${name}`
      if (user !== undefined) [url.username, url.password] = [user, "one"]
      return url.href
    }
    const run = (url: string, sql: string) => Effect.promise(() => runSql(url, sql))
    yield* Effect.forEach(
      refusals,
      Effect.fnUntraced(function* ({ allow, name, reason, refuse, says }) {
        yield* run(server.url, `CREATE ROLE ${name} LOGIN PASSWORD 'one'`)
        yield* run(server.url, `CREATE DATABASE ${name} OWNER ${name}`)
        const adapter = yield* PostgresAdapter.make({ url: databaseOf(name, name) })
        const { heard, until } = yield* hear(adapter)
        const first = yield* write(adapter)
        // Who comes into the database itself may only read there as well.
        const where = /TABLE|TRIGGER/.test(refuse) ? databaseOf(name) : server.url
        const disconnect = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${name}'`

        yield* run(where, refuse)
        yield* run(server.url, disconnect)
        assert.match((yield* until(reason))?.message ?? "", says)
        const during = yield* Effect.forkChild(Effect.option(write(adapter)), { startImmediately: true })
        yield* run(where, allow)
        yield* until(undefined)
        // No connection of before is left that still refuses.
        const second = yield* write(adapter)
        const told = [first, ...Option.toArray(yield* Fiber.join(during)), second]
        assert.includeMembers(yield* names(adapter), told, name)
        // Connections that are lost are no fault where new ones can be made.
        yield* run(server.url, disconnect)
        yield* Effect.eventually(write(adapter))
        assert.deepStrictEqual(
          heard.map((fault) => fault?.reason),
          [undefined, reason, undefined],
          name
        )
      }, Effect.scoped),
      { concurrency: 2, discard: true }
    )

    yield* run(server.url, "CREATE DATABASE restarts")
    const url = databaseOf("restarts")
    const adapter = yield* PostgresAdapter.make({ url })
    const { heard, until } = yield* hear(adapter)
    const first = yield* write(adapter)
    const locker = yield* connected(url)
    yield* Effect.promise(() => locker.query("BEGIN; LOCK TABLE executor_migration"))
    assert.match((yield* until("unavailable"))?.message ?? "", /has not answered within 3 s/)
    yield* Effect.promise(() => locker.query("ROLLBACK"))
    yield* until(undefined)
    yield* Effect.promise(server.stop)
    assert.match((yield* until("unavailable"))?.message ?? "", /cannot be reached/)
    const during = yield* Effect.forkChild(Effect.option(write(adapter)), { startImmediately: true })
    yield* Effect.promise(server.start)
    yield* until(undefined)
    const told = [first, ...Option.toArray(yield* Fiber.join(during)), yield* write(adapter)]
    assert.includeMembers(yield* names(adapter), told)
    assert.lengthOf(heard, 5)
  })
)
