/**
 * Where a page of executions ended: base64url of the sort and the filters it was made for, the sort key
 * and the id of its last row.
 *
 * The text is opaque to callers and may come from anybody, so it is decoded like any other input.
 */
import { Option, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import type { ExecutionSummary } from "../Execution.ts"
import { type ExecutionSort } from "../ExecutionList.ts"
import { ListOptionsInvalid } from "../ExecutionStore.ts"

/** The sort key and the id of a row. */
export type Position = readonly [key: number | null, id: string]

/** A cursor is a number and an id; anything much longer is none. */
const maxCursorLength = 1024

const Token = Schema.fromJsonString(
  Schema.Tuple([
    Schema.Literals(["createdAt", "durationMs"]),
    Schema.Literals(["asc", "desc"]),
    Schema.String,
    Schema.NullOr(Schema.Int),
    Schema.NonEmptyString
  ])
)
const decodeToken = Schema.decodeUnknownOption(Token)

/** The cursor that continues after this execution. */
export const encodeCursor = (sort: ExecutionSort, filterKey: string, last: ExecutionSummary): string =>
  Base64Url.encode(JSON.stringify([sort.field, sort.direction, filterKey, last[sort.field], last.id]))

/** The position of a cursor, or why it is none for this sort and these filters. */
export const decodeCursor = (sort: ExecutionSort, filterKey: string, cursor: string): Position | ListOptionsInvalid => {
  const text = cursor.length > maxCursorLength ? Option.none() : Option.getSuccess(Base64Url.decodeString(cursor))
  const token = Option.flatMap(text, decodeToken)
  if (Option.isNone(token) || (token.value[0] === "createdAt" && token.value[3] === null)) {
    return new ListOptionsInvalid({
      option: "cursor",
      message: "cursor: expected the nextCursor of another page, unchanged."
    })
  }
  const [field, direction, madeFor, key, id] = token.value
  if (field === sort.field && direction === sort.direction) {
    if (madeFor === filterKey) return [key, id]
    return new ListOptionsInvalid({
      option: "cursor",
      message: "cursor: it was made for a list with other filters. Start without a cursor, or keep the filters."
    })
  }
  return new ListOptionsInvalid({
    option: "cursor",
    message:
      `cursor: it was made for the sort ${field} ${direction}, and this list is sorted by ${sort.field} ` +
      `${sort.direction}. Start without a cursor, or keep the sort.`
  })
}
