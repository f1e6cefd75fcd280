/**
 * The same server through the built command, as a person uses it: added, listed, described, called, refreshed and removed, on a data folder
 * of its own.
 */
import { Schema } from "effect"
import { fileURLToPath } from "node:url"
import { type Ended, run, type Setting } from "./Child.ts"
import { namespaceOf, type Server } from "./Servers.ts"

const executor = fileURLToPath(new URL("../../../apps/executor/bin/executor.js", import.meta.url))

/** What the command showed. */
export interface Shown {
  /** From the start of the command to its end, for `sources add`. */
  readonly seconds: number
  /** Names of the tools, those that can be described. */
  readonly tools: ReadonlyArray<string>
  /** Tools that the command says it cannot offer. */
  readonly omitted: ReadonlyArray<{ readonly name: string; readonly reason: string }>
  /** What the call of the harmless tool gave: its result as JSON, or its error. */
  readonly answer: string
  /** What went otherwise than it should, in the command's words. */
  readonly problems: ReadonlyArray<string>
}

/** `tools`, as the sandbox has it. */
interface Catalog {
  search(input: object): Promise<ReadonlyArray<{ readonly path: string }>>
  readonly describe: { tool(input: object): Promise<unknown> }
}
type Sources = Readonly<Record<string, Readonly<Record<string, (input: unknown) => Promise<unknown>>>>>

/** Describes every tool that can be found or is known by name, and calls one. It runs in the sandbox, as an agent's program does. */
const visit = async (
  tools: Catalog & Sources,
  namespace: string,
  known: ReadonlyArray<string>,
  call: Server["call"]
) => {
  const found = await tools.search({ query: "", namespace, limit: 100 })
  const names = new Set([...found.map(({ path }) => path.slice(namespace.length + 1)), ...known])
  const described: Array<string> = []
  for (const name of names) {
    try {
      await tools.describe.tool({ path: `${namespace}.${name}` })
      described.push(name)
    } catch {
      // The command does not have it.
    }
  }
  try {
    return { described, answer: JSON.stringify(await tools[namespace]?.[call.tool]?.(call.input)) }
  } catch (error) {
    return { described, answer: String(error) }
  }
}

const Source = Schema.fromJsonString(
  Schema.Struct({
    source: Schema.Struct({
      toolCount: Schema.Int,
      omitted: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, reason: Schema.String })))
    })
  })
)

const Visited = Schema.fromJsonString(
  Schema.Struct({ result: Schema.Struct({ described: Schema.Array(Schema.String), answer: Schema.String }) })
)

const words = ({ code, stderr, stdout }: Ended): string =>
  `exit code ${code}: ${(stderr.trim() || stdout.trim()).replaceAll(/\s+/g, " ").slice(0, 400)}`

/** Takes a server through the command. `known` are names of tools that it is to have. */
export const show = async (
  program: string,
  server: Server,
  known: ReadonlyArray<string>,
  setting: Setting,
  seconds: number
): Promise<Shown> => {
  const namespace = namespaceOf(server)
  const does = (args: ReadonlyArray<string>, input = "") =>
    run(process.execPath, [executor, ...args], setting, seconds, input)

  const env = Object.keys(server.env ?? {}).map((name) => `--env=${name}`)
  const added = await does([
    "sources",
    "add",
    "mcp",
    namespace,
    ...env,
    "--json",
    "--",
    program,
    ...(server.args ?? [])
  ])
  if (added.code !== 0) {
    return { seconds: added.seconds, tools: [], omitted: [], answer: "", problems: [`not added: ${words(added)}`] }
  }
  const problems: Array<string> = []
  const { omitted = [], toolCount } = Schema.decodeUnknownSync(Source)(added.stdout).source

  const input = [namespace, known, server.call].map((value) => JSON.stringify(value)).join(", ")
  const visited = await does(
    ["run", "-", "--json", "--approve", `${namespace}.*`],
    `return await (${visit})(tools, ${input})`
  )
  const { answer, described } =
    visited.code === 0 ? Schema.decodeUnknownSync(Visited)(visited.stdout).result : { answer: "", described: [] }
  if (visited.code !== 0) problems.push(`not visited: ${words(visited)}`)
  else if (described.length < toolCount) problems.push(`${described.length} of ${toolCount} tools described`)
  if (visited.code === 0 && !answer.includes(server.call.says)) {
    problems.push(`${server.call.tool} gave ${answer.slice(0, 300)}`)
  }

  const refreshed = await does(["sources", "refresh", namespace, "--json"])
  if (refreshed.code !== 0) problems.push(`not refreshed: ${words(refreshed)}`)
  else {
    const again = Schema.decodeUnknownSync(Source)(refreshed.stdout).source.toolCount
    if (again !== toolCount) problems.push(`${toolCount} tools when added, ${again} when refreshed`)
  }

  const removed = await does(["sources", "remove", namespace])
  if (removed.code !== 0) problems.push(`not removed: ${words(removed)}`)
  return { seconds: added.seconds, tools: described.toSorted(), omitted, answer, problems }
}
