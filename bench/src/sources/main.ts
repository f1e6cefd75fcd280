/**
 * `npm run bench:sources [-- --before <checkout>]`: calls of a running MCP server and lists of its tools, in turn with the bare client of the
 * MCP SDK and, where one is given, with another checkout of this repository.
 */
import type * as McpPlugin from "@executor/plugin-mcp"
import type * as Sdk from "@executor/sdk/promise"
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { median, report } from "../Measure.ts"

const rounds = 21
const callsInRound = 300
const listsInRound = 30

/** One way to reach the server. */
interface Subject {
  readonly name: string
  readonly call: () => Promise<unknown>
  readonly list: () => Promise<unknown>
  readonly close: () => Promise<unknown>
}

const server = fileURLToPath(import.meta.resolve("@modelcontextprotocol/server-everything/dist/index.js"))
const args = { message: "hello" }

const bareClient = async (): Promise<Subject> => {
  const client = new Client({ name: "bench", version: "1.0.0" })
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [server, "stdio"], stderr: "ignore" })
  )
  return {
    name: "bare SDK client",
    call: () => client.callTool({ name: "echo", arguments: args }),
    list: () => client.listTools(),
    close: () => client.close()
  }
}

/** The executor of a checkout, from its sources. */
const executorOf = async (name: string, checkout: string): Promise<Subject> => {
  const load = (path: string) => import(pathToFileURL(join(checkout, "packages", path)).href)
  const { createExecutor } = (await load("core/sdk/src/promise.ts")) as typeof Sdk
  const { mcpPlugin } = (await load("plugins/mcp/src/index.ts")) as typeof McpPlugin
  const executor = await createExecutor({ plugins: [mcpPlugin()] })
  const config = { transport: "stdio", command: process.execPath, args: [server, "stdio"] }
  await executor.sources.add({ namespace: "everything", pluginId: "mcp", config })
  const onElicitation = async () => ({ action: "accept" }) as const
  return {
    name,
    call: () => executor.tools.invoke("everything.echo", args, { onElicitation }),
    list: () => executor.sources.refresh("everything"),
    close: () => executor.close()
  }
}

interface Cost {
  readonly ms: number
  readonly cpuMs: number
}

/** What one of many calls, made one after the other, takes of the clock and of this process's processor time. */
const costOf = async (times: number, run: () => Promise<unknown>): Promise<Cost> => {
  const started = performance.now()
  const cpu = process.cpuUsage()
  for (let i = 0; i < times; i++) await run()
  const { system, user } = process.cpuUsage(cpu)
  return { ms: (performance.now() - started) / times, cpuMs: (system + user) / 1000 / times }
}

const measure = async (what: string, subjects: ReadonlyArray<Subject>, runOf: (subject: Subject) => Promise<Cost>) => {
  const costs = subjects.map(() => [] as Array<Cost>)
  for (let round = 0; round <= rounds; round++) {
    // Turns begin with another subject each round. The first round warms up.
    for (let turn = 0; turn < subjects.length; turn++) {
      const index = (round + turn) % subjects.length
      const cost = await runOf(subjects[index]!)
      if (round > 0) costs[index]!.push(cost)
    }
  }
  const medians = costs.map((each) => ({
    ms: median(each.map(({ ms }) => ms)),
    cpuMs: median(each.map((c) => c.cpuMs))
  }))
  const [ours] = medians
  for (const [index, other] of subjects.entries()) {
    if (index === 0) continue
    const aim = other.name === "build before" ? 1.05 : 1.5
    const baseline = medians[index]!
    report({ what: `${what}, clock`, value: ours!.ms, unit: "ms", baseline: { what: other.name, value: baseline.ms } })
    report({ what: `${what}, ratio`, value: ours!.ms / baseline.ms, unit: "x", aim })
    report({
      what: `${what}, CPU`,
      value: ours!.cpuMs,
      unit: "ms",
      baseline: { what: other.name, value: baseline.cpuMs }
    })
  }
}

const { values } = parseArgs({ options: { before: { type: "string" } } })
const here = fileURLToPath(new URL("../../..", import.meta.url))
if (values.before !== undefined && !existsSync(join(values.before, "packages/plugins/mcp"))) {
  throw new Error(`--before: ${values.before} is no checkout of this repository`)
}
const subjects = [
  await executorOf("this build", here),
  ...(values.before === undefined ? [] : [await executorOf("build before", resolve(values.before))]),
  await bareClient()
]
try {
  await measure("a call of a running stdio server", subjects, ({ call }) => costOf(callsInRound, call))
  await measure("a list of its tools", subjects, ({ list }) => costOf(listsInRound, list))
} finally {
  for (const { close } of subjects) await close()
}
