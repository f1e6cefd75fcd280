/**
 * What is stored for an MCP server as a source.
 */
import { Schema } from "effect"

/** A server has this long to start and to list its tools; installing it with `npx` on first use is part of that. */
export const defaultStartTimeoutMillis = 30_000

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

/**
 * One line for people and models: the program's own name, without its folder. Its arguments are left out, as they may hold keys.
 */
export const describeConfig = (config: McpSourceConfig): string => `MCP server: ${programName(config.command)}`

const programName = (command: string): string => command.split(/[\\/]/).findLast((part) => part !== "") ?? command
