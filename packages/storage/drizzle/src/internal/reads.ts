/**
 * A read as a value, so that it can be run here or sent to another thread.
 */
import type { CountByOptions, FindOptions, Group, Row } from "@executor/sdk"
import { count, countBy, find } from "./queries.ts"
import type { Statements } from "./statements.ts"

export type ReadRequest =
  | { readonly op: "find"; readonly options: FindOptions }
  | { readonly op: "count"; readonly options: Pick<FindOptions, "table" | "where"> }
  | { readonly op: "countBy"; readonly options: CountByOptions }

/** Rows, groups, or the one number of a count. */
export type ReadItem = Row | Group | number

export const runRead = (statements: Statements, request: ReadRequest): ReadonlyArray<ReadItem> => {
  switch (request.op) {
    case "find":
      return find(statements, request.options)
    case "count":
      return [count(statements, request.options)]
    case "countBy":
      return countBy(statements, request.options)
  }
}
