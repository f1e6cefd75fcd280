/**
 * Text that should be a message: where one begins and ends, which request it answers, and why it cannot be read.
 *
 * Nothing of it is needed for a message that is alone on its line. It is for servers that print several messages on a line, one over
 * several lines, a log in between, or text that is no JSON.
 */

/** Work in steps: others may run between two of them. */
export type Steps<A> = Generator<void, A, void>

/** How far a step goes, in characters. */
const stepLength = 32 * 1024

const quote = 0x22
const backslash = 0x5c
const newline = 0x0a

/** Follows brackets and strings through text that comes in pieces. */
export class Nesting {
  /** Whether the text up to here ends inside of a string. */
  inString = false
  #depth = 0
  #escaped = false;

  /** The place after the bracket that closes the outermost, or -1 while it is open. A string does not go beyond its line. */
  *follow(text: string, from = 0): Steps<number> {
    let nextPause = from + stepLength
    for (let at = from; at < text.length; at++) {
      if (at > nextPause) {
        nextPause = at + stepLength
        yield
      }
      const code = text.charCodeAt(at)
      if (this.inString) {
        if (code === newline) return -1
        if (this.#escaped) this.#escaped = false
        else if (code === backslash) this.#escaped = true
        else if (code === quote) this.inString = false
      } else if (code === quote) this.inString = true
      else if (code === 0x5b || code === 0x7b) this.#depth++
      else if ((code === 0x5d || code === 0x7d) && --this.#depth === 0) return at + 1
    }
    return -1
  }
}

/** Where a message may begin: an object whose first key is one of a message, or a bracket at the end, after which a message may go on. */
export const messageStart = (text: string): number =>
  /\{\s*(?:"(?:jsonrpc|id|method|params|result|error)"\s*:|$)/.exec(text)?.index ?? -1

/** Whether the first lines of a message over several lines can be those of a JSON object. */
export const mayBeObject = (text: string): boolean => /^\{\s*(?:$|["}])/.test(text)

/** The first and last characters of a text, in which its id is looked for. */
export const headLength = 4096
export const tailLength = 512

const field = /\s*"(jsonrpc|id|method)"\s*:\s*("(?:[^"\\\n]|\\.)*"|[^\s,{}[\]"]+)\s*,?/y
const idText = String.raw`"id"\s*:\s*("(?:[^"\\\n]|\\.)*"|-?\d+)`
const lastId = new RegExp(
  String.raw`(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*${idText}|${idText}\s*,\s*"jsonrpc"\s*:\s*"2\.0")\s*\}?\s*$`
)

/**
 * What a text that cannot be read says of itself: the id of the request that it answers, as far as it has one in the usual places; `undefined`
 * for text that is no answer, such as a line of a log. Inside of a line (not `startsLine`) an answer shows its version or its id. It is
 * `isPlain` if it can be nothing else than the answer to that request.
 */
export const answeredId = (
  head: string,
  tail: string,
  startsLine: boolean
): { readonly id: string | undefined; readonly isPlain: boolean } | undefined => {
  const start = head.indexOf("{") + 1
  if (start === 0) return undefined
  const fields = new Map<string, string>()
  field.lastIndex = start
  for (let found = field.exec(head); found !== null; found = field.exec(head))
    fields.set(found[1] ?? "", found[2] ?? "")
  if (fields.has("method")) return undefined
  if (!fields.has("jsonrpc") && !/"(?:jsonrpc|result|error)"\s*:/.test(`${head} ${tail}`)) return undefined
  const last = lastId.exec(tail)
  const id = fields.get("id") ?? last?.[1] ?? last?.[2]
  const isVersioned = fields.has("jsonrpc") || last !== null
  if (!startsLine && !isVersioned && id === undefined) return undefined
  return { id: id?.replaceAll('"', ""), isPlain: startsLine && isVersioned && id !== undefined }
}

/** Whether this text before a message is only what stands between messages. */
export const isBetween = (text: string): boolean => /^[\s,[\]]*$/.test(text)

/** Whether text inside of a line, that goes on to its end, shows no sign of a message. */
export const isCutLog = (begun: string): boolean =>
  /^\{\s*"(?:result|error)"/.test(begun) &&
  answeredId(begun.slice(0, headLength), begun.slice(-tailLength), false) === undefined

/** Where and why a text is no JSON: `unexpected NaN at character 52, in result.structuredContent.v`. It shows keys and no values. */
export function* describeBroken(text: string): Steps<string> {
  const reader = new StrictReader(text)
  const problem = yield* reader.read()
  return `${problem ?? "no message"} at character ${reader.at + 1}${reader.place()}`
}

const token = /"|[[\]{}:,]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)\b|$/y
const space = /[ \t\r\n]*/y
// oxlint-disable-next-line no-control-regex
const plain = /[^"\\\u0000-\u001f]*/y
const escape = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
const word = /[\w.+-]{1,20}|[^\s"]/y

/** Keys that are shown: words, not data. */
const plainKey = /^[\w$.-]{1,40}$/

class StrictReader {
  at = 0
  readonly #text: string
  readonly #open: Array<{ readonly isArray: boolean; key: string | number }> = []

  constructor(text: string) {
    this.#text = text
  }

  /** In which field it stopped. */
  place(): string {
    const path = this.#open.map(({ key }) =>
      typeof key === "number" ? `[${key}]` : plainKey.test(key) ? `.${key}` : "[…]"
    )
    const place = path
      .filter((key) => key !== ".")
      .join("")
      .replace(/^\./, "")
    return place === "" ? "" : `, in ${place.slice(0, 200)}`
  }

  *read(): Steps<string | undefined> {
    let expected: "value" | "key" | "colon" | "next" = "value"
    let first = false
    for (let nextPause = stepLength; ;) {
      if (this.at > nextPause) {
        nextPause = this.at + stepLength
        yield
      }
      this.#skip(space)
      token.lastIndex = this.at
      const found = token.exec(this.#text)?.[0]
      if (found === undefined) return this.#unexpected()
      if (found === "") return "it ends in the middle"
      const frame = this.#open.at(-1)
      const isClose: boolean =
        (found === "]" || found === "}") && frame !== undefined && frame.isArray === (found === "]")
      if (isClose && (expected === "next" || (first && expected !== "colon"))) {
        this.#open.pop()
        this.at++
        if (this.#open.length === 0) return undefined
        expected = "next"
      } else if (expected === "next" && found === "," && frame !== undefined) {
        this.at++
        if (typeof frame.key === "number") frame.key++
        expected = frame.isArray ? "value" : "key"
      } else if (expected === "key" && found === '"') {
        const key = yield* this.#string()
        if (key === undefined) return this.#unexpected()
        if (frame !== undefined) frame.key = key
        expected = "colon"
      } else if (expected === "colon" && found === ":") {
        this.at++
        expected = "value"
      } else if (expected === "value" && (found === "[" || found === "{")) {
        this.#open.push({ isArray: found === "[", key: found === "[" ? 0 : "" })
        this.at++
        first = true
        expected = found === "[" ? "value" : "key"
        continue
      } else if (expected === "value" && found === '"') {
        if ((yield* this.#string()) === undefined) return this.#unexpected()
        expected = "next"
      } else if (expected === "value" && !"]}:,".includes(found)) {
        this.at += found.length
        expected = "next"
      } else return this.#unexpected()
      first = false
    }
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.at
    pattern.exec(this.#text)
    this.at = Math.max(this.at, pattern.lastIndex)
  }

  /** The string that starts here, or `undefined` with the place moved to what cannot be in one. */
  *#string(): Steps<string | undefined> {
    const start = ++this.at
    for (let nextPause = start + stepLength; ;) {
      this.#skip(plain)
      if (this.#text.charCodeAt(this.at) === quote) return this.#text.slice(start, this.at++)
      const before = this.at
      this.#skip(escape)
      if (this.at === before) return undefined
      if (this.at > nextPause) {
        nextPause = this.at + stepLength
        yield
      }
    }
  }

  #unexpected(): string {
    const code = this.#text.charCodeAt(this.at)
    if (Number.isNaN(code)) return "it ends in the middle of a text"
    if (code < 0x20) return `a character that JSON does not allow in a text (code ${code})`
    word.lastIndex = this.at
    // Only a word that is no JSON, or a sign: anything longer may be private.
    const found = word.exec(this.#text)?.[0] ?? ""
    return /^(?:[-+]?(?:NaN|Infinity)|undefined|None|True|False|nan|inf|[^\w])$/.test(found)
      ? `unexpected ${found}`
      : "unexpected text"
  }
}
