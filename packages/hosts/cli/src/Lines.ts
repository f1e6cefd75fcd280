/**
 * Lines of text as they arrive, however many, and each of a bounded size.
 */
import { Schema } from "effect"

/** A line cannot be read. */
export class LineUnreadable extends Schema.TaggedError<LineUnreadable>()("LineUnreadable", {
  message: Schema.String,
  line: Schema.Int
}) {}

/** The lines of UTF-8 without their ends, those of one chunk together. Throws {@link LineUnreadable}, or what the source throws. */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number
): AsyncGenerator<ReadonlyArray<string>> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let number = 0
  let parts: Array<Uint8Array> = []
  let size = 0

  const add = (part: Uint8Array) => {
    parts.push(part)
    size += part.length
    if (size > maxBytes) {
      throw new LineUnreadable({ line: number + 1, message: `it is longer than ${maxBytes / 1024 / 1024} MB` })
    }
  }
  const take = (): string => {
    const [only = Buffer.alloc(0)] = parts
    const bytes = parts.length > 1 ? Buffer.concat(parts) : only
    parts = []
    size = 0
    number++
    try {
      return decoder.decode(bytes)
    } catch {
      throw new LineUnreadable({ line: number, message: "it is not UTF-8" })
    }
  }

  for await (const chunk of source) {
    const lines: Array<string> = []
    let start = 0
    for (;;) {
      const end = chunk.indexOf(0x0a, start)
      if (end === -1) break
      add(chunk.subarray(start, end))
      lines.push(take())
      start = end + 1
    }
    add(chunk.subarray(start))
    if (lines.length > 0) yield lines
  }
  if (size > 0) yield [take()]
}
