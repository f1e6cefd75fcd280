/**
 * The built command as processes, each test with a data folder of its own.
 */
import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The command's file. */
export const bin = fileURLToPath(new URL("../bin/executor.js", import.meta.url))

const require = createRequire(import.meta.url)

/** A real MCP server from npm, as the words after `--`. */
export const everythingServer = [
  process.execPath,
  join(dirname(require.resolve("@modelcontextprotocol/server-everything/package.json")), "dist/index.js"),
  "stdio"
]

/** The inspector's command-line mode, as a program with its first words. */
export const inspector = [
  process.execPath,
  join(dirname(require.resolve("@modelcontextprotocol/inspector/package.json")), "clients/launcher/build/index.js"),
  "--cli"
]

/** How a process ended. */
export interface Ended {
  /** Its exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A process that runs. */
export interface Running {
  readonly child: ChildProcess
  readonly ended: Effect.Effect<Ended>
  /** Waits until a stream holds the text. */
  readonly shows: (text: string | RegExp) => Effect.Effect<string>
}

/** Starts a program; it is killed with the scope if it still runs then. */
export const start = (
  program: string,
  args: ReadonlyArray<string>,
  options: SpawnOptions & { readonly stdin?: string | undefined } = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(program, [...args], { stdio: ["pipe", "pipe", "pipe"], ...options })
        child.stdin?.on("error", () => {})
        if (options.stdin !== undefined) child.stdin?.end(options.stdin)
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      let stdout = ""
      let stderr = ""
      child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text))
      child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text))
      const closed = new Promise<Ended>((resolve) =>
        child.once("close", (code, signal) => resolve({ code: code ?? signal, stdout, stderr }))
      )
      const shows = (text: string | RegExp) =>
        Effect.callback<string>((resume) => {
          const look = () => {
            const found = [stdout, stderr].find((stream) =>
              typeof text === "string" ? stream.includes(text) : text.test(stream)
            )
            if (found !== undefined) resume(Effect.succeed(found))
          }
          child.stdout?.on("data", look)
          child.stderr?.on("data", look)
          child.once("close", () => resume(Effect.die(new Error(`it ended before: ${stdout}${stderr}`))))
          look()
        })
      return { child, ended: Effect.promise(() => closed), shows }
    }
  )

/** The command on one data folder. */
export interface Cli {
  readonly folder: string
  readonly env: { readonly [name: string]: string | undefined }
  readonly start: (
    args: ReadonlyArray<string>,
    options?: { readonly stdin?: string }
  ) => Effect.Effect<Running, never, Scope.Scope>
  /** Runs to the end, with nothing on standard input unless told otherwise. */
  readonly run: (
    args: ReadonlyArray<string>,
    options?: { readonly stdin?: string; readonly env?: NodeJS.ProcessEnv }
  ) => Effect.Effect<Ended>
}

/** A fresh data folder, gone with the scope. */
export const makeCli = Effect.fnUntraced(function* (more: { readonly [name: string]: string } = {}) {
  const parent = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "executor-test-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const folder = join(parent, "data")
  const { EXECUTOR_DATABASE_URL: _, EXECUTOR_SERVER: __, ...inherited } = process.env
  const env = { ...inherited, EXECUTOR_DATA_DIR: folder, NO_COLOR: "1", ...more }
  const cli: Cli = {
    folder,
    env,
    start: (args, options) => start(process.execPath, [bin, ...args], { env, stdin: options?.stdin }),
    run: (args, options) =>
      start(process.execPath, [bin, ...args], { env: { ...env, ...options?.env }, stdin: options?.stdin ?? "" }).pipe(
        Effect.flatMap(({ ended }) => ended),
        Effect.scoped
      )
  }
  return cli
})

const Entry = Schema.Struct({
  execution: Schema.Struct({
    id: Schema.String,
    status: Schema.String,
    codePreview: Schema.String,
    triggerKind: Schema.NullOr(Schema.String),
    triggerMetaJson: Schema.NullOr(Schema.String)
  })
})
const List = Schema.fromJsonString(Schema.Struct({ executions: Schema.Array(Entry) }))

/** The newest executions. */
export const history = (cli: Cli, ...flags: ReadonlyArray<string>) =>
  cli.run(["executions", "list", "--json", ...flags]).pipe(
    Effect.flatMap(({ stdout }) => Schema.decodeEffect(List)(stdout)),
    Effect.map(({ executions }) => executions.map((entry) => entry.execution)),
    Effect.orDie
  )

/** Reads the history until the newest execution has the status. */
export const untilNewest = (cli: Cli, status: string) =>
  history(cli, "--limit", "1").pipe(
    Effect.repeat({ until: ([newest]) => newest?.status === status }),
    Effect.map(([newest]) => newest)
  )

/** Starts a program that never ends by itself, and waits until the newest execution is its own. */
export const startWaiting = Effect.fnUntraced(function* (cli: Cli, startCommand: Cli["start"] = cli.start) {
  const running = yield* startCommand(["run", "-e", "await new Promise((done) => setTimeout(done, 600_000))"])
  const endedFirst = Effect.flatMap(running.ended, ({ code, stderr, stdout }) =>
    Effect.die(new Error(`it ended with ${code} before it ran: ${stdout}${stderr}`))
  )
  yield* Effect.raceFirst(untilNewest(cli, "running"), endedFirst)
  return running
})

/** Starts a server on a free port, and gives a command that uses it. */
export const serve = Effect.fnUntraced(function* (cli: Cli, ...flags: ReadonlyArray<string>) {
  const server = yield* cli.start(["serve", "--port", "0", ...flags])
  const shown = yield* server.shows(/http:\/\/\S+\n/)
  const url = /http:\/\/\S+/.exec(shown)?.[0] ?? ""
  const run: Cli["run"] = (args, options) =>
    cli.run(args, { ...options, env: { EXECUTOR_SERVER: url, ...options?.env } })
  return { server, url, run }
})
