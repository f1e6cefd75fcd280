/**
 * The built command on its own, over a data folder.
 */
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmod, readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bin, everythingServer, history, makeCli, start, startWaiting } from "./support.ts"

const mode = (path: string) => Effect.promise(async () => (await stat(path)).mode & 0o777)

describe("executor", () => {
  it.live("works on a folder that is not there yet, and keeps it to its owner", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const ended = yield* cli.run(["run", "--json", "-e", "return { sum: 1 + 1 }"])
      assert.strictEqual(ended.code, 0)
      assert.strictEqual(ended.stderr, "")
      assert.deepStrictEqual(JSON.parse(ended.stdout).result, { sum: 2 })
      assert.strictEqual(yield* mode(cli.folder), 0o700)
      assert.strictEqual(yield* mode(join(cli.folder, "executor.db")), 0o600)
      const [execution] = yield* history(cli)
      assert.strictEqual(execution?.triggerKind, "cli")
      assert.strictEqual(JSON.parse(execution?.triggerMetaJson ?? "{}").client.name, "executor")
    })
  )

  it.live("strips types, and reads code and arguments from standard input", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const code = "const add = (a: number, b: number): number => a + b\nreturn add(20, 22)"
      assert.deepStrictEqual(yield* cli.run(["run", "-"], { stdin: code }), { code: 0, stdout: "42\n", stderr: "" })
      const wrong = yield* cli.run(["run", "-e", "const x = ;"])
      assert.strictEqual(wrong.code, 1)
      assert.notMatch(wrong.stderr, /\n\s+at .*\.(js|ts):/)
    })
  )

  it.live("says what a source that does not start has printed, and keeps it in the log that its error names", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const program = [process.execPath, "-e", "console.error('the key is missing'); process.exitCode = 3"]
      const added = yield* cli.run(["sources", "add", "mcp", "broken", "--", ...program])
      assert.deepStrictEqual([added.code, added.stdout], [1, ""])
      const log = join(cli.folder, "executor.log")
      assert.include(added.stderr, log)
      assert.include(added.stderr, "the key is missing")
      assert.include(yield* Effect.promise(() => readFile(log, "utf8")), "the key is missing")
      assert.strictEqual(yield* mode(log), 0o600)
    })
  )

  it.live("lets several processes work on one new folder at once", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const numbers = [1, 2, 3, 4, 5, 6]
      const ended = yield* Effect.forEach(numbers, (n) => cli.run(["run", "-e", `return ${n}`]), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        ended,
        numbers.map((n) => ({ code: 0, stdout: `${n}\n`, stderr: "" }))
      )
      const rows = yield* history(cli)
      assert.deepStrictEqual(
        new Set(rows.map((row) => `${row.codePreview} ${row.status}`)),
        new Set(numbers.map((n) => `return ${n} completed`))
      )
    })
  )

  it.live.each([
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const)("cancels what runs at %s and ends with %i", ([signal, code]) =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { child, ended } = yield* startWaiting(cli)
      child.kill(signal)
      const { code: actual, stdout } = yield* ended
      assert.deepStrictEqual([actual, stdout], [code, ""])
      const [row] = yield* history(cli)
      assert.strictEqual(row?.status, "cancelled")
    })
  )

  it.live("takes signals that come together for one, and still records the end", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { child, ended } = yield* startWaiting(cli)
      child.kill("SIGINT")
      child.kill("SIGTERM")
      yield* ended
      const [row] = yield* history(cli)
      assert.strictEqual(row?.status, "cancelled")
    })
  )

  it.live("is quiet when its reader goes away", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { child, ended } = yield* cli.start(["run", "-e", "return 'x'.repeat(1_000_000)"])
      child.stdout?.once("data", () => child.stdout?.destroy())
      const { code, stderr } = yield* ended
      assert.deepStrictEqual([code, stderr], [0, ""])
    })
  )

  it.live("writes a defect down and shows its id only", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const crash = `data:text/javascript,process.on("SIGUSR2", () => { throw new Error("inside") })`
      const env = { ...cli.env, NODE_OPTIONS: `--import=${encodeURI(crash)}` }
      const running = yield* startWaiting(cli, (args) => start(process.execPath, [bin, ...args], { env }))
      running.child.kill("SIGUSR2")
      const ended = yield* running.ended
      assert.deepStrictEqual([ended.code, ended.stdout], [1, ""])
      assert.notInclude(ended.stderr, "inside.")
      assert.notInclude(ended.stderr, "Error: inside")
      const log = join(cli.folder, "executor.log")
      const [id = "none"] = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(ended.stderr) ?? []
      assert.include(yield* Effect.promise(() => readFile(log, "utf8")), id)
      assert.strictEqual(yield* mode(log), 0o600)
    })
  )

  it.live("runs on its own Node where the machine's is too old", () =>
    Effect.gen(function* () {
      const onOwnNode = fileURLToPath(new URL("../bin/on-own-node.js", import.meta.url))
      const { ended } = yield* start(process.execPath, [onOwnNode, "--version"], { stdin: "" })
      const { code, stdout } = yield* ended
      assert.strictEqual(code, 0)
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
    })
  )

  it.live("is cancelled through the process that started it on its own Node", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const onOwnNode = fileURLToPath(new URL("../bin/on-own-node.js", import.meta.url))
      const { child, ended } = yield* startWaiting(cli, (args) =>
        start(process.execPath, [onOwnNode, ...args], { env: cli.env })
      )
      child.kill("SIGINT")
      assert.strictEqual((yield* ended).code, 130)
      const [row] = yield* history(cli)
      assert.strictEqual(row?.status, "cancelled")
    })
  )

  it.live("ends by the signal that ended it on its own Node before it could handle any", () =>
    Effect.gen(function* () {
      const { env } = yield* makeCli()
      const onOwnNode = fileURLToPath(new URL("../bin/on-own-node.js", import.meta.url))
      const early = `data:text/javascript,if (process.channel) process.kill(process.pid, "SIGINT")`
      const options = { env: { ...env, NODE_OPTIONS: `--import=${encodeURI(early)}` } }
      const { ended } = yield* start(process.execPath, [onOwnNode, "executions", "list"], options)
      assert.strictEqual((yield* ended).code, "SIGINT")
    })
  )

  it.live("does not outlive the process that started it on its own Node", () =>
    Effect.gen(function* () {
      const { env } = yield* makeCli()
      const onOwnNode = fileURLToPath(new URL("../bin/on-own-node.js", import.meta.url))
      const { child, ended, shows } = yield* start(process.execPath, [onOwnNode, "serve", "--port", "0"], { env })
      yield* shows("Listening")
      child.kill("SIGKILL")
      // The streams close when the last process that holds them has ended.
      yield* ended
    })
  )
})

describe("sources", () => {
  it.live("are MCP servers whose tools can be found, called and removed", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const added = yield* cli.run(["sources", "add", "mcp", "everything", "--", ...everythingServer])
      assert.deepStrictEqual([added.code, added.stdout], [0, ""], added.stderr)
      assert.include((yield* cli.run(["sources", "list"])).stdout, "everything")
      assert.include((yield* cli.run(["search", "sum", "of", "two", "numbers"])).stdout, "everything.get-sum")
      assert.include((yield* cli.run(["describe", "everything.get-sum"])).stdout, "First number")
      const sum = yield* cli.run(["call", "everything.get-sum", "a=2", "b=40"])
      assert.deepStrictEqual([sum.code, sum.stderr], [0, ""])
      assert.include(sum.stdout, "42")
      const toggle = ["call", "everything.toggle-simulated-logging"]
      const waits = yield* cli.run(toggle)
      assert.deepStrictEqual([waits.code, waits.stdout], [3, ""])
      const [, id = ""] = /executor resume (\S+) .*--accept/.exec(waits.stderr) ?? []
      assert.strictEqual((yield* cli.run(["resume", id, "--accept"])).code, 0)
      const again = yield* cli.run(["resume", id, "--decline"])
      assert.deepStrictEqual([again.code, again.stdout], [1, ""])
      assert.include(again.stderr, "has ended (completed)")
      assert.strictEqual((yield* cli.run([...toggle, "--approve", "everything.*"])).code, 0)
      assert.strictEqual((yield* cli.run(["doctor", "--sources"])).code, 0)
      assert.strictEqual((yield* cli.run(["sources", "refresh", "everything"])).code, 0)
      assert.strictEqual((yield* cli.run(["sources", "remove", "everything"])).code, 0)
      assert.deepStrictEqual(JSON.parse((yield* cli.run(["sources", "list", "--json"])).stdout), { sources: [] })
    })
  )

  it.live("that cannot be started are not added", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const ended = yield* cli.run(["sources", "add", "mcp", "nothing", "--", "executor-test-no-such-program"])
      assert.deepStrictEqual([ended.code, ended.stdout], [1, ""])
      assert.include(ended.stderr, "there is no such program")
      assert.deepStrictEqual(JSON.parse((yield* cli.run(["sources", "list", "--json"])).stdout), { sources: [] })
    })
  )
})

describe("doctor", () => {
  const doctor = Effect.fnUntraced(function* (cli: Effect.Success<ReturnType<typeof makeCli>>) {
    const { code, stdout } = yield* cli.run(["doctor", "--json"])
    const { checks, ok }: { ok: boolean; checks: ReadonlyArray<{ name: string; status: string; detail: string }> } =
      JSON.parse(stdout)
    const problems = checks.filter((check) => check.status === "problem").map((check) => check.name)
    return { code, ok, problems, detailOf: (name: string) => checks.find((check) => check.name === name)?.detail ?? "" }
  })

  it.live("finds nothing where there is nothing", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      assert.deepInclude(yield* doctor(cli), { code: 0, ok: true, problems: [] })
      yield* cli.run(["run", "-e", "1"])
      const { detailOf, ...outcome } = yield* doctor(cli)
      assert.deepStrictEqual(outcome, { code: 0, ok: true, problems: [] })
      assert.match(detailOf("database"), /executor\.db, \S+ kb and \S+ \S+ of write-ahead log, integrity ok: /)
      assert.match(detailOf("writing"), /^works; \S+ \S+ are free on its disk$/)
      assert.match(detailOf("history"), /^1 execution \(1 completed\), 0 tool calls, .*, the oldest of 20\d\d-/)
      assert.match(detailOf("retention"), /^everything is kept/)
      const file = join(cli.folder, "config.json")
      yield* Effect.promise(() => writeFile(file, '{ "retainFor": "30d", "retainCount": 5 }'))
      assert.include((yield* doctor(cli)).detailOf("retention"), "30 days, and of that the 5 executions")
    })
  )

  it.live("finds executions whose process was killed, a folder open to others, and bad settings", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const { child, ended } = yield* startWaiting(cli)
      assert.deepStrictEqual((yield* doctor(cli)).problems, [])
      child.kill("SIGKILL")
      yield* ended
      assert.deepInclude(yield* doctor(cli), { code: 1, ok: false, problems: ["abandoned executions"] })
      yield* Effect.promise(() => chmod(cli.folder, 0o755))
      yield* Effect.promise(() => writeFile(join(cli.folder, "config.json"), '{ "cpuLimit": "soon" }'))
      assert.deepStrictEqual((yield* doctor(cli)).problems, ["data folder", "settings", "abandoned executions"])
    })
  )

  it.live("finds what the log tells of writes that were lost", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["run", "-e", "1"])
      const line =
        'timestamp=x level=WARN message="History of execution e1 is incomplete: its start could not be written."\n'
      yield* Effect.promise(() => writeFile(join(cli.folder, "executor.log"), line + line))
      const { detailOf, problems } = yield* doctor(cli)
      assert.deepStrictEqual(problems, ["dropped writes"])
      assert.include(detailOf("dropped writes"), "tells of 1")
    })
  )

  it.live("finds a damaged database", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["run", "-e", "1"])
      const file = join(cli.folder, "executor.db")
      const bytes = yield* Effect.promise(() => readFile(file))
      bytes.fill(0x55, 4096, bytes.length)
      yield* Effect.promise(() => writeFile(file, bytes))
      assert.deepInclude(yield* doctor(cli), { code: 1, ok: false, problems: ["database"] })
    })
  )
})

describe("EXECUTOR_DATABASE_URL", () => {
  it.live("names a Postgres, which every command then works on", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const cli = yield* makeCli({ EXECUTOR_DATABASE_URL: url })
      assert.strictEqual((yield* cli.run(["run", "-e", "return 42"])).stdout, "42\n")
      const [row] = yield* history(cli)
      assert.deepStrictEqual([row?.status, row?.codePreview], ["completed", "return 42"])
      const text = (yield* cli.run(["executions", "export"])).stdout
      const file = yield* makeCli()
      assert.strictEqual((yield* file.run(["executions", "import", "-"], { stdin: text })).code, 0)
      assert.strictEqual((yield* file.run(["executions", "export"])).stdout, text)
      const doctor = yield* cli.run(["doctor"])
      assert.strictEqual(doctor.code, 0, doctor.stdout)
      assert.include(doctor.stdout, `Postgres ${new URL(url).host}`)
      assert.notInclude(doctor.stdout, new URL(url).password)
      const pruned = yield* cli.run(["executions", "prune", "--keep", "0", "--yes"])
      assert.include(pruned.stdout, "Removed 1 execution.")
    })
  )

  it.live("names a file, and nothing else", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const file = join(cli.folder, "..", "other.db")
      const other = { env: { EXECUTOR_DATABASE_URL: file } }
      assert.strictEqual((yield* cli.run(["run", "-e", "return 1"], other)).code, 0)
      assert.deepStrictEqual(yield* history(cli), [])
      assert.include((yield* cli.run(["doctor"], other)).stdout, "1 execution (1 completed)")
      const wrong = yield* cli.run(["executions", "list"], { env: { EXECUTOR_DATABASE_URL: "mysql://u:secret@h/d" } })
      assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
      assert.include(wrong.stderr, "EXECUTOR_DATABASE_URL")
      assert.notInclude(wrong.stderr, "secret")
    })
  )
})
