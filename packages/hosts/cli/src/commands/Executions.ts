/**
 * The commands about history: `executions list`, `get` and `tool-calls`.
 */
import { readJson } from "@executor/kernel"
import { type ElicitationRequest, type ExecutionSummary, maxListLimit } from "@executor/sdk"
import { Effect, Option, Predicate } from "effect"
import { Argument, Command } from "effect/cli"
import { UsageError } from "../Failure.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import { Process } from "../Process.ts"
import { questionText, valueText } from "../Report.ts"
import { printTable } from "../Table.ts"
import { open } from "../Target.ts"
import { neutralise } from "../Text.ts"
import { formatDuration } from "../Units.ts"
import { exportCommand, importCommand } from "./Archive.ts"
import { parseLimit } from "./Catalog.ts"
import { parseId } from "./Execute.ts"
import { prune } from "./Prune.ts"
import { defined, filterFlags, parseFilters } from "./HistoryFilters.ts"

const opened = Effect.gen(function* () {
  const { env } = yield* Process
  return (yield* open(yield* Flags.target, env)).backend
})

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z")

const duration = (ms: number | null): string => (ms === null ? "" : formatDuration(ms))

const parseSort = Effect.fnUntraced(function* (text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const match = /^(createdAt|durationMs)(?::(asc|desc))?$/.exec(text.value)
  const [, field, direction = "desc"] = match ?? []
  if ((field === "createdAt" || field === "durationMs") && (direction === "asc" || direction === "desc")) {
    return { field, direction } as const
  }
  return yield* new UsageError({
    message: `--sort: "${text.value}" is not createdAt or durationMs, with :asc or :desc after it`
  })
})

const list = Command.make(
  "list",
  {
    ...filterFlags,
    sort: Flags.textFlag("sort", "field", "createdAt or durationMs, with :asc or :desc (createdAt:desc)"),
    limit: Flags.textFlag("limit", "count", `How many at most, up to ${maxListLimit} (25)`),
    cursor: Flags.textFlag("cursor", "cursor", "Go on where another page ended; with the same filters and --sort"),
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const options = defined({
      limit: yield* parseLimit(input.limit, maxListLimit),
      cursor: Option.getOrUndefined(input.cursor),
      ...(yield* parseFilters(input)),
      sort: yield* parseSort(input.sort)
    })
    const page = yield* (yield* opened).listExecutions(options)
    if (input.json) {
      return yield* Output.json(JSON.stringify({ executions: page.executions, nextCursor: page.nextCursor }))
    }
    if (page.executions.length === 0) return yield* Output.notice("No executions.")
    yield* printTable<ExecutionSummary>(
      [
        { header: "ID", value: (execution) => execution.id },
        { header: "STATUS", value: (execution) => execution.status },
        { header: "TRIGGER", value: (execution) => execution.triggerKind ?? "unknown", dispensable: 4 },
        { header: "CREATED", value: (execution) => time(execution.createdAt), dispensable: 2 },
        { header: "DURATION", value: (execution) => duration(execution.durationMs), align: "right", dispensable: 1 },
        { header: "CALLS", value: (execution) => String(execution.toolCallCount), align: "right", dispensable: 3 },
        { header: "CODE", value: (execution) => execution.codePreview, flexible: true }
      ],
      page.executions.map((entry) => entry.execution)
    )
    if (page.nextCursor !== undefined) yield* Output.notice(`There are more: --cursor ${page.nextCursor}`)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "List executions, newest first. All filters must hold; values of one filter are alternatives, repeated or with commas " +
      "between them (a comma in a value is written \\,). Put ! and * in quotes: a shell takes them for itself."
  ),
  Command.withAlias("ls"),
  Command.withExamples([
    { command: "executor executions list --status failed --from 2026-11-01", description: "What failed since" },
    {
      command: "executor executions list --tool 'github.*' --sort durationMs --json",
      description: "The slowest that used a source"
    },
    {
      command: "executor executions list --query 'rate limit' --status '!completed'",
      description: "What was stopped by a rate limit"
    }
  ])
)

const id = Argument.String("id").pipe(Argument.withDescription("The execution's id"))

const section = (title: string, text: string): string => `${title}:\n${neutralise(text).trimEnd().replace(/^/gm, "  ")}`

const logLines = (logsJson: string): string => {
  const logs: ReadonlyArray<{ readonly level: string; readonly message: string }> = JSON.parse(logsJson)
  return logs.map(({ level, message }) => `${level}: ${message}`).join("\n")
}

/** What is known of the trigger, a line for each fact. */
const triggerFacts = (metaJson: string | null): ReadonlyArray<readonly [name: string, value: string]> => {
  const meta: unknown = metaJson === null ? undefined : JSON.parse(metaJson)
  if (!Predicate.isObject(meta)) return metaJson === null ? [] : [["Meta", metaJson]]
  return Object.entries(meta).map(([key, value]) => {
    const name = `${key.slice(0, 1).toUpperCase()}${key.slice(1)}`
    if (key === "client" && Predicate.isObject(value) && Predicate.hasProperty(value, "name")) {
      return [
        name,
        `${String(value.name)} ${Predicate.hasProperty(value, "version") ? String(value.version) : ""}`.trim()
      ]
    }
    return [name, typeof value === "string" ? value : JSON.stringify(value)]
  })
}

const get = Command.make(
  "get",
  { id, json: Flags.json },
  Effect.fn(function* (input) {
    const executionId = yield* parseId(input.id)
    const backend = yield* opened
    const { execution, pendingInteraction } = yield* backend.getExecution(executionId)
    const interactions = yield* backend.listInteractions(executionId)
    if (input.json) return yield* Output.json(JSON.stringify({ execution, pendingInteraction, interactions }))
    const { stdout } = yield* Output.Output
    const facts = [
      ["Status", execution.status],
      ...(execution.parentExecutionId === null ? [] : [["Parent", execution.parentExecutionId]]),
      ["Trigger", execution.triggerKind ?? "unknown"],
      ...triggerFacts(execution.triggerMetaJson),
      ["Created", time(execution.createdAt)],
      ["Duration", duration(execution.durationMs)],
      ["Tool calls", String(execution.toolCallCount)],
      ["Questions", String(execution.interactionCount)]
    ]
    const parts = [
      Output.styled(stdout, "bold", neutralise(execution.id)),
      facts
        .map(([name = "", value = ""]) => `${neutralise(name).padEnd(12)} ${neutralise(value)}`.trimEnd())
        .join("\n"),
      section("Code", execution.code),
      ...(execution.resultJson === null ? [] : [section("Result", valueText(execution.resultJson))]),
      ...(execution.errorText === null ? [] : [section("Error", execution.errorText)]),
      ...(execution.logsJson === null || execution.logsJson === "[]"
        ? []
        : [section("Logs", logLines(execution.logsJson))]),
      ...interactions.map((interaction) =>
        section(
          `Question ${interaction.id} (${interaction.status}${interaction.responseJson === null ? "" : ` ${interaction.responseJson}`}${interaction.resolvedBy === null ? "" : ` by ${neutralise(interaction.resolvedBy)}`})`,
          questionText(readJson(interaction.payloadJson) as ElicitationRequest)
        )
      )
    ]
    yield* Output.rendered(`${parts.join("\n\n")}\n`)
  }, Effect.scoped)
).pipe(
  Command.withDescription("Show one execution with its code, result and questions."),
  Command.withExamples([{ command: "executor executions get <id>", description: "Show one execution" }])
)

const toolCalls = Command.make(
  "tool-calls",
  { id, json: Flags.json },
  Effect.fn(function* (input) {
    const calls = yield* (yield* opened).listToolCalls(yield* parseId(input.id))
    if (input.json) return yield* Output.json(JSON.stringify({ toolCalls: calls }))
    if (calls.length === 0) return yield* Output.notice("No tool calls.")
    yield* printTable(
      [
        { header: "SEQ", value: (call) => String(call.seq), align: "right" },
        { header: "TOOL", value: (call) => call.toolPath },
        { header: "STATUS", value: (call) => call.status },
        { header: "DURATION", value: (call) => duration(call.durationMs), align: "right", dispensable: 1 },
        { header: "ARGUMENTS", value: (call) => call.argsJson ?? "", flexible: true },
        { header: "OUTCOME", value: (call) => call.errorText ?? call.resultJson ?? "", flexible: true }
      ],
      calls
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("List the tool calls of an execution, in the order in which they were made."),
  Command.withExamples([
    { command: "executor executions tool-calls <id> --json", description: "With whole arguments and results" }
  ])
)

/** `executor executions`. */
export const executions = Command.make("executions").pipe(
  Command.withDescription("Read the history: executions with their tool calls and questions."),
  Command.withShortDescription("Read the history"),
  Command.withAlias("runs"),
  Command.withExamples([
    { command: "executor executions list", description: "The newest" },
    { command: "executor executions tool-calls <id>", description: "What one did" }
  ]),
  Command.withSubcommands([list, get, toolCalls, exportCommand, importCommand, prune])
)
