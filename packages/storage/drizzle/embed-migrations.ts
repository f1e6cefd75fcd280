/**
 * Writes the migrations as a module, so that a bundled command has them without a folder beside it.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"

const folder = new URL("./migrations/", import.meta.url)

/** The module that holds these migrations. */
export const migrationsModule = (): string => {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
  const entries = files.map((file) => {
    const sql = readFileSync(new URL(file, folder), "utf8")
    return `  ${JSON.stringify({ name: file.replace(/\.sql$/, ""), sql })}`
  })
  return `// Written by \`npm run generate\` from the folder migrations/, which Drizzle writes.
/** Every migration, oldest first. */
export const migrations: ReadonlyArray<{ readonly name: string; readonly sql: string }> = [
${entries.join(",\n")}
]
`
}

if (import.meta.main) writeFileSync(new URL("./src/internal/migrations.ts", import.meta.url), migrationsModule())
