/**
 * `bench/zoo.md`: what the zoo has learned, for people.
 */
import { print } from "./Oddities.ts"
import { type Records, verdict } from "./Record.ts"

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ")

const head = ["server", "protocol", "tools", "annotations", "odd schemas", "s alone", "s to list", "verdict"]

/** The document. */
export const table = (records: Records, day: string): string => {
  const rows = Object.entries(records).map(([name, record]) => [
    `${name} ${record.version}`,
    record.protocol,
    record.tools.length < record.listed ? `${record.tools.length} of ${record.listed}` : `${record.tools.length}`,
    print(record.annotations),
    print(record.noise === 0 ? record.odd : { ...record.odd, "lines of stdout that are no message": record.noise }),
    record.bareSeconds.toFixed(1),
    record.seconds.toFixed(1),
    verdict(record)
  ])
  const whole = Object.values(records).filter(({ problems }) => problems.length === 0).length
  const tools = Object.values(records).reduce((sum, record) => sum + record.tools.length, 0)
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.map(cell).join(" | ")} |`)
  return `# The zoo

Real MCP servers from npm, each taken through the built command: added, listed, every tool described, a harmless one called, refreshed
and removed. \`npm run zoo -- --accept\` writes this file; \`bench/README.md\` says more.

${rows.length} servers with ${tools} tools, ${whole} of them whole. Last written on ${day}, Node ${process.versions.node}.

- **tools**: in the command; where the server lists more by itself, of how many.
- **protocol**: the version that the server answers with, when asked for 2025-06-18.
- **annotations** and **odd schemas**: how many tools say so, or have it anywhere in their input and output schemas.
- **s alone**: from the start of the server to its last page of tools, without the command. **s to list**: all of \`sources add\`. The
  machine was shared and busy, so that seconds compare within a row only.

${lines.join("\n")}
`
}
