/**
 * The commands about tools and where they come from: `search`, `describe` and `sources`.
 */
import type { OmittedTool, Source } from "@executor/sdk"
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { resolve } from "node:path"
import { UsageError } from "../Failure.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import { Process } from "../Process.ts"
import { withOpening } from "../Progress.ts"
import { resolveSourceLimits } from "../Settings.ts"
import { printTable } from "../Table.ts"
import { open } from "../Target.ts"
import { neutralise, neutraliseLine, plural } from "../Text.ts"
import { parseCount } from "../Units.ts"

const opened = Effect.gen(function* () {
  const { env } = yield* Process
  return (yield* open(yield* Flags.target, env)).backend
})

/** At most this many tools in one search: more is no search. */
const maxSearchLimit = 100

/** `executor search`. */
export const search = Command.make(
  "search",
  {
    query: Argument.String("query").pipe(
      Argument.withDescription("Words to look for in paths and descriptions; every tool without any"),
      Argument.variadic()
    ),
    namespace: Flags.textFlag("namespace", "name", "Only tools of this source"),
    limit: Flags.textFlag("limit", "count", `How many at most, up to ${maxSearchLimit} (10)`),
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const limit = yield* parseLimit(input.limit, maxSearchLimit)
    const backend = yield* opened
    const query = input.query.join(" ")
    const tools = yield* backend.searchTools({ query, namespace: Option.getOrUndefined(input.namespace), limit })
    if (input.json) return yield* Output.json(JSON.stringify({ tools }))
    if (tools.length === 0)
      return yield* Output.notice(
        `No tool fits "${query}". See all tools: executor search. See the sources: executor sources list`
      )
    yield* printTable(
      [
        { header: "TOOL", value: (tool) => tool.path },
        { header: "APPROVAL", value: (tool) => (tool.requiresApproval ? "asks" : "") },
        { header: "DESCRIPTION", value: (tool) => tool.description, flexible: true }
      ],
      tools
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("Find tools by words, best first."),
  Command.withExamples([
    { command: "executor search create issue", description: "Find tools that create issues" },
    { command: "executor search --limit 100", description: "List every tool" },
    { command: "executor search list --namespace github --limit 50", description: "Among one source's tools" }
  ])
)

/** A `--limit` within bounds. */
export const parseLimit = Effect.fnUntraced(function* (text: Option.Option<string>, maximum: number) {
  if (Option.isNone(text)) return undefined
  const limit = parseCount(text.value)
  if (limit._tag === "Failure" || limit.success > maximum) {
    return yield* new UsageError({ message: `--limit: "${text.value}" is not a whole number from 1 to ${maximum}` })
  }
  return limit.success
})

/** `executor describe`. */
export const describe = Command.make(
  "describe",
  {
    tool: Argument.String("tool").pipe(Argument.withDescription("The tool's path, such as github.issues.create")),
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const backend = yield* opened
    const tool = yield* backend.describeTool(input.tool)
    if (input.json) return yield* Output.json(JSON.stringify(tool))
    const { stdout } = yield* Output.Output
    const hints = [
      tool.requiresApproval ? "asks for approval before it runs" : "runs without asking",
      ...(tool.annotations.readOnly === true ? ["changes nothing"] : []),
      ...(tool.annotations.destructive === true ? ["may delete or overwrite"] : []),
      ...(tool.annotations.idempotent === true ? ["calling twice changes no more than once"] : [])
    ]
    const sections = [
      `${Output.styled(stdout, "bold", neutralise(tool.path))}\n${neutralise(tool.description)}`,
      neutralise(tool.signature),
      `It ${hints.join("; ")}.`,
      `Input:\n${neutralise(JSON.stringify(tool.inputSchema, null, 2))}`,
      ...(tool.outputSchema === undefined ? [] : [`Output:\n${neutralise(JSON.stringify(tool.outputSchema, null, 2))}`])
    ]
    yield* Output.rendered(`${sections.join("\n\n")}\n`)
  }, Effect.scoped)
).pipe(
  Command.withDescription("Show what a tool does and takes."),
  Command.withExamples([{ command: "executor describe github.issues.create", description: "Show one tool" }])
)

const sourceTable = (sources: ReadonlyArray<Source>) =>
  printTable(
    [
      { header: "NAMESPACE", value: (source) => source.namespace },
      { header: "KIND", value: (source) => source.pluginId },
      { header: "TOOLS", value: (source) => String(source.toolCount), align: "right" },
      { header: "DESCRIPTION", value: (source) => source.description, flexible: true }
    ],
    sources
  )

const list = Command.make(
  "list",
  { json: Flags.json },
  Effect.fn(function* (input) {
    const sources = yield* (yield* opened).listSources
    if (input.json) return yield* Output.json(JSON.stringify({ sources }))
    if (sources.length === 0) {
      return yield* Output.notice(
        "There are no sources yet. Add one: executor sources add mcp <namespace> -- <command>"
      )
    }
    yield* sourceTable(sources)
  }, Effect.scoped)
).pipe(Command.withDescription("List the sources."), Command.withAlias("ls"))

const namespace = Argument.String("namespace").pipe(
  Argument.withDescription("The first segment of the paths of the source's tools")
)

const remove = Command.make(
  "remove",
  { namespace },
  Effect.fn(function* (input) {
    yield* (yield* opened).removeSource(input.namespace)
    yield* Output.notice(`Removed ${input.namespace}`)
  }, Effect.scoped)
).pipe(Command.withDescription("Remove a source with its tools. The history stays."), Command.withAlias("rm"))

/** Each tool that was left out, with the reason. */
export const describeOmitted = (omitted: ReadonlyArray<OmittedTool> = []): ReadonlyArray<string> =>
  omitted.map(({ name, reason }) => neutraliseLine(`${name}: ${reason}`))

const added = Effect.fnUntraced(function* (verb: string, source: Source, json: boolean) {
  if (json) return yield* Output.json(JSON.stringify({ source }))
  yield* Output.notice(
    `${verb} ${source.namespace}: ${plural(source.toolCount, "tool", "tools")}. See: executor search <words>`
  )
  for (const each of describeOmitted(source.omitted)) yield* Output.notice(`Left out the tool ${each}`)
  for (const note of source.notes ?? []) yield* Output.notice(neutraliseLine(note))
})

const refresh = Command.make(
  "refresh",
  { namespace, json: Flags.json },
  Effect.fn(function* (input) {
    yield* added("Refreshed", yield* withOpening((yield* opened).refreshSource(input.namespace)), input.json)
  }, Effect.scoped)
).pipe(Command.withDescription("Learn a source's tools anew."))

const addMcp = Command.make(
  "mcp",
  {
    namespace,
    command: Argument.String("command").pipe(
      Argument.withDescription("After --: the program that speaks MCP over stdio, and its arguments"),
      Argument.atLeast(1)
    ),
    env: Flags.repeatedFlag("env", "NAME", "Pass this environment variable on to the program; may be repeated"),
    cwd: Flags.textFlag(
      "cwd",
      "folder",
      "The folder that the program runs in; without it, wherever executor is started"
    ),
    ...Flags.sourceLimits,
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const { args } = yield* Process
    const separator = args.indexOf("--")
    if (separator === -1 || args.length - separator - 1 !== input.command.length) {
      return yield* new UsageError({
        message:
          "Write -- between the namespace and the program, such as: executor sources add mcp files -- npx -y @modelcontextprotocol/server-filesystem /tmp"
      })
    }
    const assigned = input.env.find((name) => !/^[A-Za-z_]\w*$/.test(name))
    if (assigned !== undefined) {
      return yield* new UsageError({
        message: assigned.includes("=")
          ? `--env: a value is never stored. Set ${assigned.split("=")[0]} in the environment that executor runs in, and give its name alone: --env ${assigned.split("=")[0]}`
          : `--env: "${assigned}" is not the name of a variable, such as GITHUB_TOKEN`
      })
    }
    const [command, ...commandArgs] = input.command
    const cwd = Option.getOrUndefined(input.cwd)
    const limits = yield* resolveSourceLimits({
      flags: Flags.sourceLimitFlagsOf(input),
      env: {},
      dataFolder: undefined
    })
    const source = yield* (yield* opened)
      .addSource({
        namespace: input.namespace,
        pluginId: "mcp",
        config: {
          transport: "stdio",
          command,
          args: commandArgs,
          ...(input.env.length === 0 ? {} : { env: input.env }),
          ...(cwd === undefined ? {} : { cwd: resolve(cwd) }),
          ...limits
        }
      })
      .pipe(withOpening)
    yield* added("Added", source, input.json)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Add an MCP server that is started as a program and spoken to over stdio. Its tools can be called; resources and prompts that it " +
      "offers beside them are not passed on. Lists show the program's name, never its arguments."
  ),
  Command.withExamples([
    {
      command: "executor sources add mcp everything -- npx -y @modelcontextprotocol/server-everything",
      description: "A server from npm"
    },
    {
      command: "executor sources add mcp github --env GITHUB_TOKEN -- github-mcp-server stdio",
      description: "Pass a secret on by its name"
    }
  ])
)

const add = Command.make("add").pipe(
  Command.withDescription("Add a source: it is opened once to learn its tools."),
  Command.withSubcommands([addMcp])
)

/** `executor sources`. */
export const sources = Command.make("sources").pipe(
  Command.withDescription("List, add, remove and refresh the sources that tools come from."),
  Command.withShortDescription("Manage sources of tools"),
  Command.withExamples([
    { command: "executor sources list", description: "What there is" },
    {
      command: "executor sources add mcp everything -- npx -y @modelcontextprotocol/server-everything",
      description: "Add an MCP server"
    }
  ]),
  Command.withSubcommands([list, add, remove, refresh])
)
