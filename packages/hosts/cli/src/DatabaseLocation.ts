/**
 * Where the history and the catalog are: in the data folder, unless `EXECUTOR_DATABASE_URL` names another file or a Postgres.
 */
import { Effect } from "effect"
import { resolve } from "node:path"
import { dataFiles, type Environment } from "./DataFolder.ts"
import { UsageError } from "./Failure.ts"

/** The variable that names the database. There is no flag: a URL may hold a password. */
const variable = "EXECUTOR_DATABASE_URL"

const isPostgres = (text: string): boolean => /^postgres(ql)?:\/\//i.test(text)

/** The database of a data folder: a URL of Postgres, or the path of a SQLite file. */
export const locateDatabase = (env: Environment, dataFolder: string): Effect.Effect<string, UsageError> => {
  const text = env[variable]
  if (text === undefined || text === "") return Effect.succeed(dataFiles.database(dataFolder))
  if (isPostgres(text) && URL.canParse(text)) return Effect.succeed(text)
  if (!/^[a-z]{2,}:/i.test(text)) return Effect.succeed(resolve(text))
  return Effect.fail(
    new UsageError({
      message: `${variable}: expected postgres://user:password@host:port/database, or the path of a SQLite file`
    })
  )
}

/** The file of a database, where it is one. */
export const databaseFile = (database: string): string | undefined => (isPostgres(database) ? undefined : database)

/** How a database is shown: without its password. */
export const shownDatabase = (database: string): string => {
  if (!isPostgres(database)) return database
  const { host, pathname } = new URL(database)
  return `Postgres ${host}${pathname}`
}
