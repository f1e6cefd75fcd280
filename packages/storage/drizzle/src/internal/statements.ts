/**
 * Prepared statements of one connection, kept by their text. Preparing costs more than running, and the stores ask for
 * the same few shapes again and again.
 */
import type { AdapterSchema } from "@executor/sdk"
import type Database from "better-sqlite3"
import type { Parameter } from "./dialect.ts"

/** Far more than the shapes of the stores; filters in odd combinations take turns in the rest. */
const maxStatements = 500

/** The statements of a connection. */
export interface Statements {
  readonly tables: AdapterSchema.Tables
  readonly all: <Row>(text: string, parameters: ReadonlyArray<Parameter>) => Array<Row>
  /** Gives the number of changed rows. */
  readonly run: (text: string, parameters: ReadonlyArray<Parameter>) => number
  /** Runs reads that must see one state of the database. */
  readonly snapshot: <A>(read: () => A) => A
}

export const makeStatements = (database: Database.Database, tables: AdapterSchema.Tables): Statements => {
  const statements = new Map<string, Database.Statement>()
  const prepare = (text: string): Database.Statement => {
    const known = statements.get(text)
    if (known !== undefined) {
      // Moved to the end: the first is the one that was not used for longest.
      statements.delete(text)
      statements.set(text, known)
      return known
    }
    const statement = database.prepare(text)
    if (statements.size >= maxStatements) {
      const [oldest] = statements.keys()
      if (oldest !== undefined) statements.delete(oldest)
    }
    statements.set(text, statement)
    return statement
  }
  const run = (text: string, parameters: ReadonlyArray<Parameter>) => prepare(text).run(parameters).changes
  return {
    tables,
    all: <Row>(text: string, parameters: ReadonlyArray<Parameter>) => prepare(text).all(parameters) as Array<Row>,
    run,
    snapshot: (read) => {
      run("BEGIN", [])
      try {
        return read()
      } finally {
        run("COMMIT", [])
      }
    }
  }
}
