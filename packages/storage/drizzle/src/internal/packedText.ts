/**
 * Long texts as a SQLite file holds them: compressed.
 *
 * A text of more than 64 KiB in a column of payloads is stored as a BLOB: a byte that says how it is packed, its length as UTF-8 in
 * four bytes, and its UTF-8 compressed. No column of text holds any other BLOB, so each value tells by its type what it is, and files
 * that were written before are read as they are.
 *
 * The adapter packs what it writes and unpacks what it has read on the threads that Node keeps for such work, and makes UTF-8
 * of text and text of UTF-8 in slices: however long a text is, the event loop is not held up. Conditions on such columns, and the index
 * of text, need it where they run: `registerPackedText` gives the functions for it to a connection.
 *
 * Zstandard at its quickest packs 10 MB of JSON in 14 ms to 1.5 MB, and unpacks it in 4 ms; deflate takes 56 ms for 2.3 MB, Brotli
 * 28 ms for 2.0 MB.
 */
import { type AdapterSchema, DBError, type WriteOperation } from "@executor/sdk"
import type Database from "better-sqlite3"
import { setImmediate as nextTurn } from "node:timers/promises"
import { promisify } from "node:util"
import { constants, zstdCompress, zstdDecompress, zstdDecompressSync } from "node:zlib"

/** Longer texts are packed. */
const longBytes = 64 * 1024

/** How a text is packed, for files of later versions that may do it in another way. */
const zstandard = 1
const headerBytes = 5

/** A slice takes about a millisecond. */
const sliceUnits = 512 * 1024

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** Texts by what is stored for them. */
export type PackedTexts = ReadonlyMap<string, Uint8Array>

const isLong = (text: string): boolean =>
  text.length > longBytes || (text.length * 3 > longBytes && Buffer.byteLength(text) > longBytes)

const none: ReadonlyArray<string> = []

/** The texts of a unit of work that are to be packed. */
export const longTexts = (
  tables: AdapterSchema.Tables,
  operations: ReadonlyArray<WriteOperation>
): ReadonlyArray<string> => {
  let found: Array<string> | undefined
  for (const operation of operations) {
    if (operation.op === "delete") continue
    const payloads = tables.get(operation.table)?.payloads ?? none
    for (const row of operation.op === "insert" ? operation.rows : [operation.set]) {
      for (const name of payloads) {
        const value = row[name]
        if (typeof value === "string" && isLong(value)) (found ??= []).push(value.toWellFormed())
      }
    }
  }
  return found ?? none
}

/** Packs texts, one after the other. */
export const packTexts = async (texts: ReadonlyArray<string>): Promise<PackedTexts> => {
  const packed = new Map<string, Uint8Array>()
  // oxlint-disable-next-line no-await-in-loop
  for (const text of texts) if (!packed.has(text)) packed.set(text, await pack(text))
  return packed
}

const pack = async (text: string): Promise<Uint8Array> => {
  const bytes = await encode(text)
  const compressed = await compress(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    // What is given out at once, so that a long text takes few turns.
    chunkSize: Math.max(longBytes, bytes.length >> 2)
  })
  const header = Buffer.alloc(headerBytes)
  header.writeUInt8(zstandard, 0)
  header.writeUInt32LE(bytes.length, 1)
  return Buffer.concat([header, compressed])
}

const encode = async (text: string): Promise<Buffer> => {
  let length = 0
  await inSlices(text, (slice) => {
    length += Buffer.byteLength(slice)
  })
  const bytes = Buffer.allocUnsafe(length)
  let written = 0
  await inSlices(text, (slice) => {
    written += bytes.write(slice, written)
  })
  return bytes
}

/** Visits a text without halves of surrogate pairs in slices that have none either. */
const inSlices = async (text: string, visit: (slice: string) => void): Promise<void> => {
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + sliceUnits, text.length)
    if (isHighSurrogate(text.charCodeAt(end - 1))) end -= 1
    visit(text.slice(start, end))
    start = end
    // oxlint-disable-next-line no-await-in-loop
    if (start < text.length) await nextTurn()
  }
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00

/** The text of a packed one. */
const unpack = async (packed: Uint8Array): Promise<string> => {
  const { compressed, options } = partsOf(packed)
  const bytes = await decompress(compressed, options).catch((cause) => {
    throw damaged(cause)
  })
  let text = ""
  for (let start = 0; start < bytes.length;) {
    let end = Math.min(start + sliceUnits, bytes.length)
    while (isContinuation(bytes[end])) end -= 1
    text += bytes.toString("utf8", start, end)
    start = end
    // oxlint-disable-next-line no-await-in-loop
    if (start < bytes.length) await nextTurn()
  }
  return text
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** The UTF-8 of a packed text, on this thread. */
const unpackNow = (packed: Uint8Array): Buffer => {
  const { compressed, options } = partsOf(packed)
  try {
    return zstdDecompressSync(compressed, options)
  } catch (cause) {
    throw damaged(cause)
  }
}

/** What is compressed, and how to get it back at once: with room for one byte more, so that it is seen to be the end. */
const partsOf = (packed: Uint8Array) => {
  const length = packedLength(packed)
  return { compressed: packed.subarray(headerBytes), options: { chunkSize: length + 1, maxOutputLength: length } }
}

const packedLength = (packed: Uint8Array): number => {
  if (packed.length < headerBytes || packed[0] !== zstandard) throw damaged(new Error("Its header is unknown."))
  return new DataView(packed.buffer, packed.byteOffset).getUint32(1, true)
}

const damaged = (cause: unknown): DBError =>
  new DBError({
    message: "A stored text is damaged, or was written by a newer version of Executor.",
    reason: "other",
    cause
  })

/** Whether a row has a text that is packed. */
export const hasPacked = ({ payloads }: AdapterSchema.Table, row: { readonly [name: string]: unknown }): boolean =>
  payloads.some((name) => row[name] instanceof Uint8Array)

/** Unpacks the texts of rows, in place and one after the other, until it is aborted. */
export const unpackRows = async (
  { payloads }: AdapterSchema.Table,
  rows: ReadonlyArray<Record<string, unknown>>,
  signal: AbortSignal
): Promise<void> => {
  for (const row of rows) {
    for (const name of payloads) {
      const value = row[name]
      // oxlint-disable-next-line no-await-in-loop
      if (value instanceof Uint8Array && !signal.aborted) row[name] = await unpack(value)
    }
  }
}

/** A value of a column of payloads as text, on this thread. */
export const textOf = (value: string | Uint8Array): string =>
  typeof value === "string" ? value : unpackNow(value).toString()

/** Gives a connection the functions of {@link unpackedText} and {@link unpackedLength}. `look` is called before each use. */
export const registerPackedText = (database: Database.Database, look: () => unknown = () => undefined): void => {
  const options = { deterministic: true, directOnly: true }
  database.function("executor_unpack", options, (packed) => {
    look()
    return unpackNow(packed as Buffer)
  })
  database.function("executor_packed_length", options, (packed) => packedLength(packed as Buffer))
}

const ifPacked = (column: string, then: string, otherwise: string): string =>
  `CASE typeof(${column}) WHEN 'blob' THEN ${then} ELSE ${otherwise} END`

/** The SQL of the text in a column of payloads. */
export const unpackedText = (column: string): string =>
  ifPacked(column, `CAST(executor_unpack(${column}) AS TEXT)`, column)

/** The SQL of how long it is, about. */
export const unpackedLength = (column: string): string =>
  ifPacked(column, `executor_packed_length(${column})`, `length(${column})`)
