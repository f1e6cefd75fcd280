/**
 * Settings that may come from a flag, the environment, or `config.json` in the data folder; the first that is there wins.
 *
 * Each limit of an execution is one setting with three spellings: `--cpu-limit 2s`, `EXECUTOR_CPU_LIMIT=2s`, and
 * `"cpuLimit": "2s"` in the file. A value that cannot be read is refused by the name it was given under, even where another
 * source would win: a typing error must not hide behind a flag.
 */
import type { LimitName, Limits } from "@executor/kernel"
import { Effect, Predicate, Result } from "effect"
import { readFile } from "node:fs/promises"
import { dataFiles, type Environment } from "./DataFolder.ts"
import { UsageError } from "./Failure.ts"
import { suggest } from "./SchemaShape.ts"
import { parseCount, parseDuration, parseSize } from "./Units.ts"

type Parser = (text: string) => Result.Result<number, string>

/** One limit as a setting. */
export interface LimitSetting {
  readonly limit: LimitName
  readonly flag: string
  readonly parse: Parser
  readonly metavar: string
  readonly description: string
}

const setting = (
  limit: LimitName,
  flag: string,
  parse: Parser,
  metavar: string,
  description: string
): LimitSetting => ({ limit, flag, parse, metavar, description })

/** Every limit, in the order in which help lists them. */
export const limitSettings: ReadonlyArray<LimitSetting> = [
  setting("cpuTimeMs", "cpu-limit", parseDuration, "duration", "Time the code itself may compute (30s)"),
  setting(
    "wallTimeMs",
    "wall-limit",
    parseDuration,
    "duration",
    'Time from start to end, waiting included; "none" for no limit (none)'
  ),
  setting("heapBytes", "heap-limit", parseSize, "size", "Memory of the sandbox (64mb)"),
  setting("stackBytes", "stack-limit", parseSize, "size", "Stack of the sandbox (256kb)"),
  setting("sourceBytes", "source-limit", parseSize, "size", "The submitted code (256kb)"),
  setting("toolCalls", "tool-call-limit", parseCount, "count", "Tool calls of one execution (10000)"),
  setting("toolCallsInFlight", "in-flight-limit", parseCount, "count", "Tool calls at once; more wait their turn (64)"),
  setting("argumentsBytes", "argument-limit", parseSize, "size", "The arguments of one tool call (1mb)"),
  setting("toolResultBytes", "tool-result-limit", parseSize, "size", "The result of one tool call (8mb)"),
  setting("resultBytes", "result-limit", parseSize, "size", "The result of the execution (10mb)"),
  setting("logBytes", "log-limit", parseSize, "size", "All console output; the rest is dropped (1mb)")
]

/** Limits as flags give them: by the flag's name. */
export type LimitFlags = { readonly [flag: string]: string | undefined }

/** Changes to the default limits. */
export type LimitChanges = Partial<typeof Limits.Type>

/** The setting of a flag in the environment. */
export const envName = (flag: string): string => `EXECUTOR_${flag.toUpperCase().replaceAll("-", "_")}`

/** The setting of a flag in the file. */
export const fileName = (flag: string): string => flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())

const readFileSettings = Effect.fnUntraced(function* (folder: string) {
  const file = dataFiles.config(folder)
  const text = yield* Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (cause) => cause
  }).pipe(
    Effect.catch((cause) =>
      Predicate.hasProperty(cause, "code") && cause.code === "ENOENT"
        ? Effect.succeed(undefined)
        : Effect.fail(new UsageError({ message: `${file} cannot be read.` }))
    )
  )
  if (text === undefined) return {}
  const parsed = yield* Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) =>
      new UsageError({ message: `${file} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
  if (!Predicate.isObject(parsed)) {
    return yield* new UsageError({ message: `${file}: expected an object of settings, such as { "cpuLimit": "2s" }` })
  }
  const names = limitSettings.map((setting) => fileName(setting.flag))
  const settings: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(parsed)) {
    if (!names.includes(name)) {
      const near = suggest(name, names)
      const advice = near.length > 0 ? `did you mean ${near.join(" or ")}?` : `there are ${names.join(", ")}`
      return yield* new UsageError({ message: `${file}: there is no setting "${name}"; ${advice}` })
    }
    if (typeof value !== "string" && typeof value !== "number") {
      return yield* new UsageError({ message: `${file}: "${name}" must be text, such as "2s" or "64mb"` })
    }
    settings[name] = String(value)
  }
  return settings
})

const parseLimit = (setting: LimitSetting, name: string, text: string): Result.Result<number | null, UsageError> => {
  if (setting.limit === "wallTimeMs" && text.trim() === "none") return Result.succeed(null)
  return Result.mapError(
    setting.parse(text),
    (expected) =>
      new UsageError({
        message: `${name}: "${text}" is not ${setting.limit === "wallTimeMs" ? `${expected}, or none` : expected}`
      })
  )
}

/** The limits that differ from the defaults, from all three places. Without a data folder no file is read. */
export const resolveLimits = Effect.fn("Settings.resolveLimits")(function* (options: {
  readonly flags: LimitFlags
  readonly env: Environment
  readonly dataFolder: string | undefined
}) {
  const { dataFolder } = options
  const file: { readonly [name: string]: string } = dataFolder === undefined ? {} : yield* readFileSettings(dataFolder)
  const changes: { [limit: string]: number | null } = {}
  for (const setting of limitSettings) {
    const sources: ReadonlyArray<readonly [name: string, text: string | undefined]> = [
      [`"${fileName(setting.flag)}" in ${dataFiles.config(dataFolder ?? "")}`, file[fileName(setting.flag)]],
      [envName(setting.flag), options.env[envName(setting.flag)] || undefined],
      [`--${setting.flag}`, options.flags[setting.flag]]
    ]
    for (const [name, text] of sources) {
      if (text === undefined) continue
      changes[setting.limit] = yield* Effect.fromResult(parseLimit(setting, name, text))
    }
  }
  return changes as LimitChanges
})
