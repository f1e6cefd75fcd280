/**
 * Settings that may come from a flag, the environment, or `config.json` in the data folder; the first that is there wins.
 *
 * Each limit of an execution is one setting with three spellings: `--cpu-limit 2s`, `EXECUTOR_CPU_LIMIT=2s`, and
 * `"cpuLimit": "2s"` in the file. A value that cannot be read is refused by the name it was given under, even where another
 * source would win: a typing error must not hide behind a flag.
 */
import type { Admission, ExecutionEngineOptions } from "@executor/execution"
import type { LimitName, Limits } from "@executor/kernel"
import { Effect, Predicate, Result } from "effect"
import { readFile } from "node:fs/promises"
import { dataFiles, type Environment } from "./DataFolder.ts"
import { UsageError } from "./Failure.ts"
import { suggest } from "./SchemaShape.ts"
import type { Retention } from "./Retention.ts"
import { parseCount, parseDuration, parseSize } from "./Units.ts"

type Parser<V> = (text: string) => Result.Result<V, string>

/** One setting: what it is for, and how it is written. */
interface Setting<V = number> {
  readonly flag: string
  readonly parse: Parser<V>
  readonly metavar: string
  readonly description: string
}

/** One limit as a setting. */
export interface LimitSetting extends Setting {
  readonly limit: LimitName
}

const setting = (
  limit: LimitName,
  flag: string,
  parse: Parser<number>,
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

/** How much history a server keeps, as settings. */
export const retentionSettings: ReadonlyArray<Setting & { readonly bound: keyof Retention }> = [
  {
    bound: "keepForMs",
    flag: "retain-for",
    parse: parseDuration,
    metavar: "duration",
    description: "Remove executions that ended longer ago, such as 30d (never)"
  },
  {
    bound: "keepCount",
    flag: "retain-count",
    parse: parseCount,
    metavar: "count",
    description: "Remove all executions but this many that ended last (none)"
  },
  {
    bound: "keepSize",
    flag: "retain-size",
    parse: parseSize,
    metavar: "size",
    description: "Remove what ended first while the history takes more, such as 2gb (never)"
  }
]

/** How much goes on at once in a server, as settings. */
export const admissionSettings: ReadonlyArray<Setting & { readonly bound: keyof Admission.AdmissionOptions }> = [
  {
    bound: "concurrentExecutions",
    flag: "concurrent-executions",
    parse: parseCount,
    metavar: "count",
    description: "Executions under way at once; more wait in line (64)"
  },
  {
    bound: "queuedExecutions",
    flag: "queued-executions",
    parse: parseCount,
    metavar: "count",
    description: "Submissions that wait in line; more are refused (1000)"
  }
]

/** How an MCP server treats its client. */
export interface McpSettings {
  readonly whenClientLeaves?: "keep" | "cancel"
  readonly messageBytes?: number
}

const oneOf =
  (...words: ReadonlyArray<string>): Parser<string> =>
  (text) =>
    words.includes(text) ? Result.succeed(text) : Result.fail(words.join(" or "))

/** How an MCP server treats its client, as settings. */
export const mcpSettings: ReadonlyArray<Setting<number | string> & { readonly bound: keyof McpSettings }> = [
  {
    bound: "whenClientLeaves",
    flag: "when-client-leaves",
    parse: oneOf("keep", "cancel"),
    metavar: "keep|cancel",
    description: "What becomes of an execution that waits for a person when its client gives up (keep)"
  },
  {
    bound: "messageBytes",
    flag: "message-limit",
    parse: parseSize,
    metavar: "size",
    description: "The largest message of a client; a larger one is refused (16mb)"
  }
]

/** What becomes of calls whose outcome nobody knows. */
export type InDoubt = Pick<ExecutionEngineOptions, "inDoubt">

/** What becomes of calls whose outcome nobody knows, as a setting. */
export const inDoubtSettings: ReadonlyArray<Setting<string> & { readonly bound: keyof InDoubt }> = [
  {
    bound: "inDoubt",
    flag: "in-doubt",
    parse: oneOf("ask", "repeat", "fail"),
    metavar: "ask|repeat|fail",
    description:
      "What becomes of calls whose outcome is not known and that are not safe to repeat: ask a person, call again, or end the execution (ask)"
  }
]

/** Limits of the servers of sources, in milliseconds. */
export interface SourceLimits {
  readonly startTimeoutMillis?: number
  readonly callTimeoutMillis?: number
  readonly idleTimeoutMillis?: number
  readonly maxProcesses?: number
}

/** Limits of servers as settings: as flags for one source, in the environment and the file for all that have none of their own. */
export const sourceSettings: ReadonlyArray<Setting & { readonly bound: keyof SourceLimits }> = [
  {
    bound: "startTimeoutMillis",
    flag: "start-timeout",
    parse: parseDuration,
    metavar: "duration",
    description: "Time to start, and to list tools (30s; with npx and the like 5m, and more while it prints something)"
  },
  {
    bound: "callTimeoutMillis",
    flag: "call-timeout",
    parse: parseDuration,
    metavar: "duration",
    description: "Time of a call, without a person's thinking time (5m)"
  },
  {
    bound: "idleTimeoutMillis",
    flag: "idle-timeout",
    parse: parseDuration,
    metavar: "duration",
    description: "End the program when it is not called for so long; the next call starts it again (1h)"
  },
  {
    bound: "maxProcesses",
    flag: "max-processes",
    parse: parseCount,
    metavar: "count",
    description:
      "Further processes of the program while questions are open at others; 1 for a server that keeps state (8)"
  }
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
  const names = [
    ...limitSettings,
    ...retentionSettings,
    ...admissionSettings,
    ...inDoubtSettings,
    ...mcpSettings,
    ...sourceSettings
  ].map(({ flag }) => fileName(flag))
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

/** Where values come from: flags by their names, the environment, and the file of a data folder if there is one. */
interface Places {
  readonly flags: LimitFlags
  readonly env: Environment
  readonly dataFolder: string | undefined
}

/** The values that are set, from all three places, under what `keyOf` calls each setting. */
const resolveSettings = Effect.fnUntraced(function* <S extends Setting<unknown>>(
  settings: ReadonlyArray<S>,
  keyOf: (setting: S) => string,
  parse: (setting: S, text: string) => Result.Result<unknown, string>,
  { dataFolder, env, flags }: Places
) {
  const file: { readonly [name: string]: string } = dataFolder === undefined ? {} : yield* readFileSettings(dataFolder)
  const changes: { [key: string]: unknown } = {}
  for (const setting of settings) {
    const sources: ReadonlyArray<readonly [name: string, text: string | undefined]> = [
      [`"${fileName(setting.flag)}" in ${dataFiles.config(dataFolder ?? "")}`, file[fileName(setting.flag)]],
      [envName(setting.flag), env[envName(setting.flag)] || undefined],
      [`--${setting.flag}`, flags[setting.flag]]
    ]
    for (const [name, text] of sources) {
      if (text === undefined) continue
      const refused = (expected: string) => new UsageError({ message: `${name}: "${text}" is not ${expected}` })
      changes[keyOf(setting)] = yield* Effect.mapError(Effect.fromResult(parse(setting, text)), refused)
    }
  }
  return changes
})

const parseLimit = ({ limit, parse }: LimitSetting, text: string): Result.Result<number | null, string> => {
  if (limit !== "wallTimeMs") return parse(text)
  return text.trim() === "none" ? Result.succeed(null) : Result.mapError(parse(text), (what) => `${what}, or none`)
}

/** The limits that differ from the defaults. Without a data folder no file is read. */
export const resolveLimits = (places: Places): Effect.Effect<LimitChanges, UsageError> =>
  Effect.map(
    resolveSettings(limitSettings, (setting) => setting.limit, parseLimit, places),
    (changes) => changes as LimitChanges
  )

/** The bounds that are set, under their names. */
const resolveBounds = <A>(
  settings: ReadonlyArray<Setting<unknown> & { readonly bound: string & keyof A }>,
  places: Places
): Effect.Effect<A, UsageError> =>
  Effect.map(
    resolveSettings(
      settings,
      (setting) => setting.bound,
      (setting, text) => setting.parse(text),
      places
    ),
    (changes) => changes as A
  )

/** How much history is kept; without any of these settings everything. */
export const resolveRetention = (places: Places): Effect.Effect<Retention, UsageError> =>
  resolveBounds(retentionSettings, places)

/** How much goes on at once, as far as it is not the default. */
export const resolveAdmission = (places: Places): Effect.Effect<Admission.AdmissionOptions, UsageError> =>
  resolveBounds(admissionSettings, places)

/** What becomes of calls whose outcome nobody knows, if it is not the default. */
export const resolveInDoubt = (places: Places): Effect.Effect<InDoubt, UsageError> =>
  resolveBounds(inDoubtSettings, places)

/** How an MCP server treats its client, as far as it is not the default. */
export const resolveMcp = (places: Places): Effect.Effect<McpSettings, UsageError> => resolveBounds(mcpSettings, places)

/** The limits of servers that are set. */
export const resolveSourceLimits = (places: Places): Effect.Effect<SourceLimits, UsageError> =>
  resolveBounds(sourceSettings, places)
