/**
 * The commands that take the history out of a database and put it into another: `executions export` and `import`.
 */
import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { createReadStream } from "node:fs"
import * as Flags from "../Flags.ts"
import { importHistory } from "../Import.ts"
import * as Output from "../Output.ts"
import { writeFile } from "../OutputFile.ts"
import { Process } from "../Process.ts"
import { open, openFolder } from "../Target.ts"
import { neutralise, neutraliseJson, plural } from "../Text.ts"
import { formatSize } from "../Units.ts"
import { filterFlags, parseFilters } from "./HistoryFilters.ts"

/** Prints what is exported: as it is for a program, and safe to look at on a terminal. */
const print = Effect.fnUntraced(function* <E>(bytes: Stream.Stream<Uint8Array, E>, format: "jsonl" | "csv") {
  const { stdout } = yield* Output.Output
  const safe = format === "csv" ? neutralise : neutraliseJson
  yield* bytes.pipe(
    Stream.decodeText,
    Stream.takeWhile(() => stdout.isOpen),
    Stream.runForEach((text) => stdout.write(stdout.isTerminal ? safe(text) : text))
  )
})

/** `executor executions export`. */
export const exportCommand = Command.make(
  "export",
  {
    format: Flag.Literals("format", ["jsonl", "csv"]).pipe(
      Flag.withMetavar("format"),
      Flag.withDescription("jsonl: everything, a record a line; csv: a line an execution, without calls (jsonl)"),
      Flag.withDefault("jsonl")
    ),
    output: Flags.textFlag(
      "output",
      "file",
      "Write to this file, in the place of one that is there, instead of stdout"
    ),
    ...filterFlags
  },
  Effect.fn(function* (input) {
    const { env } = yield* Process
    const filters = yield* parseFilters(input)
    const { backend } = yield* open(yield* Flags.target, env)
    const bytes = backend.exportExecutions(filters, input.format)
    if (Option.isNone(input.output)) return yield* print(bytes, input.format)
    const size = yield* writeFile(input.output.value, bytes)
    yield* Output.notice(`Wrote ${formatSize(size)} to ${input.output.value}`)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Export the history, oldest first: executions with their tool calls and questions as JSON Lines, which import reads back, " +
      "or executions as comma-separated values. What people typed in answer to questions is not exported."
  ),
  Command.withShortDescription("Export the history"),
  Command.withExamples([
    { command: "executor executions export --output history.jsonl", description: "All of it" },
    {
      command: "executor executions export --format csv --status failed --from 2026-11-01 --output failed.csv",
      description: "What failed since, for a spreadsheet"
    }
  ])
)

/** `executor executions import`. */
export const importCommand = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("What export wrote as JSON Lines; - for standard input")
    ),
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const { openStdin } = yield* Process
    const { parts } = yield* openFolder("import writes to")
    const source = input.file === "-" ? openStdin() : createReadStream(input.file, { highWaterMark: 256 * 1024 })
    const imported = yield* importHistory(parts.executor, source, input.file === "-" ? "standard input" : input.file)
    if (input.json) return yield* Output.json(JSON.stringify(imported))
    const { executions, existing, interactions, toolCalls, unfinished } = imported
    const facts = [
      `Imported ${plural(executions, "execution")}, ${plural(toolCalls, "tool call")} and ${plural(interactions, "question")}.`,
      ...(existing === 0
        ? []
        : [`${plural(existing, "execution was", "executions were")} there already and left as they are.`]),
      ...(unfinished === 0
        ? []
        : [
            `${plural(unfinished, "execution", "executions")} had not ended and ${unfinished === 1 ? "was" : "were"} left out: only their own database can go on with them.`
          ])
    ]
    yield* Output.result(facts.join("\n"))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Read an export (JSON Lines) back into the data folder. Every line is checked. Executions that are there already are left as " +
      "they are, so it can be run again after an interruption; those that had not ended are left out."
  ),
  Command.withShortDescription("Read an export back"),
  Command.withExamples([
    { command: "executor executions import history.jsonl", description: "From a file" },
    {
      command: "executor --server http://10.0.0.7:4788 executions export | executor executions import -",
      description: "From a server"
    }
  ])
)
