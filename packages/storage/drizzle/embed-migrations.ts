/**
 * Writes the migrations as a module, so that a bundled command has them without a folder beside it.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"

const folder = new URL("./migrations/", import.meta.url)

/** The migrations of the folder, oldest first. */
export const readMigrations = (): ReadonlyArray<{ readonly name: string; readonly sql: string }> =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
    .map((file) => ({ name: file.replace(/\.sql$/, ""), sql: readFileSync(new URL(file, folder), "utf8") }))

if (import.meta.main) {
  writeFileSync(
    new URL("./src/internal/migrations.ts", import.meta.url),
    `// Written by \`npm run generate\` from the folder migrations/, which Drizzle writes.
/** Every migration, oldest first. */
export const migrations: ReadonlyArray<{ readonly name: string; readonly sql: string }> = ${JSON.stringify(readMigrations(), null, 2)}
`
  )
}
