/**
 * The lines of standard input, one message each, with a bound on the bytes that are kept of a line.
 *
 * A line above the bound is read to its end but not kept: the connection, and the calls under way on it, go on. Only its
 * {@link Outline} is kept, so that the request can be answered under its id wherever in the line that stands.
 */
const newline = 0x0a
const quote = 0x22
const backslash = 0x5c
const opening = new Set([0x7b, 0x5b])
const closing = new Set([0x7d, 0x5d])
const nothing = Buffer.from("null")

/** A JSON text whose outermost level is longer than this is no message of this protocol. */
const maxOutlineBytes = 4_096

/** The outermost level of a JSON text that is read piece by piece: nested values are `null`. */
class Outline {
  readonly #kept: Array<number> = []
  #depth = 0
  #inString = false
  #escaped = false

  push(bytes: Uint8Array): void {
    for (const byte of bytes) this.#take(byte)
  }

  /** `undefined` if it is no JSON, or too long. */
  read(): unknown {
    try {
      return this.#kept.length > maxOutlineBytes ? undefined : JSON.parse(Buffer.from(this.#kept).toString("utf8"))
    } catch {
      return undefined
    }
  }

  #take(byte: number): void {
    if (this.#inString) {
      this.#keep(byte)
      if (this.#escaped) this.#escaped = false
      else if (byte === backslash) this.#escaped = true
      else if (byte === quote) this.#inString = false
      return
    }
    if (byte === quote) this.#inString = true
    if (opening.has(byte)) {
      this.#depth++
      if (this.#depth === 2) for (const each of nothing) this.#kept.push(each)
    }
    this.#keep(byte)
    if (closing.has(byte)) this.#depth--
  }

  #keep(byte: number): void {
    if (this.#depth < 2 && this.#kept.length <= maxOutlineBytes) this.#kept.push(byte)
  }
}

/** Takes each line. */
export interface LineHandler {
  readonly line: (bytes: Uint8Array) => void
  /** The outermost level of a line that was too long; `undefined` if that cannot be told. */
  readonly tooLong: (outline: unknown) => void
}

/** Takes input as it comes, and hands on its lines. */
export class InputLines {
  readonly #maxBytes: number
  readonly #handler: LineHandler
  #parts: Array<Uint8Array> = []
  #bytes = 0
  #outline: Outline | undefined

  constructor(maxBytes: number, handler: LineHandler) {
    this.#maxBytes = maxBytes
    this.#handler = handler
  }

  push(chunk: Uint8Array): void {
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#add(chunk.subarray(start, end))
      this.#finish()
      start = end + 1
    }
    this.#add(chunk.subarray(start))
  }

  #add(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    if (this.#bytes <= this.#maxBytes) {
      this.#parts.push(bytes)
      return
    }
    if (this.#outline === undefined) {
      this.#outline = new Outline()
      for (const part of this.#parts) this.#outline.push(part)
      this.#parts = []
    }
    this.#outline.push(bytes)
  }

  #finish(): void {
    const parts = this.#parts
    const outline = this.#outline
    this.#parts = []
    this.#bytes = 0
    this.#outline = undefined
    if (outline !== undefined) return this.#handler.tooLong(outline.read())
    this.#handler.line(Buffer.concat(parts))
  }
}
