/**
 * The commands that make this process a way in for others: `serve`, `mcp` and `token`.
 */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Composition } from "../Composition.ts"
import { locateDatabase } from "../DatabaseLocation.ts"
import { ensure } from "../DataFolder.ts"
import * as Durability from "../Durability.ts"
import { exitCodes, ExitStatus, UsageError } from "../Failure.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import { Process } from "../Process.ts"
import {
  resolveAdmission,
  resolveInDoubt,
  resolveLimits,
  resolveMcp,
  resolveRetention,
  resolveSourceLimits
} from "../Settings.ts"
import { dataFolderOf } from "../Target.ts"
import { prepare } from "../WithoutHistory.ts"

const defaultHost = "127.0.0.1"
const defaultPort = 4788

/** These commands are the server; sending them to another one is a mistake. */
const folder = Effect.gen(function* () {
  const { env } = yield* Process
  const target = yield* Flags.target
  if (Option.isSome(target.server)) {
    return yield* new UsageError({ message: "--server does not go with this command: it works on the data folder." })
  }
  return dataFolderOf(target, env)
})

/** Being stopped is how a server ends well. */
const untilStopped = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.flatMap(ExitStatus, (status) => Effect.onInterrupt(work, () => status.set(exitCodes.completed)))

const parsePort = Effect.fnUntraced(function* (text: Option.Option<string>) {
  if (Option.isNone(text)) return defaultPort
  const port = /^\d{1,5}$/.test(text.value) ? Number(text.value) : Number.NaN
  return port <= 65_535
    ? port
    : yield* new UsageError({ message: `--port: "${text.value}" is not a port from 0 to 65535` })
})

const tokenText = (noAuth: boolean, ownToken: string | undefined): string => {
  if (noAuth) return "Anybody on this machine may use it: it wants no token."
  return ownToken === undefined
    ? "It wants a bearer token; print it with: executor token"
    : `It wants a bearer token, which the data folder cannot keep, so it is for this server only: ${ownToken}`
}

/** `executor serve`. */
export const serve = Command.make(
  "serve",
  {
    host: Flag.String("host").pipe(
      Flag.withMetavar("address"),
      Flag.withDescription(`The address to listen on (${defaultHost})`),
      Flag.withDefault(defaultHost)
    ),
    port: Flags.textFlag("port", "port", `The port, 0 for any that is free (${defaultPort})`),
    noAuth: Flags.switchFlag("no-auth", "Want no token; on loopback addresses only"),
    recovery: Flag.Literals("recovery", ["resume", "end"]).pipe(
      Flag.withDescription("What becomes of executions whose process is gone: they go on here, or are ended (resume)"),
      Flag.withDefault("resume")
    ),
    pauseExpiry: Flags.textFlag(
      "pause-expiry",
      "duration",
      "Cancel executions that waited so long for an answer (never)"
    ),
    ...Flags.limits,
    ...Flags.retention,
    ...Flags.inDoubt,
    ...Flags.admission
  },
  Effect.fn(function* (input) {
    const { env } = yield* Process
    const composition = yield* Composition
    const port = yield* parsePort(input.port)
    const dataFolder = yield* folder
    const { onFault, settings, withoutHistory } = yield* prepare(dataFolder, "What this server executes is")
    const places = { env, dataFolder: settings }
    const limits = yield* resolveLimits({ ...places, flags: Flags.limitFlagsOf(input) })
    const sourceLimits = yield* resolveSourceLimits({ ...places, flags: {} })
    const database = yield* locateDatabase(env, dataFolder)
    const retention = yield* resolveRetention({ ...places, flags: Flags.retentionFlagsOf(input) })
    const admission = yield* resolveAdmission({ ...places, flags: Flags.admissionFlagsOf(input) })
    const inDoubt = yield* resolveInDoubt({ ...places, flags: Flags.inDoubtFlagsOf(input) })
    const durability = { ...(yield* Durability.parse(input)), ...inDoubt }
    const output = yield* Output.Output
    const say = (url: string, ownToken: string | undefined) =>
      Effect.gen(function* () {
        yield* Output.result(`Listening on ${url}`)
        yield* Output.notice(tokenText(input.noAuth, ownToken))
      }).pipe(Effect.provideService(Output.Output, output))
    yield* untilStopped(
      composition.serve({
        dataFolder,
        database,
        limits,
        sourceLimits,
        retention,
        admission,
        durability,
        host: input.host,
        port,
        auth: !input.noAuth,
        withoutHistory,
        onFault,
        onListening: say
      })
    )
  })
).pipe(
  Command.withDescription(
    "Serve the HTTP API over the data folder, with its documentation under /docs. Stop it with Ctrl-C or SIGTERM."
  ),
  Command.withShortDescription("Serve the HTTP API"),
  Command.withExamples([
    { command: "executor serve", description: `On http://${defaultHost}:${defaultPort}` },
    {
      command: "executor serve --port 0 --cpu-limit 5s",
      description: "On any free port, with a limit for every execution"
    },
    { command: "executor serve --retain-for 90d", description: "Keep the history of three months; all of it without" }
  ])
)

/** `executor mcp`. */
export const mcp = Command.make(
  "mcp",
  { ...Flags.limits, ...Flags.inDoubt, ...Flags.admission, ...Flags.mcp },
  Effect.fn(function* (input) {
    const { env } = yield* Process
    const composition = yield* Composition
    const dataFolder = yield* folder
    const { onFault, settings, withoutHistory } = yield* prepare(dataFolder, "What this server executes is")
    const places = { env, dataFolder: settings }
    const limits = yield* resolveLimits({ ...places, flags: Flags.limitFlagsOf(input) })
    const sourceLimits = yield* resolveSourceLimits({ ...places, flags: {} })
    const admission = yield* resolveAdmission({ ...places, flags: Flags.admissionFlagsOf(input) })
    const inDoubt = yield* resolveInDoubt({ ...places, flags: Flags.inDoubtFlagsOf(input) })
    const mcp = yield* resolveMcp({ ...places, flags: Flags.mcpFlagsOf(input) })
    const database = yield* locateDatabase(env, dataFolder)
    yield* untilStopped(
      composition.mcp({ database, limits, sourceLimits, admission, inDoubt, mcp, withoutHistory, onFault })
    )
  })
).pipe(
  Command.withDescription(
    'Serve MCP over stdin and stdout, for an MCP client to start: { "command": "executor", "args": ["mcp"] }, with the whole path where ' +
      "executor is not on the client's PATH. Clients pass few variables on: say --data-dir there, not EXECUTOR_DATA_DIR."
  ),
  Command.withShortDescription("Serve MCP over stdio"),
  Command.withExamples([{ command: "executor mcp", description: "As an MCP client would start it" }])
)

/** `executor token`. */
export const token = Command.make(
  "token",
  {},
  Effect.fn(function* () {
    const composition = yield* Composition
    const dataFolder = yield* folder
    yield* ensure(dataFolder)
    yield* Output.result(yield* composition.token(dataFolder))
  })
).pipe(
  Command.withDescription("Print the token that a server on this data folder wants; it is made if there is none yet."),
  Command.withExamples([
    {
      command: 'curl http://127.0.0.1:4788/executions -H "authorization: Bearer $(executor token)"',
      description: "Use it"
    }
  ])
)
