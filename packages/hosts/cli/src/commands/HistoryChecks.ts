/**
 * What `doctor` asks the history: how much there is, what is stuck, what waits for a person, and what could not be written.
 */
import type { ExecutionId, ExecutionStatus, ExecutionSummary, Where } from "@executor/sdk"
import { Clock, Effect } from "effect"
import { readFile } from "node:fs/promises"
import { dataFiles } from "../DataFolder.ts"
import * as HistoryFaults from "../HistoryFaults.ts"
import type { LocalParts } from "../LocalBackend.ts"
import { isGone } from "../Owner.ts"
import { plural } from "../Text.ts"
import { note, ok, problem } from "./Check.ts"

/** So many ids stand in a line. */
const maxNamed = 3

/** The first ids of many. */
const naming = (ids: ReadonlyArray<unknown>, count = ids.length): string =>
  `${ids.slice(0, maxNamed).join(", ")}${count > maxNamed ? ", …" : ""}`

/** An execution that should run, and that nobody runs. */
interface Abandoned {
  readonly id: ExecutionId
  /** The build of the sandbox that its journal is made with, as far as it is known. */
  readonly build: string
  /** How many processes in a row ended shortly after they had taken it up. */
  readonly crashes: number
}

/** Rows that say that they run, and whose process is gone. They are read in pages, oldest work being rare. */
const findAbandoned = Effect.fnUntraced(function* (parts: LocalParts) {
  const { executions, scopes } = parts.executor
  const statusFilter: ReadonlyArray<ExecutionStatus> = ["pending", "running"]
  const now = yield* Clock.currentTimeMillis
  const abandoned: Array<Abandoned> = []
  let cursor: string | undefined
  do {
    const page = yield* executions.list(scopes[0], { statusFilter, limit: 100, cursor })
    const stuck = page.executions.flatMap(({ execution }) => (isStuck(execution, now) ? execution.id : []))
    abandoned.push(...(yield* readAbandoned(parts, stuck)))
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return abandoned
})

const readAbandoned = Effect.fnUntraced(function* ({ adapter, executor }: LocalParts, ids: ReadonlyArray<ExecutionId>) {
  if (ids.length === 0) return []
  const rows = yield* adapter.find({
    table: "execution",
    select: ["id", "sandbox_build", "crashes"],
    where: {
      op: "and",
      conditions: [
        { op: "eq", column: "scope_id", value: executor.scopes[0] },
        { op: "in", column: "id", values: ids }
      ]
    }
  })
  const found = new Map(rows.map((row) => [row["id"], row]))
  return ids.flatMap((id): ReadonlyArray<Abandoned> => {
    const row = found.get(id)
    if (row === undefined) return []
    const build = String(row["sandbox_build"] ?? "one that is not recorded")
    return [{ id, build, crashes: Number(row["crashes"] ?? 0) }]
  })
})

/** The executions over which processes ended before. */
const describeCrashes = (abandoned: ReadonlyArray<Abandoned>): string => {
  const crashed = abandoned.filter(({ crashes }) => crashes > 0)
  if (crashed.length === 0) return ""
  const times = crashed.map(({ crashes, id }) => `${id} (${plural(crashes, "time", "times")})`)
  return `. Processes ended shortly after they had taken up ${naming(times)}`
}

/** What goes on in the next server, and what waits for one with the sandbox that it began in. */
const checkAbandoned = Effect.fnUntraced(function* (parts: LocalParts, sandboxBuild: Effect.Effect<string>) {
  const abandoned = yield* findAbandoned(parts)
  if (abandoned.length === 0) return [ok("abandoned executions", "none")]
  const build = yield* sandboxBuild
  const here = abandoned.filter((execution) => execution.build === build)
  const others = Map.groupBy(
    abandoned.filter((execution) => execution.build !== build),
    (execution) => execution.build
  )
  return [
    here.length === 0
      ? ok("abandoned executions", "none that this version can go on with")
      : problem(
          "abandoned executions",
          `${plural(here.length, "execution says that it goes on, but its process is", "executions say that they go on, but their processes are")} gone: ` +
            `executor serve goes on with them: ${naming(here.map(({ id }) => id))}${describeCrashes(here)}`
        ),
    ...Array.from(others, ([other, executions]) =>
      problem(
        "other builds",
        `${plural(executions.length, "execution waits", "executions wait")} for another build of the sandbox (${other}) than ` +
          `this one (${build}): start executor serve of the version with that build. Or end one with executor cancel <id>; ` +
          `executor fork <id> --any-build then takes the results of its calls: ${naming(executions.map(({ id }) => id))}`
      )
    )
  ]
})

/** Nobody runs it: its lease has run out, or its process is known to be gone. */
const isStuck = ({ leaseUntil, owner }: ExecutionSummary, now: number): boolean =>
  (leaseUntil ?? 0) <= now || isGone(owner)

/** What waits for a person, and how much of it is about calls whose effect is not known. */
const checkWaiting = Effect.fnUntraced(function* ({ adapter, executor }: LocalParts) {
  const scope = executor.scopes[0]
  const pending: Where = {
    op: "and",
    conditions: [
      { op: "eq", column: "scope_id", value: scope },
      { op: "eq", column: "status", value: "pending" }
    ]
  }
  const table = "execution_interaction"
  const waiting = yield* adapter.count({ table, where: pending })
  const aboutCalls: Where = { op: "and", conditions: [pending, { op: "eq", column: "purpose", value: "in_doubt" }] }
  const inDoubt = yield* adapter.count({ table, where: aboutCalls })
  const asking = yield* adapter.find({ table, select: ["execution_id"], where: aboutCalls, limit: maxNamed })
  const [oldest] = (yield* executor.executions.inbox(scope, { limit: 1 })).interactions
  const since = oldest === undefined ? "" : `, the oldest since ${new Date(oldest.interaction.createdAt).toISOString()}`
  return [
    waiting === 0
      ? ok("waiting", "nothing waits for a person")
      : note("waiting", `${plural(waiting, "question waits", "questions wait")} for a person${since}: executor inbox`),
    inDoubt === 0
      ? ok("in doubt", "none")
      : problem(
          "in doubt",
          `of ${plural(inDoubt, "call", "calls")} nobody knows the effect: look, and say what happened (executor inbox): ` +
            naming(
              asking.map((row) => row["execution_id"]),
              inDoubt
            )
        )
  ]
})

/** What was logged, oldest first. */
const readLog = (folder: string): Effect.Effect<string> => {
  const log = dataFiles.log(folder)
  return Effect.promise(async () =>
    (await Promise.all([`${log}.old`, log].map((file) => readFile(file, "utf8").catch(() => "")))).join("\n")
  )
}

/** What the log tells of executions whose history could not be written, perhaps not even their row. */
const incompleteInLog = (folder: string) =>
  Effect.map(readLog(folder), (log) => {
    const ids = log.matchAll(/History of execution (\S+) is incomplete/g)
    return new Set([...ids].map(([, id]) => id)).size
  })

/** Servers that live, and whose database takes no writes: only they can tell that their file is gone. */
export const findFaulty = (folder: string): Effect.Effect<ReadonlyArray<HistoryFaults.FaultyProcess>> =>
  Effect.map(readLog(folder), HistoryFaults.inLog)

export const checkServers = (faulty: ReadonlyArray<HistoryFaults.FaultyProcess>) =>
  faulty.length === 0
    ? [ok("servers", "none says that it cannot keep its history")]
    : faulty.map(({ message, owner }) =>
        problem("servers", `process ${owner.split("/")[0]} executes, and keeps no history. ${message}`)
      )

/** Writes of the history that failed. */
export const checkDropped = Effect.fnUntraced(function* ({ adapter, executor }: LocalParts, folder: string) {
  const marked = yield* adapter.count({
    table: "execution",
    where: {
      op: "and",
      conditions: [
        { op: "eq", column: "scope_id", value: executor.scopes[0] },
        { op: "eq", column: "journal_complete", value: false }
      ]
    }
  })
  const logged = yield* incompleteInLog(folder)
  if (marked === 0 && logged === 0) return ok("dropped writes", "none")
  return problem(
    "dropped writes",
    `${plural(marked, "execution has", "executions have")} an incomplete record, and ${dataFiles.log(folder)} tells of ${logged}: ` +
      "history writes failed. See there why, and the space on the disk; without the log only the former are counted"
  )
})

/** What there is, what is stuck, and what waits for a person. */
export const checkHistory = Effect.fnUntraced(function* (parts: LocalParts, sandboxBuild: Effect.Effect<string>) {
  const { adapter, executor } = parts
  const where: Where = { op: "eq", column: "scope_id", value: executor.scopes[0] }
  const groups = yield* adapter.countBy({ table: "execution", where, by: [{ column: "status" }] })
  const total = groups.reduce((sum, group) => sum + group.count, 0)
  const byStatus = groups.map((group) => `${group.count} ${group.keys[0]}`).join(", ")
  const calls = yield* adapter.count({ table: "execution_tool_call", where })
  const questions = yield* adapter.count({ table: "execution_interaction", where })
  const { executions } = yield* executor.executions.list(executor.scopes[0], {
    limit: 1,
    sort: { field: "createdAt", direction: "asc" }
  })
  const oldest = executions.map(({ execution }) => `, the oldest of ${new Date(execution.createdAt).toISOString()}`)
  return [
    ok(
      "history",
      `${plural(total, "execution", "executions")}${total === 0 ? "" : ` (${byStatus})`}, ` +
        `${plural(calls, "tool call", "tool calls")}, ${plural(questions, "question", "questions")}${oldest.join("")}`
    ),
    ...(yield* checkAbandoned(parts, sandboxBuild)),
    ...(yield* checkWaiting(parts))
  ]
})
