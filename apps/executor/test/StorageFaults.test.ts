/**
 * The built command where its history cannot be written: executions work all the same, and everybody is told.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { Effect } from "effect"
import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { asReader, fileLimit, makeReadOnly, smallDisk } from "./disks.ts"
import { bin, type Cli, everythingServer, history, makeCli, serve, start } from "./support.ts"

const withSource = Effect.fnUntraced(function* (cli: Cli) {
  const added = yield* cli.run(["sources", "add", "mcp", "everything", "--", ...everythingServer])
  assert.strictEqual(added.code, 0, added.stderr)
})

/** The checks of doctor by name. */
const doctor = (cli: Cli) =>
  Effect.map(cli.run(["doctor", "--json"]), ({ code, stdout }) => {
    const checks: ReadonlyArray<{ readonly name: string; readonly status: string; readonly detail: string }> =
      JSON.parse(stdout).checks
    return { code, of: (name: string) => checks.find((check) => check.name === name) }
  })

const health = (url: string) =>
  Effect.promise(
    async () =>
      (await (await fetch(`${url}/health`)).json()) as {
        readonly keepsHistory: boolean
        readonly fault?: string
        readonly droppedWrites: number
      }
  )

/** Asks a server for its health until it is so. */
const untilFault = (url: string, fault: string | undefined) =>
  Effect.repeat(health(url), {
    until: (health) => health.fault === fault && health.keepsHistory === (fault === undefined)
  })

/** The command as a user who may only read. */
const asStranger = (cli: Cli): Cli => {
  const startAs = (args: ReadonlyArray<string>, options: { readonly env: Cli["env"]; readonly stdin?: string }) => {
    const [program, words, as] = asReader(process.execPath, [bin, ...args])
    return start(program, words, { ...options, ...as })
  }
  return {
    ...cli,
    start: (args) => startAs(args, { env: cli.env }),
    run: (args, options) =>
      startAs(args, { env: { ...cli.env, ...options?.env }, stdin: "" }).pipe(
        Effect.flatMap(({ ended }) => ended),
        Effect.scoped
      )
  }
}

describe("a folder that may only be read", () => {
  const readOnly = Effect.fnUntraced(function* (cli: Cli) {
    yield* makeReadOnly(cli.folder)
    const { run } = asStranger(cli)
    const called = yield* run(["call", "everything.get-sum", "a=1", "b=2"])
    assert.deepStrictEqual([called.code, called.stdout], [0, "The sum of 1 and 2 is 3.\n"])
    assert.match(called.stderr, /^warning: The database \S+executor\.db cannot be opened.*\nThis execution is not kept/)
    assert.include(called.stderr, "with the sources that could be read from the database")
    const failed = yield* run(["run", "-e", "throw new Error('no')"])
    assert.deepStrictEqual([failed.code, failed.stdout], [1, ""])
    assert.include(failed.stderr, "It is not in the history")
    for (const args of [
      ["executions", "list"],
      ["executions", "prune", "--keep", "1", "--yes"],
      ["resume", "e", "--accept"]
    ]) {
      const refused = yield* run(args)
      assert.deepStrictEqual([refused.code, refused.stdout], [1, ""])
      assert.match(refused.stderr, /^error: The database \S+executor\.db cannot be opened.*may not write/)
    }
    const found = yield* doctor({ ...cli, run })
    assert.strictEqual(found.code, 1)
    assert.deepInclude(found.of("database"), { status: "ok" })
    assert.include(found.of("history")?.detail, "may not write")
  })

  it.live("takes no history, and its sources can be called", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* withSource(cli)
      yield* Effect.scoped(readOnly(cli))
      assert.strictEqual((yield* history(cli)).length, 0)
    })
  )

  it.live("can be served, with a token that is nowhere else", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["run", "-e", "return 1"])
      yield* makeReadOnly(cli.folder)
      const { server, url } = yield* serve(asStranger(cli))
      const shown = yield* server.shows(/for this server only: \S+\n/)
      const token = /only: (\S+)/.exec(shown)?.[1] ?? ""
      assert.include(shown, "What this server executes is not kept")
      assert.deepInclude(yield* health(url), { keepsHistory: false, droppedWrites: 0 })
      const run = (...args: ReadonlyArray<string>) => cli.run(["--server", url, "--token", token, ...args])
      assert.strictEqual((yield* run("run", "-e", "return 2")).stdout, "2\n")
      const listed = JSON.parse((yield* run("executions", "list", "--json")).stdout)
      assert.deepStrictEqual(
        listed.executions.map(
          ({ execution }: { readonly execution: { readonly codePreview: string } }) => execution.codePreview
        ),
        ["return 2"]
      )
    })
  )
})

describe("a data folder that cannot be made", () => {
  const withFile = Effect.fnUntraced(function* () {
    const cli = yield* makeCli()
    const file = join(cli.folder, "..", "file")
    writeFileSync(file, "")
    return { cli, env: { EXECUTOR_DATA_DIR: join(file, "data") } }
  })

  it.live("is told of by commands that execute, and refused by others", () =>
    Effect.gen(function* () {
      const { cli, env } = yield* withFile()
      const ended = yield* cli.run(["run", "--json", "-e", "return 1"], { env })
      assert.deepStrictEqual([ended.code, JSON.parse(ended.stdout).result], [0, 1])
      assert.match(ended.stderr, /^warning: The data folder \S+ cannot be used \(a part of its path is no folder\)/)
      const keyed = yield* cli.run(["run", "-e", "return 1", "--idempotency-key", "k"], { env })
      assert.deepStrictEqual([keyed.code, keyed.stdout], [1, ""])
      assert.include(keyed.stderr, "the idempotency key cannot be either: nothing ran")
      const listed = yield* cli.run(["executions", "list"], { env })
      assert.deepStrictEqual([listed.code, listed.stdout], [1, ""])
      assert.include(listed.stderr, "error: The data folder")
      const looked = yield* cli.run(["doctor"], { env })
      assert.strictEqual(looked.code, 1)
      assert.match(looked.stdout, /problem +data folder .* this user cannot make it/)
    })
  )

  it.live("does not end an MCP server", () =>
    Effect.gen(function* () {
      const { cli, env } = yield* withFile()
      const inherited = Object.entries({ ...cli.env, ...env }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined
      )
      const client = new Client({ name: "test-client", version: "1" })
      const transport = new StdioClientTransport({
        command: process.execPath,
        args: [bin, "mcp"],
        env: Object.fromEntries(inherited)
      })
      yield* Effect.acquireRelease(
        Effect.promise(() => client.connect(transport)),
        () => Effect.promise(() => client.close())
      )
      const answer = yield* Effect.promise(() =>
        client.callTool({ name: "execute", arguments: { code: "return 6 * 7" } })
      )
      assert.deepInclude(answer.structuredContent, { result: 42 })
      assert.match(JSON.stringify(answer.content), /The history of this execution is in memory only/)
    })
  )
})

describe("a database", () => {
  it.live("whose server is away takes no history", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli({ EXECUTOR_DATABASE_URL: "postgres://somebody:hidden@127.0.0.1:1/nothing" })
      const ended = yield* cli.run(["run", "-e", "return 1"])
      assert.deepStrictEqual([ended.code, ended.stdout], [0, "1\n"])
      assert.match(ended.stderr, /^warning: .*127\.0\.0\.1:1\/nothing cannot be opened.*cannot be reached/)
      assert.notInclude(ended.stderr, "hidden")
    })
  )

  it.live("that may only be read gives its sources, and counts what it does not take", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const cli = yield* makeCli({ EXECUTOR_DATABASE_URL: url })
      yield* withSource(cli)
      const name = new URL(url).pathname.slice(1)
      yield* Effect.promise(() => runSql(url, `ALTER DATABASE "${name}" SET default_transaction_read_only = on`))
      const ended = yield* cli.run(["call", "everything.get-sum", "a=1", "b=2"])
      assert.deepStrictEqual([ended.code, ended.stdout], [0, "The sum of 1 and 2 is 3.\n"])
      assert.match(ended.stderr, /^warning: \d+ writes of the history failed/)
      const found = yield* doctor(cli)
      assert.include(found.of("writing")?.detail, "The database is read-only.")
      assert.match(found.of("database")?.detail ?? "", /^Postgres .*integrity ok: .*every index valid/)
    })
  )

  it.live("of a newer version is refused, since it is in order where it belongs", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["run", "-e", "return 1"])
      const database = new DatabaseSync(join(cli.folder, "executor.db"))
      database.exec("PRAGMA user_version = 999")
      database.close()
      const refused = yield* cli.run(["run", "-e", "return 1"])
      assert.deepStrictEqual([refused.code, refused.stdout], [1, ""])
      assert.match(refused.stderr, /^error: .*newer version/)
    })
  )
})

describe("a server whose database", () => {
  it.live.skipIf(process.platform === "win32")(
    "is moved away says so everywhere, and keeps history again once it is back",
    () =>
      Effect.gen(function* () {
        const cli = yield* makeCli()
        const { run, server, url } = yield* serve(cli, "--no-auth")
        const value = (n: number, ...flags: ReadonlyArray<string>) =>
          run(["run", "--json", "-e", `return ${n}`, ...flags])
        assert.notInclude((yield* value(1)).stdout, "historyProblem")
        const file = join(cli.folder, "executor.db")
        renameSync(file, `${file}.away`)

        yield* untilFault(url, "moved")
        yield* server.shows(
          /^warning: The database file was deleted or moved away .*\nWhat this server executes is not kept now/m
        )
        const told = yield* value(2)
        assert.deepInclude(JSON.parse(told.stdout), { status: "completed", result: 2 })
        assert.match(JSON.parse(told.stdout).historyProblem, /^The history does not have all of this execution/)
        assert.match(told.stderr, /^warning: The history does not have all of this execution/)
        const keyed = yield* value(3, "--idempotency-key", "k")
        assert.deepStrictEqual([keyed.code, keyed.stdout], [1, ""])
        assert.include(keyed.stderr, "history")
        // What it still has can be taken out.
        assert.include((yield* run(["executions", "list"])).stdout, "return 1")
        const found = yield* doctor(cli)
        assert.strictEqual(found.code, 1)
        assert.deepInclude(found.of("servers"), { status: "problem" })
        assert.match(
          found.of("servers")?.detail ?? "",
          new RegExp(
            `^process ${server.child.pid}@.* keeps no history\\. The database file was .* Put the same file back`
          )
        )

        renameSync(`${file}.away`, file)
        yield* untilFault(url, undefined)
        const shown = yield* server.shows(/^The history is kept again/m)
        assert.lengthOf(shown.match(/^warning:/gm) ?? [], 1)
        assert.notInclude((yield* value(4)).stdout, "historyProblem")
        assert.deepInclude((yield* doctor(cli)).of("servers"), { status: "ok" })
        assert.include(
          (yield* history(cli)).map(({ codePreview }) => codePreview),
          "return 4"
        )
      })
  )

  it.live("refuses writes says so everywhere, and writes the ends that it kept once it takes them", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const cli = yield* makeCli({ EXECUTOR_DATABASE_URL: url })
      const { run, server, url: served } = yield* serve(cli, "--no-auth")
      yield* run(["run", "-e", "return 1"])
      const database = new URL(url).pathname.slice(1)
      const away = new URL(url)
      away.pathname = "/postgres"
      const sql = (text: string) => Effect.promise(() => runSql(away.href, text))
      yield* sql(`ALTER DATABASE "${database}" SET default_transaction_read_only = on`)
      yield* sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`)
      yield* untilFault(served, "readOnly")
      yield* server.shows(/^warning: The database is read-only\. It is a standby/m)
      assert.include((yield* run(["run", "--json", "-e", "return 2"])).stdout, "historyProblem")
      const found = yield* doctor(cli)
      for (const name of ["servers", "writing"])
        assert.include(found.of(name)?.detail, "The database is read-only.", name)
      yield* sql(`ALTER DATABASE "${database}" RESET default_transaction_read_only`)
      yield* untilFault(served, undefined)
      yield* server.shows(/^The history is kept again/m)
      const rows = yield* history(cli).pipe(
        Effect.repeat({ until: (rows) => rows.length === 2 && rows.every(({ status }) => status === "completed") })
      )
      assert.lengthOf(rows, 2)
    })
  )
})

describe.each([smallDisk, fileLimit])("a server that meets $name", ({ isPossible, make }) => {
  it.live.skipIf(!isPossible)(
    "goes on executing, counts what is lost, and keeps history again when there is room",
    () =>
      Effect.gen(function* () {
        const disk = yield* make
        const cli = yield* makeCli({ EXECUTOR_DATA_DIR: join(disk.folder, "data") })
        yield* withSource(cli)
        const { run, server, url } = yield* serve(cli, "--no-auth")
        const pid = server.child.pid ?? 0
        const sum = Effect.fnUntraced(function* (a: number) {
          const ended = yield* run(["call", "everything.get-sum", `a=${a}`, "b=1"])
          assert.deepStrictEqual([ended.code, ended.stdout], [0, `The sum of ${a} and 1 is ${a + 1}.\n`])
        })
        yield* sum(1)
        disk.fill(pid)
        yield* sum(2)
        yield* sum(3)
        const { droppedWrites, fault } = yield* Effect.repeat(health(url), {
          until: ({ keepsHistory }) => !keepsHistory
        })
        assert.isAbove(droppedWrites, 0)
        assert.include(["full", "unavailable"], fault)
        disk.free(pid)
        yield* untilFault(url, undefined)
        yield* sum(4)
        // What has ended is written when there is room, and so are the entries of the log.
        const rows = yield* history(cli).pipe(
          Effect.repeat({ until: (rows) => rows.length === 4 && rows.every(({ status }) => status === "completed") })
        )
        assert.lengthOf(rows, 4)
        const { of } = yield* doctor(cli).pipe(
          Effect.repeat({ until: ({ of }) => of("dropped writes")?.detail.includes("tells of 2") === true })
        )
        assert.match(of("dropped writes")?.detail ?? "", /^2 executions have an incomplete record/)
        assert.deepInclude(of("writing"), { status: "ok" })
        assert.deepInclude(of("counters"), { status: "ok" })
      })
  )
})

describe("a full disk", () => {
  it.live.skipIf(!smallDisk.isPossible)("is named by doctor, and does not stop an execution", () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk.make
      const cli = yield* makeCli({ EXECUTOR_DATA_DIR: join(disk.folder, "data") })
      yield* withSource(cli)
      const { url } = yield* serve(cli, "--no-auth")
      disk.fill(0)
      const found = yield* doctor(cli)
      assert.deepInclude(found.of("writing"), { status: "problem" })
      assert.match(
        found.of("writing")?.detail ?? "",
        /^The disk is full: free some space\..*0 bytes are free on its disk/
      )
      assert.strictEqual((yield* health(url)).droppedWrites, 0)
      const ended = yield* cli.run(["run", "-e", "return 1"])
      assert.deepStrictEqual([ended.code, ended.stdout], [0, "1\n"])
      assert.match(ended.stderr, /^warning: \d+ writes of the history failed/)
    })
  )
})
