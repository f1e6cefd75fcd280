/**
 * Reads what a server prints: bytes to messages.
 *
 * A message is a line of JSON. Read as what they plainly mean are also several messages on a line, a list of them, one over several lines, one
 * after other text, a byte order mark, an id as text instead of a number. Text that is no message is a line of a log, and is not for us.
 *
 * An answer that cannot be read must not leave its request waiting. It settles the request whose id it shows; else the only one that
 * waits; else all that wait, as each of them could be meant. Their outcome is not known then. A message that is longer than
 * {@link maxMessageBytes} is such an answer: the rest of its line is skipped, and the server goes on.
 *
 * Large text is read in slices, and what comes after it waits, so that no size holds up the loop and messages stay in order.
 */
import { holdsExact, inSlices, parseJsonSteps } from "@executor/kernel"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { Effect, Predicate } from "effect"
import {
  type Answer,
  answerMessage,
  AnswerUnreadable,
  type Pending,
  readAnswer,
  readRequest,
  unreadable
} from "./Answers.ts"
import {
  answeredId,
  describeBroken,
  headLength,
  mayBeObject,
  messageStart,
  Nesting,
  type Steps,
  tailLength
} from "./MessageText.ts"

/** One message, in bytes: twice the largest result of a tool that sandboxed code can take. */
export const maxMessageBytes = 16 * 1024 * 1024

/** A server that goes on and on with one line is not skipped for ever. */
export const maxSkippedBytes = 16 * maxMessageBytes

/** Text of this length is read in slices. */
const largeLength = 32 * 1024

/** How long a message over several lines may pause before it counts as broken off. */
const continuationMillis = 5000

const newline = 0x0a

/** What a reader hands on. */
export interface MessageHandlers {
  readonly message: (message: JSONRPCMessage) => void
  /** Text that is no message, and what the client of the protocol would not take. */
  readonly ignored: (text: string) => void
  /** Large text is being read: nothing more should come, until `resume`. */
  readonly pause: () => void
  readonly resume: () => void
  /** The server prints one line without an end. */
  readonly endless: () => void
}

/** A message over several lines, as far as it came. */
interface Open {
  readonly lines: Array<string>
  readonly nesting: Nesting
  length: number
}

/** Made for one process. */
export class MessageReader {
  readonly #handlers: MessageHandlers
  readonly #pending = new Map<string, Pending>()
  #chunks: Array<Buffer> = []
  #buffered = 0
  /** Bytes of the line that is too long, with its beginning and its end so far. */
  #skipped: { readonly head: string; tail: Buffer; bytes: number; settled: boolean } | undefined
  #open: Open | undefined
  #timer: NodeJS.Timeout | undefined
  /** Lines that wait for a large one to be read. Absent while there is none. */
  #backlog: Array<string> | undefined
  #whenIdle: (() => void) | undefined
  #hasEnded = false

  constructor(handlers: MessageHandlers) {
    this.#handlers = handlers
  }

  /** Takes note of what is sent: requests wait for an answer from then on. */
  sent(message: JSONRPCMessage): void {
    if (!("method" in message)) return
    if ("id" in message) this.#pending.set(String(message.id), { id: message.id, method: message.method })
    else if (message.method === "notifications/cancelled") {
      this.#pending.delete(String((message.params as { readonly requestId?: unknown } | undefined)?.requestId))
    }
  }

  read(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#take(chunk.subarray(start, end))
      start = end + 1
      this.#endLine()
    }
    if (start < chunk.length) this.#take(chunk.subarray(start))
  }

  /** No more will come: what has only begun is left to what tells of the end. `done` is called when all is read. */
  end(done: () => void): void {
    this.#hasEnded = true
    this.#endLine()
    clearTimeout(this.#timer)
    if (this.#backlog === undefined) done()
    else this.#whenIdle = done
  }

  #take(part: Buffer): void {
    if (this.#skipped !== undefined) return this.#skip(part)
    this.#chunks.push(part)
    this.#buffered += part.length
    if (this.#buffered <= maxMessageBytes) return
    const begun = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#skipped = {
      head: begun.toString("utf8", 0, headLength),
      tail: begun.subarray(-tailLength),
      bytes: begun.length,
      settled: false
    }
    this.#settleTooLong(false)
  }

  #skip(part: Buffer): void {
    const line = this.#skipped
    if (line === undefined) return
    line.tail = Buffer.concat([line.tail, part.subarray(-tailLength)]).subarray(-tailLength)
    const before = line.bytes
    line.bytes += part.length
    if (before <= maxSkippedBytes && line.bytes > maxSkippedBytes) this.#handlers.endless()
  }

  /** At once if its beginning or the number of requests says whose answer it is, else when its end may say that. */
  #settleTooLong(ended: boolean): void {
    const line = this.#skipped
    if (line === undefined || line.settled) return
    const answered = answeredId(line.head, ended ? line.tail.toString("utf8") : "")
    if (!ended && answered !== undefined && answered.id === undefined && this.#pending.size > 1) return
    line.settled = true
    const problem = `is longer than ${maxMessageBytes} bytes, the most that is read of one message`
    for (const pending of this.#meant(answered)) this.#unreadable(pending, problem)
  }

  #endLine(): void {
    if (this.#skipped !== undefined) {
      this.#settleTooLong(true)
      this.#skipped = undefined
    } else if (this.#buffered > 0) {
      const text = Buffer.concat(this.#chunks).toString("utf8")
      this.#receive(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)
    }
    this.#chunks = []
    this.#buffered = 0
  }

  #receive(line: string): void {
    if (this.#backlog !== undefined) {
      this.#backlog.push(line)
    } else if (line.length + (this.#open?.length ?? 0) < largeLength) {
      for (const steps = this.#line(line); steps.next().done !== true;);
    } else {
      this.#backlog = [line]
      void this.#readBacklog(this.#backlog)
    }
  }

  /** Meanwhile nothing more is taken from the process. */
  async #readBacklog(backlog: Array<string>): Promise<void> {
    this.#handlers.pause()
    // While the end of one run is awaited, more lines of the same chunk may have come.
    while (backlog.length > 0) await Effect.runPromiseExit(inSlices(this.#lines(backlog)))
    this.#backlog = undefined
    this.#handlers.resume()
    this.#whenIdle?.()
  }

  *#lines(backlog: Array<string>): Steps<void> {
    for (let line = backlog.shift(); line !== undefined; line = backlog.shift()) yield* this.#line(line)
  }

  *#line(line: string): Steps<void> {
    if (line.trim() === "") return
    // Inside of a message over several lines, one begins only where it is not indented.
    const alone = this.#open === undefined || line.startsWith("{") ? yield* this.#parse(line) : undefined
    if (alone !== undefined && (this.#open === undefined || isMessage(alone.value))) {
      if (this.#open !== undefined) yield* this.#breakOff(this.#open)
      this.#deliver(alone.value, line)
    } else if (this.#open === undefined) {
      yield* this.#mixed(line)
    } else {
      yield* this.#goOn(this.#open, line)
    }
  }

  /** Text with more than a message in it, or less. */
  *#mixed(text: string): Steps<void> {
    for (let rest = text; rest.trim() !== "";) {
      const start = messageStart(rest)
      if (start !== 0) this.#handlers.ignored(start === -1 ? rest : rest.slice(0, start))
      if (start === -1) return
      const nesting = new Nesting()
      const end = yield* nesting.follow(rest, start)
      if (end === -1) {
        const begun = rest.slice(start)
        if (nesting.inString) yield* this.#broken(begun)
        else this.#keepOpen({ lines: [begun], nesting, length: begun.length })
        return
      }
      yield* this.#whole(rest.slice(start, end))
      rest = rest.slice(end)
    }
  }

  *#whole(text: string): Steps<void> {
    const parsed = yield* this.#parse(text)
    if (parsed === undefined) yield* this.#broken(text)
    else this.#deliver(parsed.value, text)
  }

  *#goOn(open: Open, line: string): Steps<void> {
    const end = yield* open.nesting.follow(line)
    open.lines.push(end === -1 ? line : line.slice(0, end))
    open.length += line.length + 1
    if (end !== -1) {
      this.#close()
      yield* this.#whole(open.lines.join("\n"))
      yield* this.#mixed(line.slice(end))
    } else if (
      open.nesting.inString ||
      open.length > maxMessageBytes ||
      !mayBeObject(open.lines.slice(0, 2).join("\n"))
    ) {
      yield* this.#breakOff(open)
    } else {
      this.#keepOpen(open)
    }
  }

  #keepOpen(open: Open): void {
    this.#close()
    this.#open = open
    const { length } = open
    const hasStopped = () => this.#open === open && open.length === length && this.#backlog === undefined
    // What came while the loop was busy is read before the time counts.
    this.#timer = setTimeout(() => {
      setImmediate(() => {
        if (hasStopped()) void Effect.runPromise(inSlices(this.#breakOff(open)))
      })
    }, continuationMillis)
    this.#timer.unref()
  }

  #close(): void {
    this.#open = undefined
    clearTimeout(this.#timer)
  }

  *#breakOff(open: Open): Steps<void> {
    this.#close()
    yield* this.#broken(open.lines.join("\n"))
  }

  *#broken(text: string): Steps<void> {
    const meant = this.#meant(answeredId(text.slice(0, headLength), text.slice(-tailLength)))
    if (meant.length === 0) return this.#handlers.ignored(text)
    const problem = `is no JSON: ${yield* describeBroken(text)}`
    for (const pending of meant) this.#unreadable(pending, problem)
  }

  /** `undefined` if it is no JSON. Only what a call gives keeps numbers by their text: in schemas and questions the nearest numbers do. */
  *#parse(text: string): Steps<{ readonly value: unknown } | undefined> {
    try {
      const value = yield* parseJsonSteps(text, { wideIntegers: true })
      return { value: holdsExact(value) && !this.#isOfCall(value) ? (JSON.parse(text) as unknown) : value }
    } catch {
      return undefined
    }
  }

  #isOfCall(value: unknown): boolean {
    const id = Predicate.isObject(value) ? value["id"] : undefined
    return Array.isArray(value)
      ? value.every((each) => this.#isOfCall(each))
      : this.#pending.get(String(id))?.method === "tools/call"
  }

  #deliver(value: unknown, text: string): void {
    if (Array.isArray(value)) {
      for (const each of value) this.#deliver(each, text)
      return
    }
    const message = Predicate.isObject(value) ? (readRequest(value) ?? this.#answer(value)) : undefined
    if (message === undefined) this.#handlers.ignored(text)
    else this.#handlers.message(message)
  }

  #answer(message: Readonly<Record<string, unknown>>): JSONRPCMessage | undefined {
    const { id } = message
    if (typeof id === "string" || typeof id === "number") {
      const pending = this.#pending.get(String(id))
      return pending === undefined ? undefined : this.#settle(pending, readAnswer(message))
    }
    // Without an id it may as well be about a notification. Only what can be nothing else settles the request that waits.
    const [only, ...others] = this.#pending.values()
    if (only === undefined || others.length > 0) return undefined
    const { error, result } = message
    if (Predicate.isObject(error) && error["code"] === parseError) return this.#settle(only, readAnswer(message))
    const isResult =
      Predicate.isObject(result) && Array.isArray(result[only.method === "tools/list" ? "tools" : "content"])
    return isResult ? this.#settle(only, Effect.fail(new AnswerUnreadable({ message: "has no id" }))) : undefined
  }

  /** The requests that an answer that cannot be read may be for. */
  #meant(answered: ReturnType<typeof answeredId>): ReadonlyArray<Pending> {
    if (answered === undefined || this.#hasEnded) return []
    if (answered.id === undefined) return [...this.#pending.values()]
    const pending = this.#pending.get(answered.id)
    return pending === undefined ? [] : [pending]
  }

  #unreadable(pending: Pending, problem: string): void {
    this.#handlers.message(this.#settle(pending, Effect.fail(new AnswerUnreadable({ message: problem }))))
  }

  #settle(pending: Pending, answer: Answer): JSONRPCMessage {
    this.#pending.delete(String(pending.id))
    return answerMessage(
      pending,
      Effect.catchTag(answer, "AnswerUnreadable", ({ message }) => Effect.fail(unreadable(pending.method, message)))
    )
  }
}

/** The protocol's code for a message that the server could not read. */
const parseError = -32_700

const isMessage = (value: unknown): boolean => Predicate.isObject(value) && "jsonrpc" in value
