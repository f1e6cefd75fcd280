/**
 * The command that looks whether everything is as it should be: `doctor`.
 */
import type { Source } from "@executor/sdk"
import { Effect, Result } from "effect"
import { Command } from "effect/cli"
import { access, constants, stat, statfs } from "node:fs/promises"
import { dirname } from "node:path"
import { Composition, type DatabaseReport } from "../Composition.ts"
import { databaseFile, locateDatabase, shownDatabase } from "../DatabaseLocation.ts"
import { canBeMade, type Environment } from "../DataFolder.ts"
import { exitCodes, ExitStatus, UsageError } from "../Failure.ts"
import * as Flags from "../Flags.ts"
import type { LocalParts } from "../LocalBackend.ts"
import * as Output from "../Output.ts"
import { Process } from "../Process.ts"
import { describeRetention } from "../Retention.ts"
import {
  resolveAdmission,
  resolveInDoubt,
  resolveLimits,
  resolveRetention,
  resolveSourceLimits,
  retentionSettings
} from "../Settings.ts"
import { dataFolderOf, serverOf } from "../Target.ts"
import { neutraliseLine, plural } from "../Text.ts"
import { formatSize } from "../Units.ts"
import { describeOmitted } from "./Catalog.ts"
import { type Check, note, ok, problem } from "./Check.ts"
import { checkDropped, checkHistory, checkServers, findFaulty } from "./HistoryChecks.ts"

/** The oldest Node that the database driver works on. */
const oldestNode = [22, 19] as const

const checkNode = (): Check => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
    ? ok("node", process.versions.node)
    : problem("node", `${process.versions.node}; ${oldestNode.join(".")} or newer is needed`)
}

const isWritable = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    access(path, constants.W_OK).then(
      () => true,
      () => false
    )
  )

const checkFolder = Effect.fnUntraced(function* (folder: string) {
  const stats = yield* Effect.promise(() => stat(folder).catch(() => undefined))
  if (stats === undefined) {
    return (yield* Effect.promise(() => canBeMade(folder)))
      ? note("data folder", `${folder} is not there yet; the first command makes it`)
      : problem("data folder", `${folder} is not there, and this user cannot make it`)
  }
  if (!stats.isDirectory()) return problem("data folder", `${folder} is no folder`)
  if (!(yield* isWritable(folder))) return problem("data folder", `${folder} cannot be written to by this user`)
  const mode = (stats.mode & 0o777).toString(8).padStart(4, "0")
  return (stats.mode & 0o077) === 0 || process.platform === "win32"
    ? ok("data folder", `${folder}, mode ${mode}`)
    : problem("data folder", `${folder} can be entered by others (mode ${mode}): chmod 700 '${folder}'`)
})

const checkSettings = (folder: string, env: Environment) =>
  Effect.all([
    resolveLimits({ flags: {}, env, dataFolder: folder }),
    resolveAdmission({ flags: {}, env, dataFolder: folder }),
    resolveInDoubt({ flags: {}, env, dataFolder: folder }),
    resolveSourceLimits({ flags: {}, env, dataFolder: folder })
  ]).pipe(
    Effect.map((changes) => Object.assign({}, ...changes) as object),
    Effect.match({
      onSuccess: (changes) =>
        ok("settings", Object.keys(changes).length === 0 ? "all defaults" : `changed: ${JSON.stringify(changes)}`),
      onFailure: (error) => problem("settings", error.message)
    })
  )

const checkSource = (parts: LocalParts, start: boolean) => (source: Source) => {
  const name = `source ${source.namespace}`
  if (!start || source.kind === "static") {
    return Effect.succeed(ok(name, `${plural(source.toolCount, "tool", "tools")}; ${source.description}`))
  }
  return parts.executor.sources.refresh(source.namespace).pipe(
    Effect.match({
      onSuccess: ({ notes = [], omitted = [], toolCount }) => {
        const said = [`starts, ${plural(toolCount, "tool", "tools")}`, ...notes]
        return omitted.length === 0
          ? ok(name, said.join("; "))
          : note(name, `${said.join("; ")}; left out: ${describeOmitted(omitted).join("; ")}`)
      },
      onFailure: (error) => problem(name, error.message)
    })
  )
}

const checkRetention = (folder: string, env: Environment) =>
  resolveRetention({ flags: {}, env, dataFolder: folder }).pipe(
    Effect.match({
      onSuccess: (retention) =>
        ok(
          "retention",
          `${describeRetention(retention)} is kept, unless serve is started with ` +
            `${retentionSettings.map(({ flag }) => `--${flag}`).join(" or ")}`
        ),
      onFailure: (error) => problem("retention", error.message)
    })
  )

const sizeOf = (file: string): Effect.Effect<number | undefined> =>
  Effect.promise(() =>
    stat(file).then(
      ({ size }) => size,
      () => undefined
    )
  )

/** The database as it is before it is opened, which brings it up to date. */
const checkIntegrity = (database: string, report: DatabaseReport, logBytes: number | undefined): Check => {
  const shown = shownDatabase(database)
  if (report.damage !== undefined) return problem("database", `${shown} is damaged: ${report.damage}`)
  const log = logBytes === undefined ? "" : ` and ${formatSize(logBytes)} of write-ahead log`
  return ok("database", `${shown}, ${formatSize(report.sizeBytes)}${log}, integrity ok: ${report.checked}`)
}

/** Opening has applied what was pending; it is refused where a newer version had written the database. */
const checkMigrations = ({ pendingMigrations: pending }: DatabaseReport): Check =>
  pending.length === 0
    ? ok("migrations", "none is pending")
    : ok("migrations", `${plural(pending.length, "was", "were")} pending, and applied now: ${pending.join(", ")}`)

/** What a user may still write on the disk of a file. */
const freeOf = (file: string): Effect.Effect<string> =>
  Effect.promise(() =>
    statfs(dirname(file)).then(
      ({ bavail, bsize }) => `; ${formatSize(bavail * bsize)} are free on its disk`,
      () => ""
    )
  )

/** Whether the history can be written: what is written for it is taken back. */
const checkWriting = Effect.fnUntraced(function* (database: string) {
  const composition = yield* Composition
  const file = databaseFile(database)
  const free = file === undefined ? "" : yield* freeOf(file)
  return yield* Effect.match(composition.tryWrite(database), {
    onSuccess: () => ok("writing", `works${free}`),
    onFailure: ({ message }) =>
      problem("writing", `${message} Until then executions work, and their history is lost${free}`)
  })
})

/** Whether the counters of the history add up; with `repair`, they are made anew first. */
const checkCounters = Effect.fnUntraced(function* (database: string, repair: boolean) {
  const composition = yield* Composition
  const changes: Array<string> = []
  if (repair) {
    for (const { changed, table } of yield* composition.repairCounters(database)) {
      if (changed > 0) changes.push(`${plural(changed, "row", "rows")} of ${table}`)
    }
  }
  const difference = yield* composition.checkCounters(database)
  if (difference !== undefined) {
    return problem(
      "counters",
      `they tell of ${plural(difference.counted, "execution", "executions")} where ${difference.ended} have ended, so lists count wrong. ` +
        "Make them anew: executor doctor --repair"
    )
  }
  if (!repair) return ok("counters", "they add up")
  return ok(
    "counters",
    changes.length === 0 ? "made anew; nothing was different" : `made anew; wrong were ${changes.join(", ")}`
  )
})

/** What is free in a database file, and whether it can be given back to the disk; with `repair`, that is enabled. */
const checkSpace = Effect.fnUntraced(
  function* (file: string, repair: boolean) {
    const composition = yield* Composition
    const { canGiveBack, freeBytes } = yield* composition.inspectSpace(file)
    const free = `${formatSize(freeBytes)} of the file`
    if (canGiveBack) return ok("free space", `${free}; what is more than 1 mb goes back to the disk`)
    if (!repair) {
      return note(
        "free space",
        `${free}; it cannot go back to the disk. Make the file able to: executor doctor --repair`
      )
    }
    yield* composition.enableGivingBack(file)
    return ok(
      "free space",
      `${free} went back to the disk: it was written anew, and can give back by itself from now on`
    )
  },
  Effect.catch(({ message }) =>
    Effect.succeed(problem("free space", `the file could not be written anew to give it back. ${message}`))
  )
)

const checkDatabase = Effect.fnUntraced(function* (
  folder: string,
  env: Environment,
  { repair, sources }: { readonly repair: boolean; readonly sources: boolean }
) {
  const composition = yield* Composition
  const database = yield* locateDatabase(env, folder)
  const file = databaseFile(database)
  if (file !== undefined && (yield* sizeOf(file)) === undefined) {
    return [note("database", `${file} is not there yet; the first command makes it`)]
  }
  const report = yield* composition.inspectDatabase(database)
  const found = checkIntegrity(database, report, file === undefined ? undefined : ((yield* sizeOf(`${file}-wal`)) ?? 0))
  if (found.status === "problem") return [found]
  const opened = yield* Effect.result(composition.openLocal({ database, limits: {} }))
  if (Result.isFailure(opened)) return [found, problem("history", opened.failure.message)]
  const parts = opened.success
  const writing = yield* checkWriting(database)
  const space = file === undefined ? [] : [yield* checkSpace(file, repair)]
  const counters = yield* checkCounters(database, repair)
  const history = yield* checkHistory(parts, composition.sandboxBuild)
  const dropped = yield* checkDropped(parts, folder)
  const listed = yield* parts.executor.sources.list()
  const started = yield* Effect.forEach(listed, checkSource(parts, sources), { concurrency: 4 })
  return [found, checkMigrations(report), writing, ...space, counters, ...history, dropped, ...started]
}, Effect.scoped)

/** `executor doctor`. */
export const doctor = Command.make(
  "doctor",
  {
    sources: Flags.switchFlag("sources", "Start every source to see whether it works, and learn its tools anew"),
    repair: Flags.switchFlag(
      "repair",
      "Make the counters of the history anew from its rows, and an old database file able to give space back"
    ),
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const { env } = yield* Process
    const target = yield* Flags.target
    if ((yield* serverOf(target, env)) !== undefined) {
      return yield* new UsageError({
        message:
          "doctor looks at the data folder of this machine. Run it where the server runs, without --server and EXECUTOR_SERVER."
      })
    }
    const folder = dataFolderOf(target, env)
    const faulty = yield* findFaulty(folder)
    const checks: ReadonlyArray<Check> = [
      checkNode(),
      yield* checkFolder(folder),
      yield* checkSettings(folder, env),
      yield* checkRetention(folder, env),
      ...checkServers(faulty),
      ...(faulty.some(({ reason }) => reason === "moved")
        ? [note("database", "not looked at: to open it beside a server that has lost its files could damage it")]
        : yield* checkDatabase(folder, env, input).pipe(
            Effect.catch((error) => Effect.succeed([problem("database", error.message)]))
          ))
    ]
    const healthy = checks.every((check) => check.status !== "problem")
    yield* (yield* ExitStatus).set(healthy ? exitCodes.completed : exitCodes.failed)
    if (input.json) return yield* Output.json(JSON.stringify({ ok: healthy, checks }))
    const { stdout } = yield* Output.Output
    const mark = { ok: ["green", "ok     "], problem: ["red", "problem"], note: ["dim", "note   "] } as const
    const width = Math.max(...checks.map((check) => check.name.length))
    for (const { detail, name, status } of checks) {
      const [style, text] = mark[status]
      yield* Output.rendered(
        `${Output.styled(stdout, style, text)}  ${neutraliseLine(name).padEnd(width)}  ${neutraliseLine(detail)}\n`
      )
    }
  })
).pipe(
  Command.withDescription(
    "Look whether everything is as it should be: Node, the data folder, the settings, the database and its history, the sources. " +
      "Exit code 1 if something is wrong."
  ),
  Command.withShortDescription("Look for problems"),
  Command.withExamples([
    { command: "executor doctor", description: "A quick look" },
    { command: "executor doctor --sources --json", description: "Start every source too; print one JSON document" },
    {
      command: "executor doctor --repair",
      description: "Make the counters anew, and an old file able to give space back"
    }
  ])
)
