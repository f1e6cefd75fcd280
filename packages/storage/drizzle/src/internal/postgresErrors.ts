/**
 * What pg throws, as a `DBError`. Its messages name hosts, users, tables and columns, and never a password.
 */
import { AdapterSchema, coreSchema, DBError, type TableSchema } from "@executor/sdk"
import type { DatabaseError } from "pg"

/** Whether an error came from the server. pg itself is loaded only when a database is opened. */
export const isServerError = (error: unknown): error is DatabaseError => error instanceof Error && "severity" in error

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""

/** Errors of the server that end the connection, or do not let it begin, and pass: it is starting, stopping or full. */
const passing = /^(08...|53300|57P0[1-5])$/

/** Errors of the server that name what is wrong with the address. */
const refusals: ReadonlyMap<string, string> = new Map([
  ["28P01", "the password is wrong, or there is no such user"],
  ["28000", "the server does not let this user in"],
  ["3D000", "there is no such database"]
])

/** No connection was made, and nothing was sent. */
class Unreachable extends Error {
  constructor(cause: unknown) {
    super("No connection was made.", { cause })
  }
}

/** The error of an attempt to connect. */
export const connectError = (error: unknown): unknown => {
  if (isServerError(error)) return error
  if (error instanceof Error && error.message.includes("password must be")) {
    return new DBError({ message: "The server wants a password, and the URL has none.", reason: "unavailable" })
  }
  return new Unreachable(error)
}

/** Whether the server could not be reached, or the connection to it was lost. */
export const isLost = (error: unknown): boolean => {
  if (isServerError(error)) return passing.test(codeOf(error))
  if (error instanceof Unreachable) return true
  return error instanceof Error && (/^E[A-Z]+$/.test(codeOf(error)) || /connection|not queryable/i.test(error.message))
}

/**
 * Whether the settings of the connection are at fault, perhaps: it may only read, or has too little time. They are set when it is
 * made, so another one may have better ones by now, and may lead to another server.
 */
export const isOfSession = (error: unknown): boolean => isServerError(error) && /^(25006|57014)$/.test(codeOf(error))

/** Whether the server takes no writes from this connection, whatever they are. Nothing was written. */
export const isReadOnly = (error: unknown): boolean => codeOf(error) === "25006"

/** Whether a transaction was undone because of another, so that it may work when it is run again. */
export const isContended = (error: unknown): boolean => codeOf(error) === "40P01" || codeOf(error) === "40001"

const schema: { readonly [table: string]: TableSchema } = coreSchema

const uniqueError = (error: DatabaseError): DBError => {
  const table = error.table ?? ""
  const index = schema[table]?.indexes.find(({ name }) => name === error.constraint)
  const columns = index?.columns ?? schema[table]?.primaryKey ?? []
  return new DBError({ message: AdapterSchema.uniqueMessage(table, columns), reason: "unique", cause: error })
}

/** The error of a statement. What is no error of the database is a bug, and thrown on. */
export const toDBError = (error: unknown): DBError => {
  if (error instanceof DBError) return error
  if (isLost(error)) return unreachable(error)
  if (!isServerError(error)) throw error
  switch (error.code) {
    case "23505":
      return uniqueError(error)
    case "23503":
    case "23001":
      return new DBError({ message: foreignKeyMessage(error), reason: "foreignKey", cause: error })
    case "25006":
      return new DBError({ message: readOnly, reason: "readOnly", cause: error })
    case "42501":
      return new DBError({
        message: `The database user may not do this: ${error.message}.`,
        reason: "readOnly",
        cause: error
      })
    case "53100":
      return new DBError({
        message: "The disk of the database is full: free some space.",
        reason: "full",
        cause: error
      })
    case "55P03":
    case "40P01":
    case "57014":
      return new DBError({
        message: `The server ended a statement: ${error.message}. Look at its load, and at statement_timeout.`,
        reason: "unavailable",
        cause: error
      })
    case "40001":
      return new DBError({
        message: "Others kept the rows locked. Try again.",
        reason: "unavailable",
        cause: error
      })
    default: {
      const refusal = refusals.get(error.code ?? "")
      return refusal === undefined
        ? new DBError({ message: `The database refused: ${error.message}.`, reason: "other", cause: error })
        : new DBError({ message: `The server refused: ${refusal}.`, reason: "unavailable", cause: error })
    }
  }
}

const readOnly =
  "The database is read-only. It is a standby, or its default_transaction_read_only is on: connect to the primary, or turn that off."

const foreignKeyMessage = (error: DatabaseError): string =>
  /still referenced/.test(error.detail ?? "")
    ? "A row cannot be deleted while others refer to it."
    : "A row names another row that does not exist."

/** The adapter's scope has ended. */
export const databaseClosed = (): DBError => new DBError({ message: "The database is closed.", reason: "unavailable" })

const unreachable = (error: unknown): DBError => {
  const cause = error instanceof Unreachable ? error.cause : error
  const first = cause instanceof AggregateError ? cause.errors[0] : cause
  const why = first instanceof Error ? first.message : String(first)
  return new DBError({
    message: `The database server cannot be reached, or has no connection to give: ${why}.`,
    reason: "unavailable",
    cause
  })
}

/** The connection was lost after a unit of work was sent, so that nobody knows whether it was committed. */
export const unknownOutcome = (cause: unknown): DBError =>
  new DBError({
    message: "The connection to the database was lost during a write, which may or may not have been committed.",
    reason: "unavailable",
    cause
  })
