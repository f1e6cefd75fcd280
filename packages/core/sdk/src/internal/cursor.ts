/**
 * Where a page ended, as base64url. Of executions: the sort and the filters it was made for, the sort key and the id of its last row. Of
 * the inbox: when its last question was asked, and its id.
 *
 * The text is opaque to callers and may come from anybody, so it is decoded like any other input.
 */
import { Effect, Option, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import type { ExecutionInteraction, ExecutionSummary } from "../Execution.ts"
import { type ExecutionSort } from "../ExecutionList.ts"
import { ListOptionsInvalid } from "../ExecutionStore.ts"
import { ExecutionInteractionId } from "../Ids.ts"

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

const decodeAsked = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Tuple([Schema.Int, ExecutionInteractionId]))
)

const textOf = (cursor: string): Option.Option<string> =>
  cursor.length > maxCursorLength ? Option.none() : Option.getSuccess(Base64Url.decodeString(cursor))

const notACursor = () =>
  new ListOptionsInvalid({ option: "cursor", message: "cursor: expected the nextCursor of another page, unchanged." })

/** The cursor that continues after this execution. */
export const encodeCursor = (sort: ExecutionSort, filterKey: string, last: ExecutionSummary): string =>
  Base64Url.encode(JSON.stringify([sort.field, sort.direction, filterKey, last[sort.field], last.id]))

/** The position of a cursor, or why it is none for this sort and these filters. */
export const decodeCursor = (sort: ExecutionSort, filterKey: string, cursor: string): Position | ListOptionsInvalid => {
  const token = Option.flatMap(textOf(cursor), decodeToken)
  if (Option.isNone(token) || (token.value[0] === "createdAt" && token.value[3] === null)) return notACursor()
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

/** The cursor that continues the inbox after this question. */
export const encodeInboxCursor = ({ createdAt, id }: ExecutionInteraction): string =>
  Base64Url.encode(JSON.stringify([createdAt, id]))

/** When the last question of the page was asked, and its id. */
export const decodeInboxCursor = (
  cursor: string
): Effect.Effect<readonly [createdAt: number, id: ExecutionInteractionId], ListOptionsInvalid> =>
  Effect.mapError(Effect.fromOption(Option.flatMap(textOf(cursor), decodeAsked)), notACursor)
