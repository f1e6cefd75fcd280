/**
 * What is stored for an MCP server as a source.
 */
import { Schema } from "effect"

/** A server has this long to start, and as long to list its tools. */
export const defaultStartTimeoutMillis = 30_000

/** A server that has to be downloaded first, by `npx` for one, has this long, and again as long whenever it prints something. */
export const defaultInstallTimeoutMillis = 5 * 60_000

/** A download that takes longer is none. */
const maxInstallTimeoutMillis = 60 * 60_000

/** A call has this long to come back. A person's thinking time is not counted. */
export const defaultCallTimeoutMillis = 5 * 60_000

/** A server that is not used for this long is ended, and started again by the next call. What it keeps in memory is lost then. */
export const defaultIdleTimeoutMillis = 60 * 60_000

/** Processes of one server: further ones are started only while calls of others must run alone, such as those that ask a person. */
export const defaultMaxProcesses = 8

/** Longer than a day is no timeout any more. */
const maxTimeoutMillis = 24 * 60 * 60_000

const Timeout = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxTimeoutMillis }))

const EnvironmentName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z_][A-Za-z0-9_]*$/, {
    message: "the name of an environment variable, such as GITHUB_TOKEN; its value is never stored"
  })
)

/** A server that runs as a child process and speaks MCP over its standard input and output. */
export const McpSourceConfig = Schema.Struct({
  transport: Schema.Literal("stdio"),
  /** A program: a path, or a name found on `PATH`. No shell is involved. */
  command: Schema.NonEmptyString,
  args: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Variables of the host's environment that the server gets beside the harmless ones. Only names are stored. */
  env: Schema.optionalKey(Schema.Array(EnvironmentName)),
  /** The host's own working directory if absent. */
  cwd: Schema.optionalKey(Schema.NonEmptyString),
  startTimeoutMillis: Schema.optionalKey(Timeout),
  callTimeoutMillis: Schema.optionalKey(Timeout),
  idleTimeoutMillis: Schema.optionalKey(Timeout),
  maxProcesses: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })))
})
export type McpSourceConfig = typeof McpSourceConfig.Type

/** Limits for all sources that have none of their own. */
export interface ServerLimits {
  readonly startTimeoutMillis?: number | undefined
  readonly callTimeoutMillis?: number | undefined
  readonly idleTimeoutMillis?: number | undefined
  readonly maxProcesses?: number | undefined
}

/** How long a server may take for what it does first. */
export interface StartLimit {
  readonly millis: number
  /** A server that has printed something meanwhile gets `millis` again, until so much time has passed in all. */
  readonly maxMillis: number
}

/** The time for starting. It is prolonged only where nobody has set it. */
export const startLimit = (config: McpSourceConfig, limits: ServerLimits): StartLimit => {
  const set = config.startTimeoutMillis ?? limits.startTimeoutMillis
  if (set !== undefined) return { millis: set, maxMillis: set }
  return mayInstall(config)
    ? { millis: defaultInstallTimeoutMillis, maxMillis: maxInstallTimeoutMillis }
    : { millis: defaultStartTimeoutMillis, maxMillis: defaultStartTimeoutMillis }
}

/** Programs that download what they start, each with the first argument that has them do it, where it needs one. */
const installers: Readonly<Record<string, ReadonlyArray<string> | "always">> = {
  npx: "always",
  uvx: "always",
  bunx: "always",
  pnpx: "always",
  npm: ["exec", "x"],
  pnpm: ["dlx"],
  yarn: ["dlx"],
  bun: ["x"],
  uv: ["run", "tool"],
  pipx: ["run"],
  deno: ["run"],
  docker: ["run"],
  podman: ["run"]
}

/** On Windows they are run by `cmd /c`. */
const mayInstall = ({ args = [], command }: McpSourceConfig): boolean => {
  const program = programName(command).replace(/\.(cmd|exe|ps1)$/i, "")
  if (program === "cmd" && /^\/c$/i.test(args[0] ?? ""))
    return mayInstall({ transport: "stdio", command: args[1] ?? "", args: args.slice(2) })
  const wanted = Object.hasOwn(installers, program) ? installers[program] : undefined
  return wanted === "always" || wanted?.includes(args[0] ?? "") === true
}

/**
 * One line for people and models: the program's own name, without its folder. Its arguments are left out, as they may hold keys.
 */
export const describeConfig = (config: McpSourceConfig): string => `MCP server: ${programName(config.command)}`

const programName = (command: string): string => command.split(/[\\/]/).findLast((part) => part !== "") ?? command
