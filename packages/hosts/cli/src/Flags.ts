/**
 * The flags that several commands share, and the root command that carries those of all.
 */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import {
  admissionSettings,
  inDoubtSettings,
  limitSettings,
  type LimitFlags,
  mcpSettings,
  retentionSettings,
  sourceSettings
} from "./Settings.ts"

/** A flag that is on when it is there. It never takes the next word as its value, as `--json true` would. */
export const switchFlag = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(
    Flag.withOptionalValue("true"),
    Flag.withoutNegation,
    Flag.withDefault(false),
    Flag.withDescription(description)
  )

/** An optional flag with a value. */
export const textFlag = (name: string, metavar: string, description: string): Flag.Flag<Option.Option<string>> =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

/** A flag that may be given several times. */
export const repeatedFlag = (name: string, metavar: string, description: string): Flag.Flag<ReadonlyArray<string>> =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.atLeast(0))

/** One JSON document on stdout. */
export const json = switchFlag("json", "Print one JSON document, for programs")

/** A submission that is done once. */
export const idempotencyKey = textFlag(
  "idempotency-key",
  "key",
  "Have it done once: the same key and code give the same execution, running or finished"
)

/** Approvals granted beforehand. */
export const approve = repeatedFlag(
  "approve",
  "pattern",
  "Grant matching tools beforehand (github.issues.create, github.*); may be repeated"
)

const flagsOf = (
  settings: ReadonlyArray<{ readonly flag: string; readonly metavar: string; readonly description: string }>
) => Object.fromEntries(settings.map(({ description, flag, metavar }) => [flag, textFlag(flag, metavar, description)]))

/** One flag for each limit. */
export const limits = flagsOf(limitSettings)

/** One flag for each bound of the history that is kept. */
export const retention = flagsOf(retentionSettings)

/** One flag for each bound of what goes on at once. */
export const admission = flagsOf(admissionSettings)

/** The flag for calls whose outcome nobody knows. */
export const inDoubt = flagsOf(inDoubtSettings)

/** One flag for each setting of an MCP server. */
export const mcp = flagsOf(mcpSettings)

/** One flag for each limit of a source's server. */
export const sourceLimits = flagsOf(sourceSettings)

/** The settings among parsed flags. */
const settingsOf =
  (settings: ReadonlyArray<{ readonly flag: string }>) =>
  (input: { readonly [flag: string]: unknown }): LimitFlags =>
    Object.fromEntries(
      settings.map(({ flag }) => {
        const value = Option.isOption(input[flag]) ? Option.getOrUndefined(input[flag]) : undefined
        return [flag, typeof value === "string" ? value : undefined]
      })
    )

/** The limits among parsed flags. */
export const limitFlagsOf = settingsOf(limitSettings)

/** The bounds of the history among parsed flags. */
export const retentionFlagsOf = settingsOf(retentionSettings)

/** The bounds of what goes on at once among parsed flags. */
export const admissionFlagsOf = settingsOf(admissionSettings)

/** The setting for calls whose outcome nobody knows among parsed flags. */
export const inDoubtFlagsOf = settingsOf(inDoubtSettings)

/** The settings of an MCP server among parsed flags. */
export const mcpFlagsOf = settingsOf(mcpSettings)

/** The limits of a source's server among parsed flags. */
export const sourceLimitFlagsOf = settingsOf(sourceSettings)

/** The command itself, with the flags that say what it works on. */
export const root = Command.make("executor").pipe(
  Command.withSharedFlags({
    dataDir: textFlag(
      "data-dir",
      "folder",
      "The data folder (EXECUTOR_DATA_DIR, else executor in the XDG data folder)"
    ),
    server: textFlag("server", "url", "Use this server instead of the data folder (EXECUTOR_SERVER)"),
    token: textFlag(
      "token",
      "token",
      "The server's token (EXECUTOR_TOKEN, else the data folder's for a server on this machine)"
    )
  })
)

/** What the command works on, as its flags say. */
export const target = Effect.map(root, ({ dataDir, server, token }) => ({ dataDir, server, token }))
