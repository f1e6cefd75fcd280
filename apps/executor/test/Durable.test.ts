/**
 * Executions that outlive the process that started them, with the built command as processes.
 */
import { assert, describe, it } from "@effect/vitest"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Effect, Fiber, Schedule, type Scope } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { bin, type Cli, everythingServer, makeCli, serve, startWaiting } from "./support.ts"

/** An MCP server with a tool that never answers, and says nothing of being safe to repeat. */
const rawServer = fileURLToPath(new URL("../../../packages/plugins/mcp/test/fixtures/raw-server.ts", import.meta.url))

/** Looks again until it is as wanted. */
const until = <A>(look: Effect.Effect<A>, wanted: (value: A) => boolean) =>
  Effect.repeat(look, { until: wanted, schedule: Schedule.spaced("100 millis") })

const statuses = (cli: Cli) =>
  Effect.map(cli.run(["executions", "list", "--json"]), ({ stdout }) => {
    const {
      executions
    }: { executions: ReadonlyArray<{ execution: { id: string; status: string; toolCallCount: number } }> } =
      JSON.parse(stdout)
    return executions.map(({ execution }) => execution)
  })

/** Has the leases of processes that are gone run out now: another process waits for that, half a minute in all. */
const endLeases = ({ folder }: Cli) =>
  Effect.sync(() => {
    const database = new DatabaseSync(join(folder, "executor.db"))
    database.exec("UPDATE execution SET lease_until = 0 WHERE lease_until > 0")
    database.close()
  })

/** Has executions that have not ended look as if so many processes had ended over them. */
const setCrashes = ({ folder }: Cli, crashes: number) =>
  Effect.sync(() => {
    const database = new DatabaseSync(join(folder, "executor.db"))
    database.prepare("UPDATE execution SET crashes = ? WHERE status = 'running'").run(crashes)
    database.close()
  })

/** Makes the executions that have not ended those of another build of the sandbox. */
const setBuild = ({ folder }: Cli, build: string) =>
  Effect.sync(() => {
    const database = new DatabaseSync(join(folder, "executor.db"))
    database.prepare("UPDATE execution SET sandbox_build = ? WHERE status = 'running'").run(build)
    database.close()
  })

/** A client of the command as an MCP server: calls a tool, and gives the answer as text. */
const mcpClient = (cli: Cli) =>
  Effect.gen(function* () {
    const env = Object.fromEntries(
      Object.entries(cli.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
    )
    const client = new Client(
      { name: "test-client", version: "1.0.0" },
      { versionNegotiation: { mode: { pin: "2026-07-28" } } }
    )
    yield* Effect.acquireRelease(
      Effect.promise(() =>
        client.connect(new StdioClientTransport({ command: process.execPath, args: [bin, "mcp"], env }))
      ),
      () => Effect.promise(() => client.close())
    )
    return (name: string, input: Record<string, unknown>) =>
      Effect.map(
        Effect.promise(() => client.callTool({ name, arguments: input })),
        ({ structuredContent }) => JSON.stringify(structuredContent)
      )
  })

/** What `inbox` lists. */
const inbox = (run: Cli["run"]) =>
  Effect.map(run(["inbox", "--json"]), ({ stdout }) => {
    const {
      interactions
    }: { interactions: ReadonlyArray<{ execution: { id: string }; interaction: { id: string } }> } = JSON.parse(stdout)
    return interactions
  })

/** What `doctor` says, by the name of the check. */
const checks = (cli: Cli) =>
  Effect.map(cli.run(["doctor", "--json"]), ({ stdout }) => {
    const { checks }: { checks: ReadonlyArray<{ name: string; detail: string }> } = JSON.parse(stdout)
    return Object.fromEntries(checks.map(({ detail, name }) => [name, detail]))
  })

/** What the command is told of its database. */
const databases: ReadonlyArray<
  readonly [name: string, env: Effect.Effect<{ readonly [name: string]: string }, never, Scope.Scope>]
> = [
  ["SQLite", Effect.succeed({})],
  ["Postgres", Effect.map(freshDatabase, (url) => ({ EXECUTOR_DATABASE_URL: url }))]
]

/** Code that is under way until {@link letGo}. */
const held = `
  while ((await tools.executor.sources.list()).length === 0) await new Promise((resolve) => setTimeout(resolve, 200))
  return Math.random() < 1`

const letGo = (cli: Cli) => cli.run(["sources", "add", "mcp", "raw", "--", process.execPath, rawServer])

const only = (cli: Cli) => Effect.map(statuses(cli), ([execution]) => execution)

describe("executions", () => {
  it.live("go on in the next server when one is told to end", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const first = yield* serve(cli)
      const caller = yield* Effect.forkChild(first.run(["run", "-e", held]), { startImmediately: true })
      yield* until(only(cli), (execution) => execution?.status === "running")
      first.server.child.kill("SIGTERM")
      assert.strictEqual((yield* first.server.ended).code, 0)
      const told = yield* Fiber.join(caller)
      assert.strictEqual(told.code, 1)
      assert.include(told.stderr, "The server is closing")

      yield* serve(cli)
      yield* letGo(cli)
      const ended = yield* until(only(cli), (execution) => execution?.status !== "running")
      assert.strictEqual(ended?.status, "completed")
      const got = yield* cli.run(["executions", "get", ended?.id ?? "", "--json"])
      assert.strictEqual(JSON.parse(got.stdout).execution.resultJson, "true")
    })
  )

  for (const [name, database] of databases) {
    it.live(`go on in another server that runs when one is told to end: ${name}`, () =>
      Effect.gen(function* () {
        const cli = yield* makeCli(yield* database)
        const added = yield* cli.run(["sources", "add", "mcp", "raw", "--", process.execPath, rawServer])
        assert.include(added.stderr, "Left out the tool a_b: a tool before it has the same name")
        const first = yield* serve(cli)
        yield* cli.start(["run", "--approve", "raw.*", "-e", "await tools.raw.hang({})", "--server", first.url])
        yield* until(only(cli), (execution) => execution?.status === "running")
        const id = (yield* only(cli))?.id ?? ""
        yield* until(cli.run(["executions", "tool-calls", id, "--json"]), ({ stdout }) => stdout.includes('"running"'))

        const other = yield* serve(cli)
        first.server.child.kill("SIGTERM")
        assert.strictEqual((yield* first.server.ended).code, 0)
        const [asked] = yield* until(inbox(other.run), ({ length }) => length > 0)
        assert.strictEqual(asked?.execution.id, id)
      })
    )
  }

  it.live("that one process left waiting are answered by another, and by a server", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["sources", "add", "mcp", "everything", "--", ...everythingServer])
      const tool = `tools.everything["toggle-simulated-logging"]({})`
      const waits = yield* cli.run(["run", "--json", "-e", `return await Promise.all([${tool}, ${tool}])`])
      assert.strictEqual(waits.code, 3, waits.stderr)
      const { executionId } = JSON.parse(waits.stdout)
      const half = yield* cli.run(["resume", executionId, "--accept", "--json"])
      assert.strictEqual(half.code, 3, half.stderr)
      const server = yield* serve(cli)
      const ended = yield* server.run(["resume", executionId, "--accept", "--json"])
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.strictEqual(JSON.parse(ended.stdout).toolCallCount, 2)
    })
  )

  it.live("that a terminal left waiting are answered over MCP, and the other way round", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["sources", "add", "mcp", "everything", "--", ...everythingServer])
      const code = `return await tools.everything["toggle-simulated-logging"]({}).then(() => "done")`
      const waits = yield* cli.run(["run", "--json", "-e", code])
      assert.strictEqual(waits.code, 3, waits.stderr)
      const call = yield* mcpClient(cli)
      const { executionId } = JSON.parse(waits.stdout)
      assert.include(yield* call("resume", { executionId, action: "accept" }), `"result":"done"`)

      const [, asked] = /"executionId":"([^"]+)"/.exec(yield* call("execute", { code })) ?? []
      const answered = yield* cli.run(["resume", asked ?? "", "--accept", "--json"])
      assert.strictEqual(answered.code, 0, answered.stderr)
      assert.strictEqual(JSON.parse(answered.stdout).result, "done")
    })
  )

  it.live("whose process was killed go on beside an MCP client", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const killed = yield* cli.start(["run", "-e", held])
      // A process that is lost before the first call leaves no proof that nothing was done.
      yield* until(only(cli), (execution) => (execution?.toolCallCount ?? 0) > 0)
      killed.child.kill("SIGKILL")
      yield* killed.ended
      yield* endLeases(cli)
      yield* mcpClient(cli)
      yield* letGo(cli)
      const ended = yield* until(only(cli), (execution) => execution?.status !== "running")
      assert.strictEqual(ended?.status, "completed")
    })
  )

  it.live("whose process was killed in a call are stuck until a server asks a person about the call", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["sources", "add", "mcp", "raw", "--", process.execPath, rawServer])
      const killed = yield* cli.start(["run", "--approve", "raw.*", "-e", "await tools.raw.hang({})"])
      yield* until(only(cli), (execution) => execution?.status === "running")
      const id = (yield* only(cli))?.id ?? ""
      yield* until(cli.run(["executions", "tool-calls", id, "--json"]), ({ stdout }) => stdout.includes('"running"'))
      killed.child.kill("SIGKILL")
      yield* killed.ended
      yield* endLeases(cli)
      const before = (yield* checks(cli))["abandoned executions"] ?? ""
      assert.isTrue(before.endsWith(`executor serve goes on with them: ${id}`), before)
      yield* setCrashes(cli, 3)
      assert.include((yield* checks(cli))["abandoned executions"], `taken up ${id} (3 times)`)

      const server = yield* serve(cli)
      const asked = yield* until(inbox(server.run), ({ length }) => length > 0)
      assert.deepStrictEqual(
        asked.map(({ execution }) => execution.id),
        [id]
      )
      const found = yield* checks(cli)
      assert.strictEqual(found["abandoned executions"], "none")
      assert.match(found["waiting"] ?? "", /^1 question waits for a person, the oldest since 20/)
      assert.include(found["in doubt"], "of 1 call nobody knows the effect")

      const ended = yield* server.run(["resume", id, "--interaction", asked[0]?.interaction.id ?? "", "--cancel"])
      assert.strictEqual(ended.code, 1)
      assert.deepStrictEqual(yield* inbox(cli.run), [])
      assert.deepInclude(yield* checks(cli), { waiting: "nothing waits for a person", "in doubt": "none" })
    })
  )

  it.live("that began in another build of the sandbox wait for it, and doctor says what to do", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { child, ended } = yield* startWaiting(cli)
      const id = (yield* only(cli))?.id ?? ""
      child.kill("SIGKILL")
      yield* ended
      yield* endLeases(cli)
      assert.notProperty(yield* checks(cli), "other builds")
      yield* setBuild(cli, "of-last-year")
      const found = yield* checks(cli)
      assert.strictEqual(found["abandoned executions"], "none that this version can go on with")
      assert.match(found["other builds"] ?? "", /^1 execution waits for another build of the sandbox \(of-last-year\)/)
      assert.include(found["other builds"], id)

      const server = yield* serve(cli)
      assert.strictEqual((yield* server.run(["run", "-e", "return 1"])).code, 0)
      assert.strictEqual((yield* statuses(cli)).find((execution) => execution.id === id)?.status, "running")
      assert.strictEqual((yield* server.run(["cancel", id])).code, 0)
      const forked = yield* server.run(["fork", id, "--code", "-", "--any-build"], { stdin: "return 7" })
      assert.strictEqual(forked.stdout, "7\n", forked.stderr)
      assert.deepInclude(yield* checks(cli), { "abandoned executions": "none" })
    })
  )

  it.live("are done once, run again and forked on a server", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const server = yield* serve(cli)
      const code = `const { length } = await tools.search({ query: "anything" }); throw new Error("at " + length)`
      const send = server.run(["run", "--json", "--idempotency-key", "order-7", "-e", code])
      const { executionId } = JSON.parse((yield* send).stdout)
      assert.strictEqual(JSON.parse((yield* send).stdout).executionId, executionId)
      const replayed = yield* server.run(["replay", executionId])
      assert.deepStrictEqual([replayed.code, replayed.stdout], [0, "same: 1 call, failed\n"])
      const fixed = { stdin: `const { length } = await tools.search({ query: "anything" }); return length` }
      const preview = yield* server.run(["fork", executionId, "--code", "-", "--dry-run"], fixed)
      assert.strictEqual(preview.stdout, "1 of 1 calls would be reused.\n", preview.stderr)
      const forked = yield* server.run(["fork", executionId, "--code", "-"], fixed)
      assert.deepStrictEqual([forked.code, forked.stderr], [0, "1 of 1 calls were reused.\n"])
    })
  )

  it.live("that are forks end on the server with the command that asked for them", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const server = yield* serve(cli)
      const { executionId } = JSON.parse((yield* server.run(["run", "--json", "-e", "return 1"])).stdout)
      const endless = "await new Promise((done) => setTimeout(done, 600_000))"
      const fork = yield* cli.start(["fork", executionId, "--code", "-", "--server", server.url], { stdin: endless })
      yield* until(only(cli), (execution) => execution?.status === "running")
      fork.child.kill("SIGINT")
      assert.strictEqual((yield* fork.ended).code, 130)
      yield* until(only(cli), (execution) => execution?.status === "cancelled")
    })
  )
})
