/**
 * The built command as a server and as its client, and as an MCP server.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Client as OlderClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as OlderTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { Effect } from "effect"
import { userInfo } from "node:os"
import { bin, everythingServer, history, inspector, makeCli, serve, start, untilNewest } from "./support.ts"

const toggle = 'return await tools.everything["toggle-simulated-logging"]({})'

const withSource = Effect.fnUntraced(function* () {
  const cli = yield* makeCli()
  const added = yield* cli.run(["sources", "add", "mcp", "everything", "--", ...everythingServer])
  assert.strictEqual(added.code, 0, added.stderr)
  return cli
})

describe("executor serve", () => {
  it.live("does for a client what the command does alone, and ends well when it is stopped", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { run, server, url } = yield* serve(cli)
      const ended = yield* run(["run", "--json", "-e", "console.log('hi'); return { a: 1 }"])
      assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
      const { durationMs, executionId, logs, ...rest } = JSON.parse(ended.stdout)
      assert.deepStrictEqual(rest, { status: "completed", result: { a: 1 }, toolCallCount: 0 })
      assert.deepStrictEqual([typeof durationMs, logs[0].message], ["number", "hi"])
      const [row] = yield* history(cli)
      assert.deepStrictEqual([row?.id, row?.triggerKind], [executionId, "cli"])
      const got = yield* run(["executions", "get", executionId, "--json"])
      assert.strictEqual(JSON.parse(got.stdout).execution.id, executionId)
      assert.include((yield* run(["executions", "list", "--trigger", "cli"])).stdout, executionId)
      const loop = yield* run(["run", "-e", "for (;;) {}", "--cpu-limit", "50ms"])
      assert.deepStrictEqual([loop.code, /50 ms/.test(loop.stderr)], [1, true])
      assert.strictEqual((yield* run(["executions", "list", "--cursor", "x"])).code, 2)
      assert.strictEqual((yield* run(["executions", "get", "nope"])).code, 1)
      const stranger = yield* cli.run(["--server", url, "--token", "wrong", "run", "-e", "1"])
      assert.deepStrictEqual([stranger.code, stranger.stdout], [1, ""])
      assert.include(stranger.stderr, "token")
      server.child.kill("SIGTERM")
      assert.strictEqual((yield* server.ended).code, 0)
      const gone = yield* run(["run", "-e", "1"])
      assert.strictEqual(gone.code, 1)
      assert.include(gone.stderr, "cannot be reached")
    })
  )

  it.live("keeps an execution that waits for a person, until one answers", () =>
    Effect.gen(function* () {
      const cli = yield* withSource()
      const { run } = yield* serve(cli)
      const paused = yield* run(["run", "--json", "-e", toggle])
      assert.strictEqual(paused.code, 3)
      const { durationMs, executionId, interaction, ...rest } = JSON.parse(paused.stdout)
      assert.deepStrictEqual(rest, { status: "waiting_for_interaction", logs: [], toolCallCount: 1 })
      assert.strictEqual(typeof durationMs, "number")
      assert.strictEqual(interaction.request.toolPath, "everything.toggle-simulated-logging")
      assert.include(paused.stderr, `executor resume ${executionId} --accept`)
      const resumed = yield* run(["resume", executionId, "--accept", "--interaction", interaction.id, "--json"])
      assert.deepStrictEqual([resumed.code, JSON.parse(resumed.stdout).status], [0, "completed"])
      const { username } = userInfo()
      const got = JSON.parse((yield* cli.run(["executions", "get", executionId, "--json"])).stdout)
      assert.strictEqual(JSON.parse(got.execution.triggerMetaJson).user, username)
      assert.strictEqual(got.interactions[0].resolvedBy, username)
      const again = yield* run(["resume", executionId, "--accept"])
      assert.deepStrictEqual([again.code, again.stdout], [1, ""])

      const declined = JSON.parse((yield* run(["run", "--json", "-e", toggle])).stdout)
      const answered = yield* run(["resume", declined.executionId, "--decline", "--json"])
      assert.deepStrictEqual([answered.code, JSON.parse(answered.stdout).error.name], [1, "ElicitationDeclined"])

      const cancelled = JSON.parse((yield* run(["run", "--json", "-e", toggle])).stdout)
      assert.strictEqual((yield* run(["cancel", cancelled.executionId])).code, 0)
      assert.strictEqual((yield* run(["cancel", cancelled.executionId])).code, 1)
      const [row] = yield* history(cli)
      assert.deepStrictEqual([row?.id, row?.status], [cancelled.executionId, "cancelled"])
    })
  )

  it.live("tells whom it refuses, as too much is under way, when to come again and what to raise", () =>
    Effect.gen(function* () {
      const cli = yield* withSource()
      const { run, url } = yield* serve(cli, "--concurrent-executions", "1", "--queued-executions", "1")
      const idOf = (code: string) =>
        Effect.map(run(["run", "--json", "-e", code]), ({ stdout }) => String(JSON.parse(stdout).executionId))
      const ended = yield* idOf("return 1")
      const [first, second] = [yield* idOf(toggle), yield* idOf(toggle)]
      const load = Effect.promise(async () => (await fetch(`${url}/health`)).text())
      const untilLoad = (underWay: number, queued: number) =>
        Effect.repeat(load, {
          until: (text) => text.includes(JSON.stringify({ underWay, queued }))
        })
      const fill = (...args: ReadonlyArray<string>) => cli.start([...args, "--server", url])
      yield* fill("run", "-e", "await new Promise((done) => setTimeout(done, 600_000))")
      yield* untilLoad(1, 0)
      yield* fill("run", "-e", "return 2")
      yield* untilLoad(1, 1)
      yield* fill("resume", first, "--accept")
      yield* untilLoad(1, 2)

      const refused = [
        ["run", "-e", "return 3"],
        ["call", "everything.get-sum", "a=2", "b=40"],
        ["resume", second, "--accept"],
        ["fork", ended, "--code", "-"],
        ["fork", ended, "--code", "-", "--dry-run"],
        ["replay", ended]
      ]
      for (const args of refused) {
        const { code, stderr, stdout } = yield* run(args, { stdin: "return 4" })
        assert.deepStrictEqual([code, stdout], [1, ""], args.join(" "))
        assert.match(stderr, /try again in \d+ s/, args.join(" "))
        assert.include(stderr, "executor serve --concurrent-executions <count> --queued-executions <count>")
      }
      const [newest] = yield* history(cli, "--limit", "1")
      assert.strictEqual(newest?.codePreview, "await new Promise((done) => setTimeout(done, 600_000))")
    })
  )

  it.live("ends an execution whose client is interrupted", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { url } = yield* serve(cli)
      const code = "await new Promise((done) => setTimeout(done, 600_000))"
      const { child, ended } = yield* cli.start(["--server", url, "run", "-e", code])
      yield* untilNewest(cli, "running")
      child.kill("SIGINT")
      assert.strictEqual((yield* ended).code, 130)
      yield* untilNewest(cli, "cancelled")
    })
  )

  it.live("wants a token unless it is told otherwise, and never on the network without", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { run } = yield* serve(cli, "--no-auth")
      assert.strictEqual((yield* run(["--token", "anything", "run", "-e", "return 1"])).stdout, "1\n")
      const open = yield* cli.run(["serve", "--host", "0.0.0.0", "--port", "0", "--no-auth"])
      assert.deepStrictEqual([open.code, open.stdout], [1, ""])
      const first = yield* cli.run(["token"])
      assert.match(first.stdout, /^\S{20,}\n$/)
      assert.deepStrictEqual(yield* cli.run(["token"]), first)
    })
  )
})

describe("executor mcp", () => {
  const environment = (cli: Effect.Success<ReturnType<typeof makeCli>>) =>
    Object.fromEntries(Object.entries(cli.env).filter((entry): entry is [string, string] => entry[1] !== undefined))

  const clientInfo = { name: "test-client", version: "9.8.7" }
  const code = "console.log('noise'); return 6 * 7"

  interface AnyClient {
    readonly listTools: () => Promise<{ readonly tools: ReadonlyArray<{ readonly name: string }> }>
    readonly callTool: (params: { name: string; arguments: { code: string } }) => Promise<object>
    readonly close: () => Promise<void>
  }

  interface Server {
    readonly command: string
    readonly args: Array<string>
    readonly env: Record<string, string>
  }

  const connectOlder = async (server: Server): Promise<AnyClient> => {
    const client = new OlderClient(clientInfo)
    await client.connect(new OlderTransport(server))
    return client
  }

  const connectModern = async (server: Server): Promise<AnyClient> => {
    const client = new Client(clientInfo, { versionNegotiation: { mode: { pin: "2026-07-28" } } })
    await client.connect(new StdioClientTransport(server))
    return client
  }

  it.live.each([
    { era: "2025", connect: connectOlder },
    { era: "2026", connect: connectModern }
  ])("runs code for a client of the era of $era", ({ connect }) =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const client = yield* Effect.acquireRelease(
        Effect.promise(() => connect({ command: process.execPath, args: [bin, "mcp"], env: environment(cli) })),
        (client) => Effect.promise(() => client.close())
      )
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.deepStrictEqual(tools.map((tool) => tool.name).toSorted(), ["execute", "executions", "resume"])
      const answer = yield* Effect.promise(() => client.callTool({ name: "execute", arguments: { code } }))
      assert.include(JSON.stringify(answer), "42")
      const [row] = yield* history(cli)
      assert.strictEqual(row?.triggerKind, "mcp")
      assert.deepStrictEqual(JSON.parse(row?.triggerMetaJson ?? "{}").client, clientInfo)
    })
  )

  it.live("runs code for the inspector in its command-line mode", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      // The inspector keeps the environment to itself, so the server would work on the data folder of whoever runs the test.
      const [node = "", ...words] = [
        ...inspector,
        "-e",
        `EXECUTOR_DATA_DIR=${cli.folder}`,
        process.execPath,
        bin,
        "mcp"
      ]
      const call = ["--method", "tools/call", "--tool-name", "execute", "--tool-arg", `code=${code}`]
      const { ended } = yield* start(node, [...words, ...call], { env: cli.env, stdin: "" })
      const { code: exitCode, stderr, stdout } = yield* ended
      assert.strictEqual(exitCode, 0, stderr)
      assert.strictEqual(JSON.parse(stdout).structuredContent.result, 42)
      const [row] = yield* history(cli)
      assert.deepStrictEqual([row?.triggerKind, row?.codePreview], ["mcp", code])
    })
  )
})

describe("a terminal", () => {
  /** Runs a command line at a pseudo terminal, with its standard output into a file that is printed last. */
  const atTerminal = (cli: Effect.Success<ReturnType<typeof makeCli>>, line: string) =>
    start(
      "script",
      process.platform === "darwin" ? ["-q", "/dev/null", "sh", "-c", line] : ["-qec", line, "/dev/null"],
      { env: { ...cli.env, TERM: "xterm", SHELL: "/bin/sh" } }
    )

  it.live("is where a person is asked, on stderr, and answers", () =>
    Effect.gen(function* () {
      const cli = yield* withSource()
      const file = `${cli.folder}/out.txt`
      const command = `'${process.execPath}' '${bin}' run -e '${toggle.replaceAll('"', "`")}'`
      const line = `${command.replaceAll("`", '"')} > '${file}'`
      const yes = yield* atTerminal(cli, line)
      yield* yes.shows("Approve?")
      yes.child.stdin?.write("y")
      const ended = yield* yes.ended
      assert.strictEqual(ended.code, 0, ended.stdout)
      assert.include(ended.stdout, "everything.toggle-simulated-logging wants your approval")
      const [row] = yield* history(cli)
      assert.strictEqual(row?.status, "completed")

      const early = yield* atTerminal(cli, line)
      early.child.stdin?.write("y")
      yield* early.shows("Approve?")
      early.child.stdin?.write("n")
      assert.strictEqual((yield* early.ended).code, 1, "a key that was pressed before the question is no answer")

      const interrupted = yield* atTerminal(cli, line)
      yield* interrupted.shows("Approve?")
      interrupted.child.stdin?.write("\u0003")
      assert.strictEqual((yield* interrupted.ended).code, 130)
      const [cancelled] = yield* history(cli)
      assert.strictEqual(cancelled?.status, "cancelled")
    })
  )
})
