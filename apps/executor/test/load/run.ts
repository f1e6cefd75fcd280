/**
 * A load on a real server, from a fresh data folder to what is left of it: submissions that all come at once, each making writes that must
 * not be made twice.
 */
import { Effect } from "effect"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeCli, serve } from "../support.ts"
import { type DatabaseName, databases, endLeases, readExecutions, type Recorded } from "./databases.ts"
import { figuresOf, type ProcessFigures } from "./figures.ts"
import type { Answer } from "./submission.ts"
import { type HealthSeen, watchHealth } from "./health.ts"
import { answerDoubts, ask, linesOf, untilGone, untilQuiet } from "./settling.ts"
import { submitAll } from "./submitAll.ts"

const writeServer = fileURLToPath(new URL("./writeServer.ts", import.meta.url))

/** What to do. */
export interface LoadOptions {
  readonly database: DatabaseName
  readonly count: number
  /** Kills the server when a third of those whom it took have their answer, and starts another. */
  readonly kill: boolean
  /** More flags for the server. */
  readonly flags?: ReadonlyArray<string> | undefined
  /** How long what is left may take after the last answer. */
  readonly settleWithin?: `${number} seconds` | undefined
}

/** What came of it. */
export interface LoadOutcome {
  readonly answers: ReadonlyArray<Answer>
  /** From the first submission to the last answer. */
  readonly durationMs: number
  /** Whether everything came to an end. */
  readonly settled: boolean
  /** How many calls a person was asked about. */
  readonly doubts: number
  readonly executions: ReadonlyArray<Recorded>
  /** The keys of the writes that were made. */
  readonly effects: ReadonlyArray<string>
  /** Of all servers; of one that was killed, as far as it had said so. */
  readonly droppedWrites: number
  /** Of the server that got the submissions, while it had them. */
  readonly health: HealthSeen
  readonly used: ProcessFigures
}

/** Runs it. */
export const runLoad = Effect.fnUntraced(function* (options: LoadOptions) {
  const { count, flags = [], kill, settleWithin = "600 seconds" } = options
  const database = yield* databases[options.database]
  const cli = yield* makeCli(database.env)
  const effects = join(cli.folder, "effects")
  const processes = join(cli.folder, "processes")
  const command = [process.execPath, writeServer, effects, processes]
  const added = yield* cli.run(["sources", "add", "mcp", "load", "--", ...command])
  if (added.code !== 0) return yield* Effect.die(new Error(added.stderr))

  const first = yield* serve(cli, "--no-auth", ...flags)
  const watched = yield* watchHealth(first.url)
  let used: ProcessFigures | undefined
  const { answers, durationMs } = yield* submitAll({ url: first.url, count }, ({ refused, served }) => {
    if (!kill || used !== undefined || served < (count - refused) / 3) return
    used = figuresOf(first.server.child.pid)
    watched.end()
    first.server.child.kill("SIGKILL")
  })
  const health = yield* watched.stop

  let doubts = 0
  let last = first
  if (kill) {
    yield* first.server.ended
    yield* untilGone(processes)
    yield* endLeases(database, cli.folder)
    last = yield* serve(cli, "--no-auth", ...flags)
  }
  const answering = Effect.map(answerDoubts(last.url, effects), (answered) => {
    doubts += answered
  })
  const settled = yield* untilQuiet(last.url, settleWithin, kill ? answering : undefined)
  const atEnd = yield* ask<{ droppedWrites: number }>(last.url, "/health")
  used ??= figuresOf(last.server.child.pid)
  last.server.child.kill("SIGTERM")
  yield* last.server.ended
  yield* untilGone(processes)
  const executions = yield* readExecutions(database, cli.folder)
  const outcome: LoadOutcome = {
    answers,
    durationMs,
    settled,
    doubts,
    executions,
    effects: linesOf(effects),
    droppedWrites: atEnd.droppedWrites + (kill ? health.droppedWrites : 0),
    health,
    used
  }
  return outcome
})
