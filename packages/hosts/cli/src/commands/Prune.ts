/**
 * The command that removes old history: `executions prune`.
 */
import { Effect, Option, Result } from "effect"
import { Command } from "effect/cli"
import { Composition } from "../Composition.ts"
import { databaseFile } from "../DatabaseLocation.ts"
import { UsageError } from "../Failure.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import { confirm } from "../Questions.ts"
import { countBeyond, describeRetention, removeBeyond, type Retention } from "../Retention.ts"
import { openFolder } from "../Target.ts"
import { formatSize, parseDuration, parseSize } from "../Units.ts"

const parseKept = (text: string): Result.Result<number, string> =>
  /^\d{1,9}$/.test(text) ? Result.succeed(Number(text)) : Result.fail("a whole number, such as 10000")

/** Each bound: its flag, how its value is read, and what it bounds. */
const bounds = [
  ["older-than", parseDuration, "keepForMs"],
  ["keep", parseKept, "keepCount"],
  ["max-size", parseSize, "keepSize"]
] as const

const parseRetention = Effect.fnUntraced(function* (input: {
  readonly [flag in (typeof bounds)[number][0]]: Option.Option<string>
}): Effect.fn.Return<Retention, UsageError> {
  const given = bounds.filter(([flag]) => Option.isSome(input[flag]))
  const [bound] = given
  if (bound === undefined || given.length > 1) {
    return yield* new UsageError({
      message: "Say what is too much: --older-than 30d, --keep 10000, or --max-size 2gb; one of them."
    })
  }
  const [flag, parse, name] = bound
  const text = Option.getOrElse(input[flag], () => "")
  const value = yield* Effect.mapError(
    Effect.fromResult(parse(text)),
    (expected) => new UsageError({ message: `--${flag}: "${text}" is not ${expected}` })
  )
  return { [name]: value }
})

const executions = (count: number): string => `${count} execution${count === 1 ? "" : "s"}`

/** What became of the space that they took in a database file. */
const giveSpaceBack = Effect.fnUntraced(function* (database: string) {
  const file = databaseFile(database)
  if (file === undefined) return ""
  return yield* Effect.match((yield* Composition).giveSpaceBack(file), {
    onSuccess: (bytes) => (bytes === 0 ? "" : ` ${formatSize(bytes)} went back to the disk.`),
    onFailure: ({ message }) => ` Their space could not be given back to the disk, and will be used again: ${message}`
  })
})

/** `executor executions prune`. */
export const prune = Command.make(
  "prune",
  {
    "older-than": Flags.textFlag("older-than", "duration", "Remove executions that ended longer ago: 30d, 12h"),
    keep: Flags.textFlag("keep", "count", "Remove all but this many that ended last"),
    "max-size": Flags.textFlag(
      "max-size",
      "size",
      "Remove those that ended first until the others take at most this, such as 2gb; what they hold is counted, not the file"
    ),
    yes: Flags.switchFlag("yes", "Do not ask first"),
    dryRun: Flags.switchFlag("dry-run", "Only say how many would be removed"),
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const retention = yield* parseRetention(input)
    const { canAsk, stderr } = yield* Output.Output
    if (!input.yes && !input.dryRun && !canAsk) {
      return yield* new UsageError({
        message: "Nobody is here to be asked: say --yes to remove, or --dry-run to look."
      })
    }
    const { database, parts } = yield* openFolder("prune works on")
    const kept = describeRetention(retention)
    const found = yield* Effect.mapError(countBeyond(parts, retention), ({ message }) => new UsageError({ message }))
    const report = (removed: number, text: string) =>
      input.json ? Output.json(JSON.stringify({ found, removed })) : Output.result(text)
    if (found === 0) return yield* report(0, `Nothing to remove. What is kept: ${kept}.`)
    if (input.dryRun)
      return yield* report(
        0,
        `${executions(found)} would be removed (what forks came from stays with them). Kept would be ${kept}.`
      )
    if (!input.yes) {
      const question = `Remove ${executions(found)} with their tool calls and questions, and keep ${kept}?`
      if (!(yield* confirm(question))) return yield* report(0, "Nothing was removed.")
    }
    const progress = (count: number) =>
      stderr.isTerminal ? stderr.write(`\r\u001b[2KRemoved ${count} of ${found}`) : Effect.void
    const clear = stderr.isTerminal ? stderr.write("\r\u001b[2K") : Effect.void
    const removed = yield* Effect.ensuring(removeBeyond(parts.executor, retention, progress), clear)
    const freed = yield* giveSpaceBack(database)
    const origins = removed < found ? ` ${executions(found - removed)} stayed: forks that are kept came from them.` : ""
    yield* report(removed, `Removed ${executions(removed)}.${origins}${freed} What is kept: ${kept}.`)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Remove executions from the history of the data folder, with all that belongs to them. Those that have not ended stay, as do those that kept forks came from. " +
      "At a terminal it asks first."
  ),
  Command.withShortDescription("Remove old history"),
  Command.withExamples([
    { command: "executor executions prune --older-than 30d --dry-run", description: "How many are that old" },
    { command: "executor executions prune --keep 10000 --yes", description: "Keep those that ended last" },
    { command: "executor executions prune --max-size 2gb --yes", description: "Keep what ended last, up to this" }
  ])
)
