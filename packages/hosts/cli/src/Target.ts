/**
 * Where a command does its work: on the data folder, or on a server.
 */
import { Effect, Option } from "effect"
import { userInfo } from "node:os"
import type { Backend } from "./Backend.ts"
import { Composition } from "./Composition.ts"
import { locateDatabase } from "./DatabaseLocation.ts"
import { dataFiles, ensure, type Environment, locate } from "./DataFolder.ts"
import { UsageError } from "./Failure.ts"
import { type Caller, make as makeLocal } from "./LocalBackend.ts"
import { target as targetFlags } from "./Flags.ts"
import { Process } from "./Process.ts"
import { type LimitChanges, type LimitFlags, resolveInDoubt, resolveLimits, resolveSourceLimits } from "./Settings.ts"
import { prepare } from "./WithoutHistory.ts"

/** The flags that every command has. */
export interface TargetFlags {
  readonly dataDir: Option.Option<string>
  readonly server: Option.Option<string>
  readonly token: Option.Option<string>
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** The address of the server, if one is to be used. */
export const serverOf = Effect.fnUntraced(function* (flags: TargetFlags, env: Environment) {
  const text = Option.getOrUndefined(flags.server) ?? env["EXECUTOR_SERVER"]
  if (text === undefined || text === "") return undefined
  const name = Option.isSome(flags.server) ? "--server" : "EXECUTOR_SERVER"
  const url = URL.parse(text)
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:") || url.username !== "") {
    return yield* new UsageError({ message: `${name}: "${text}" is not an address such as http://127.0.0.1:4788` })
  }
  return url
})

/** The data folder of the command. */
export const dataFolderOf = (flags: TargetFlags, env: Environment): string =>
  locate(Option.getOrUndefined(flags.dataDir), env)

const userName = (): string | undefined => {
  try {
    return userInfo().username
  } catch {
    // A user id without an entry in the password file, as in some containers.
    return undefined
  }
}

/** Opens the data folder for a command that works on nothing else; `what` begins the sentence that refuses a server. */
export const openFolder = Effect.fnUntraced(function* (what: string) {
  const { env } = yield* Process
  const flags = yield* targetFlags
  if ((yield* serverOf(flags, env)) !== undefined) {
    return yield* new UsageError({
      message: `${what} the data folder of this machine. Run it where the server runs, without --server and EXECUTOR_SERVER.`
    })
  }
  const dataFolder = dataFolderOf(flags, env)
  yield* ensure(dataFolder)
  const limits = yield* resolveLimits({ flags: {}, env, dataFolder })
  const database = yield* locateDatabase(env, dataFolder)
  const parts = yield* (yield* Composition).openLocal({ database, limits })
  return { parts, dataFolder, database }
})

/** What a command gets to work with. */
export interface Opened {
  readonly backend: Backend["Service"]
  /** The address to repeat in advice, where a server was named by flag. */
  readonly server: string | undefined
  /** The folder to repeat in advice, where it was named by flag. */
  readonly dataDir: string | undefined
  /** Changes to send along with a submission. */
  readonly limits: LimitChanges
  /** `false` where what runs here is not recorded. */
  readonly keepsHistory: boolean
  readonly logFile: string
}

/** What a command opens the backend for. */
export interface OpenOptions {
  readonly limitFlags?: LimitFlags | undefined
  readonly inDoubtFlags?: LimitFlags | undefined
  /** It runs code, and does so without a history where that cannot be kept; any other command is about what is stored. */
  readonly runsCode?: boolean | undefined
}

/** Opens the backend that the flags and the environment name. */
export const open = Effect.fn("Target.open")(function* (
  flags: TargetFlags,
  env: Environment,
  { inDoubtFlags = {}, limitFlags = {}, runsCode = false }: OpenOptions = {}
) {
  const composition = yield* Composition
  const dataFolder = dataFolderOf(flags, env)
  const logFile = dataFiles.log(dataFolder)
  const caller: Caller = { version: composition.version, user: userName(), logFile }
  const url = yield* serverOf(flags, env)
  if (url === undefined) {
    const prepared = runsCode ? yield* prepare(dataFolder, "This execution is") : undefined
    if (prepared === undefined) yield* ensure(dataFolder)
    const settings = prepared === undefined ? dataFolder : prepared.settings
    const limits = yield* resolveLimits({ flags: limitFlags, env, dataFolder: settings })
    const sourceLimits = yield* resolveSourceLimits({ flags: {}, env, dataFolder: settings })
    const durability = yield* resolveInDoubt({ flags: inDoubtFlags, env, dataFolder: settings })
    const database = yield* locateDatabase(env, dataFolder)
    const withoutHistory = prepared?.withoutHistory
    const parts = yield* composition.openLocal({ database, limits, sourceLimits, durability, withoutHistory })
    const { keepsHistory } = parts
    const opened: Opened = {
      backend: makeLocal(parts, caller),
      server: undefined,
      dataDir: Option.getOrUndefined(flags.dataDir),
      limits: {},
      keepsHistory,
      logFile
    }
    return opened
  }
  const limits = yield* resolveLimits({ flags: limitFlags, env, dataFolder: undefined })
  const given = Option.getOrUndefined(flags.token) ?? (env["EXECUTOR_TOKEN"] || undefined)
  const token = given ?? (loopback.test(url.hostname) ? yield* composition.readToken(dataFolder) : undefined)
  const { make } = yield* Effect.promise(() => import("./RemoteBackend.ts"))
  const opened: Opened = {
    backend: yield* make({ url: url.href, token, caller }),
    server: Option.getOrUndefined(flags.server),
    dataDir: undefined,
    limits,
    keepsHistory: true,
    logFile
  }
  return opened
})
