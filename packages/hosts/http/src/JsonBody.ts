/**
 * Bodies of any size, most of them JSON, without holding up the event loop.
 *
 * A result may have 10 MB, a page a hundred of them, an execution ten thousand tool calls. Writing such a body in one go takes
 * tens of milliseconds or runs into the longest string there can be, so what is large is written piece by piece, as the
 * caller reads it. What is small goes the ordinary way.
 */
import { Cause, Effect, Stream } from "effect"
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
  for (let start = 0; start < text.length;) {
    // A surrogate pair stays in one piece: alone its halves would be written as escapes.
    const isCut = (text.codePointAt(start + pieceLength - 1) ?? 0) > 0xffff
    const end = start + pieceLength + (isCut ? 1 : 0)
    yield JSON.stringify(text.slice(start, end)).slice(1, -1)
    start = end
  }
  yield '"'
}

/** The JSON text of a value, in small pieces. */
export function* jsonPieces(value: unknown): Generator<string> {
  if (!isLarge(value)) {
    yield JSON.stringify(value)
  } else if (typeof value === "string") {
    yield* textPieces(value)
  } else if (Array.isArray(value)) {
    let separator = "["
    for (const item of value) {
      yield separator
      yield* jsonPieces(item)
      separator = ","
    }
    yield "]"
  } else {
    let separator = "{"
    for (const [key, item] of Object.entries(value as object)) {
      if (item === undefined) continue
      yield `${separator}${JSON.stringify(key)}:`
      yield* jsonPieces(item)
      separator = ","
    }
    yield "}"
  }
}

/** Small pieces of text as bytes, in pieces of about the same size. */
export function* toChunks(pieces: Iterable<string>): Generator<Uint8Array> {
  let text = ""
  for (const piece of pieces) {
    text += piece
    if (text.length < pieceLength) continue
    yield Buffer.from(text)
    text = ""
  }
  if (text !== "") yield Buffer.from(text)
}

/** Chunks that are made one by one, as they are taken. */
export const lazily = (chunks: () => Iterator<Uint8Array>): Stream.Stream<Uint8Array> =>
  Stream.fromIterable({ [Symbol.iterator]: chunks }, { chunkSize: 1 })

/**
 * A response that writes chunks as they are made and the caller takes them. The head of the answer is gone when a later chunk
 * cannot be made: the connection is cut then, which no caller can take for the end, and the log has the cause.
 */
export const streamBody = <E>(
  chunks: Stream.Stream<Uint8Array, E>,
  options: HttpServerResponse.Options & { readonly contentType: string }
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(
    chunks.pipe(
      // The next chunk is made in a turn of its own: a fast socket takes all there is without ever letting go of this one.
      Stream.tap(() => Effect.yieldNow),
      Stream.tapCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.void
          : Effect.logError("An answer could not be written to its end", cause)
      )
    ),
    options
  )

/**
 * The value itself, for its endpoint to encode; or, when it is large, a response that writes it in pieces. The value must be as it
 * goes out: what its endpoint's schema would leave out or change must not be in it. `status` is the
 * one that the schema has.
 */
export const jsonBody = <A>(value: A, status = 200): A | HttpServerResponse.HttpServerResponse =>
  isLarge(value)
    ? streamBody(
        lazily(() => toChunks(jsonPieces(value))),
        { contentType: "application/json", status }
      )
    : value
