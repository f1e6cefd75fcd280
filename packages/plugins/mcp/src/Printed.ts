/**
 * What a server prints to its standard error.
 *
 * It belongs to nobody's terminal. Its last lines are a part of the errors that say how the server failed, because mostly they say why.
 * Errors reach people, models and histories, so the lines are cleaned of control characters and of secrets, and are few.
 */
import { Effect } from "effect"
import { StringDecoder } from "node:string_decoder"
import { stripVTControlCharacters } from "node:util"
import { redact } from "./Secrets.ts"

/** Enough for the last lines of a crash. */
const keptBytes = 8192

const shownLines = 5

/** Frames of a stack would push out what they belong to. */
const stackFrame = /^\s+at\s/
const shownLineLength = 300

/** What one server has printed. */
export class Printed {
  readonly #secrets: ReadonlyArray<string>
  readonly #onLine: (line: string) => void
  #decoder = new StringDecoder("utf8")
  #bytes: Buffer = Buffer.alloc(0)
  #dropped = false
  #line = ""

  /** All bytes so far: it grows as long as the server is alive and says so. */
  length = 0

  /** `onLine` gets each line, cleaned, when it is complete. */
  constructor(secrets: ReadonlyArray<string>, onLine: (line: string) => void) {
    this.#secrets = secrets
    this.#onLine = onLine
  }

  /** A process begins to print: what another one has printed is of no interest any more. */
  begin(): void {
    this.#bytes = Buffer.alloc(0)
    this.#dropped = false
    this.#line = ""
  }

  add(chunk: Buffer): void {
    this.length += chunk.length
    const all = Buffer.concat([this.#bytes, chunk])
    this.#dropped ||= all.length > keptBytes
    this.#bytes = all.subarray(-keptBytes)
    const lines = (this.#line + this.#decoder.write(chunk)).split(/[\r\n]+/)
    this.#line = lines.pop()?.slice(-keptBytes) ?? ""
    for (const line of lines) {
      const clean = this.#clean(line)
      if (clean !== "") this.#onLine(clean)
    }
  }

  /** All that is kept, cleaned, for a log. */
  get text(): string {
    const text = this.#bytes.toString("utf8")
    // A line without its beginning may hold a part of a secret that would not be found.
    return this.#clean(this.#dropped ? text.slice(text.indexOf("\n") + 1) : text)
  }

  /** The last lines as the end of an error's message; empty where nothing was printed. */
  get inError(): string {
    const lines = this.text
      .split("\n")
      .filter((line) => line.trim() !== "" && !stackFrame.test(line))
      .slice(-shownLines)
      .map((line) => (line.length > shownLineLength ? `${line.slice(0, shownLineLength)}…` : line))
    return lines.length === 0 ? "" : `. The last that it printed:\n${lines.join("\n")}`
  }

  #clean(text: string): string {
    const plain = stripVTControlCharacters(text)
      .replace(/\r\n?/g, "\n")
      .replace(/(?![\n\t])[\p{Cc}\p{Cf}]/gu, "")
    return redact(plain, this.#secrets)
  }
}

/** Tells the log of the host all that is kept. */
export const logPrinted = (namespace: string, { text }: Printed): Effect.Effect<void> =>
  Effect.logDebug("An MCP server is not available.", { namespace, printed: text })
