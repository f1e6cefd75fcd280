/**
 * `npm run zoo`: takes real MCP servers from npm through the built command, and compares with what was learned before. Ends with 1 where
 * a server got worse.
 *
 * `--only WORD` takes the servers with that word in their name, and may be repeated; `--accept` writes what was learned.
 */
import { Schema } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { endAll } from "./Child.ts"
import { type Record, Records, verdict, worse } from "./Record.ts"
import { namespaceOf, read } from "./Servers.ts"
import { table } from "./Table.ts"
import { visit } from "./Visit.ts"

const inBench = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const learnedFile = inBench("zoo/learned.json")
const tableFile = inBench("zoo.md")

/** Servers at a time: more make each other slow. */
const atOnce = 2

const { values } = parseArgs({ options: { only: { type: "string", multiple: true }, accept: { type: "boolean" } } })

const learned: Records = existsSync(learnedFile)
  ? Schema.decodeUnknownSync(Schema.fromJsonString(Records))(readFileSync(learnedFile, "utf8"))
  : {}
const servers = read(inBench("zoo/servers.json"))
const chosen = servers.filter(({ name }) => values.only?.some((word) => name.includes(word)) ?? true)

const scratch = mkdtempSync(join(tmpdir(), "executor-zoo-"))
process.once("exit", () => {
  endAll(scratch)
  rmSync(scratch, { recursive: true, force: true })
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))

const records: { [name: string]: Record } = {}
let worsened = 0
const queue = chosen.values()
const worker = async (): Promise<void> => {
  for (const server of queue) {
    const before = learned[server.name]
    const record = await visit(server, join(scratch, namespaceOf(server)), before)
    records[server.name] = record
    console.log(
      `${server.name} ${record.version}: ${record.tools.length} tools, ${record.seconds} s, ${verdict(record)}`
    )
    const faults = before === undefined ? record.problems : worse(before, record)
    for (const fault of faults) console.error(`  ${before === undefined ? "NEW, AND NOT WHOLE" : "WORSE"}: ${fault}`)
    worsened += faults.length
  }
}
await Promise.all(Array.from({ length: atOnce }, worker))

if (values.accept === true) {
  const kept = Object.fromEntries(
    servers.flatMap(({ name }) => {
      const record = records[name] ?? learned[name]
      return record === undefined ? [] : [[name, record] as const]
    })
  )
  writeFileSync(learnedFile, JSON.stringify(kept))
  writeFileSync(tableFile, table(kept, new Date().toISOString().slice(0, 10)))
  execFileSync("oxfmt", [learnedFile, tableFile])
} else if (worsened > 0) {
  console.error(`\nThe zoo is worse than before in ${worsened} points. If that is meant: npm run zoo -- --accept`)
  process.exitCode = 1
}
