/**
 * Lists that are read from the history slice by slice, as the caller takes them.
 *
 * The tool calls of an execution may be larger than the memory of this process: there are up to ten thousand, of up to 8 MB each. So no more than a slice is read at a time. A list that turns out to be small is
 * an ordinary value, for its endpoint to encode; any other is written slice by slice, and a caller that reads slowly holds
 * up the reading.
 */
import { Effect, Option, Stream } from "effect"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { jsonPieces, lazily, streamBody, toChunks, weigh } from "./JsonBody.ts"

/** Rows read at a time: at their largest some ten MB each, so that reading them holds up the event loop for tens of milliseconds. */
export const sliceRows = 4

/** Above about this many characters a list is no longer gathered but written. */
const gatherLimit = 256 * 1024

/** Some items of a list, and how to read those that follow. */
export interface Slice<A, E> {
  readonly items: ReadonlyArray<A>
  readonly next: Effect.Effect<Slice<A, E>, E> | undefined
}

/** How the list goes into the answer. */
export interface ListShape<A, B> {
  /** The field that the items are in; without it the items are the whole answer. */
  readonly field?: string | undefined
  /** The fields beside it. */
  readonly beside?: { readonly [field: string]: unknown } | undefined
  /** 200 if absent. */
  readonly status?: number | undefined
  /** The same as a value. */
  readonly whole: (items: ReadonlyArray<A>) => B
}

function* piecesOf(items: ReadonlyArray<unknown>, before: string): Generator<string> {
  let separator = before
  for (const item of items) {
    yield separator
    yield* jsonPieces(item)
    separator = ","
  }
}

const headOf = (field: string | undefined): string => (field === undefined ? "[" : `{${JSON.stringify(field)}:[`)

const tailOf = (field: string | undefined, beside: { readonly [field: string]: unknown }): string => {
  if (field === undefined) return "]"
  const fields = Object.entries(beside).filter(([, value]) => value !== undefined)
  return `]${fields.map(([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`).join("")}}`
}

const write = <A, E, B>(
  gathered: Slice<A, E>,
  { beside, field, status = 200 }: ListShape<A, B>
): HttpServerResponse.HttpServerResponse => {
  // A slice is read when the one before has been written, so that there is never more than one.
  const first: Effect.Effect<Slice<A, E>, E> = Effect.succeed(gathered)
  const slices = Stream.paginate(first, (read) =>
    Effect.map(read, (slice) => [[slice], Option.fromUndefinedOr(slice.next)] as const)
  )
  const items = Stream.flatMap(Stream.zipWithIndex(slices), ([slice, index]) =>
    lazily(() => toChunks(piecesOf(slice.items, index === 0 ? "" : ",")))
  )
  const body = Stream.make(Buffer.from(headOf(field))).pipe(
    Stream.concat(items),
    Stream.concat(Stream.make(Buffer.from(tailOf(field, beside ?? {}))))
  )
  return streamBody(body, { contentType: "application/json", status })
}

/** The list as a value if it is small; else a response that writes it as it is read. */
export const slicedBody = Effect.fnUntraced(function* <A, E, B>(
  first: Effect.Effect<Slice<A, E>, E>,
  shape: ListShape<A, B>
): Effect.fn.Return<B | HttpServerResponse.HttpServerResponse, E> {
  const items: Array<A> = []
  let weight = 0
  let next: Slice<A, E>["next"] = first
  while (next !== undefined) {
    const slice: Slice<A, E> = yield* next
    items.push(...slice.items)
    weight += weigh(slice.items, gatherLimit)
    next = slice.next
    if (weight > gatherLimit) return write({ items, next }, shape)
  }
  return shape.whole(items)
})
