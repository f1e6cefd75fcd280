/**
 * Writes the migrations of each database as a module, so that a bundled command has them without a folder beside it.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"

/** The databases that have migrations: each has a folder of its own. */
export const dialects = ["sqlite", "postgres"] as const

/**
 * The migrations of a database's folder, oldest first. Tables are in the default schema of the connection, where Drizzle
 * names that of Postgres.
 */
export const readMigrations = (
  dialect: (typeof dialects)[number]
): ReadonlyArray<{ readonly name: string; readonly sql: string }> => {
  const folder = new URL(`./migrations/${dialect}/`, import.meta.url)
  return readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
    .map((file) => ({
      name: file.replace(/\.sql$/, ""),
      sql: readFileSync(new URL(file, folder), "utf8").replaceAll('"public".', "")
    }))
}

if (import.meta.main) {
  for (const dialect of dialects) {
    writeFileSync(
      new URL(`./src/internal/${dialect}Migrations.ts`, import.meta.url),
      `// Written by \`npm run generate\` from the folder migrations/${dialect}/, which Drizzle writes.
/** Every migration, oldest first. */
export const migrations: ReadonlyArray<{ readonly name: string; readonly sql: string }> = ${JSON.stringify(readMigrations(dialect), null, 2)}
`
    )
  }
}
