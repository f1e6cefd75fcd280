/**
 * JSON bodies of any size without holding up the event loop.
 *
 * A result may have 10 MB, a page a hundred of them, an execution ten thousand tool calls. Writing such a body in one go takes
 * tens of milliseconds or runs into the longest string there can be, so what is large is written piece by piece, as the
 * caller reads it. What is small goes the ordinary way.
 */
import { Effect, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Above about this many characters a body goes out in pieces of about this many: a fraction of a millisecond each. */
const pieceLength = 64 * 1024

/** What a value that is no text counts for. */
const nodeWeight = 8

/** About how many characters of JSON the value is, or any number above `limit` when it is more than that. */
export const weigh = (value: unknown, limit: number): number => {
  if (typeof value === "string") return value.length
  let weight = nodeWeight
  if (typeof value === "object" && value !== null) {
    for (const key in value) {
      weight += nodeWeight + weigh((value as Record<string, unknown>)[key], limit - weight)
      if (weight > limit) return weight
    }
  }
  return weight
}

const isLarge = (value: unknown): boolean => weigh(value, pieceLength) > pieceLength

function* textPieces(text: string): Generator<string> {
  yield '"'
  // A surrogate pair that is cut in two is written as two escapes, which mean the same.
  for (let start = 0; start < text.length; start += pieceLength) {
    yield JSON.stringify(text.slice(start, start + pieceLength)).slice(1, -1)
  }
  yield '"'
}

/** The JSON text of a value, in small pieces. */
function* pieces(value: unknown): Generator<string> {
  if (!isLarge(value)) {
    yield JSON.stringify(value)
  } else if (typeof value === "string") {
    yield* textPieces(value)
  } else if (Array.isArray(value)) {
    let separator = "["
    for (const item of value) {
      yield separator
      yield* pieces(item)
      separator = ","
    }
    yield "]"
  } else {
    let separator = "{"
    for (const [key, item] of Object.entries(value as object)) {
      if (item === undefined) continue
      yield `${separator}${JSON.stringify(key)}:`
      yield* pieces(item)
      separator = ","
    }
    yield "}"
  }
}

/** The JSON text of a value as bytes, in pieces of about the same size. */
export function* jsonChunks(value: unknown): Generator<Uint8Array> {
  let text = ""
  for (const piece of pieces(value)) {
    text += piece
    if (text.length < pieceLength) continue
    yield Buffer.from(text)
    text = ""
  }
  if (text !== "") yield Buffer.from(text)
}

const stream = (value: unknown): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(
    // The next piece is made in a turn of its own: a fast socket takes all there is without ever letting go of this one.
    Stream.fromIterable({ [Symbol.iterator]: () => jsonChunks(value) }, { chunkSize: 1 }).pipe(
      Stream.tap(() => Effect.yieldNow)
    ),
    { contentType: "application/json" }
  )

/**
 * The value itself, for its endpoint to encode; or, when it is large, a response that writes it in pieces. The value must be as it
 * goes out: what its endpoint's schema would leave out or change must not be in it.
 */
export const jsonBody = <A>(value: A): A | HttpServerResponse.HttpServerResponse =>
  isLarge(value) ? stream(value) : value
