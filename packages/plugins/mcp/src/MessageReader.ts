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
 * Logs may look like answers, with an `id` or an `error` of their own. So text that may be an answer or not settles nothing at once: a
 * request that it may be for is in doubt until its answer comes, or the server has been silent for {@link silenceMillis}.
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
  isAnswer,
  isOwn,
  mayBeMessage,
  type Pending,
  problemWithoutId,
  readAnswer,
  readRequest,
  unreadable
} from "./Answers.ts"
import {
  answeredId,
  describeBroken,
  headLength,
  isBetween,
  isCutLog,
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

/** How long a server prints nothing before a message over several lines counts as broken off, and a doubtful answer as the answer. */
const silenceMillis = 5000

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
  readonly startsLine: boolean
  length: number
}

/** A request that waits, and the fault of the text that may have been its answer. */
interface Waiting extends Pending {
  doubt: string | undefined
}

/** Made for one process. */
export class MessageReader {
  readonly #handlers: MessageHandlers
  readonly #pending = new Map<string, Waiting>()
  #chunks: Array<Buffer> = []
  #buffered = 0
  /** Bytes of the line that is too long, with its beginning and its end so far. */
  #skipped: { readonly head: string; tail: Buffer; bytes: number; settled: boolean } | undefined
  #open: Open | undefined
  #timer: NodeJS.Timeout | undefined
  #chunksRead = 0
  /** Lines that wait for a large one to be read. Absent while there is none. */
  #backlog: Array<string> | undefined
  #whenIdle: (() => void) | undefined
  #hasEnded = false

  constructor(handlers: MessageHandlers) {
    this.#handlers = handlers
  }

  /** Takes note of a message that is sent: a request waits for its answer from then on. */
  sent(message: JSONRPCMessage): void {
    if (!("method" in message)) return
    if ("id" in message) {
      this.#pending.set(String(message.id), { id: message.id, method: message.method, doubt: undefined })
    } else if (message.method === "notifications/cancelled") {
      this.#pending.delete(String((message.params as { readonly requestId?: unknown } | undefined)?.requestId))
    }
  }

  read(chunk: Buffer): void {
    this.#chunksRead++
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

  /** At once if its beginning says whose answer it is, else when its end may say that. */
  #settleTooLong(ended: boolean): void {
    const line = this.#skipped
    if (line === undefined || line.settled) return
    const startsLine = isBetween(line.head.slice(0, line.head.indexOf("{")))
    const answered = answeredId(line.head, ended ? line.tail.toString("utf8") : "", startsLine)
    if (!ended && answered?.isPlain !== true) return
    line.settled = true
    const problem = `is longer than ${maxMessageBytes} bytes, the most that is read of one message`
    this.#settleMeant(answered, problem)
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
      const before = this.#open
      this.#open = undefined
      // First, as it may be the answer to what the broken text leaves in doubt.
      this.#deliver(alone.value, line, true)
      if (before !== undefined) yield* this.#breakOff(before)
    } else if (this.#open === undefined) {
      yield* this.#mixed(line)
    } else {
      yield* this.#goOn(this.#open, line)
    }
  }

  /** Text with more than a message in it, or less. */
  *#mixed(text: string, follows = true): Steps<void> {
    let startsLine = follows
    for (let rest = text; rest.trim() !== "";) {
      const start = messageStart(rest)
      const before = start === -1 ? rest : rest.slice(0, start)
      if (before !== "") this.#handlers.ignored(before)
      if (start === -1) return
      startsLine &&= isBetween(before)
      const nesting = new Nesting()
      const end = yield* nesting.follow(rest, start)
      if (end === -1) {
        const begun = rest.slice(start)
        if (nesting.inString || (!startsLine && isCutLog(begun))) yield* this.#broken(begun, startsLine)
        else this.#keepOpen({ lines: [begun], nesting, startsLine, length: begun.length })
        return
      }
      yield* this.#whole(rest.slice(start, end), startsLine)
      rest = rest.slice(end)
    }
  }

  *#whole(text: string, startsLine: boolean): Steps<void> {
    const parsed = yield* this.#parse(text)
    if (parsed === undefined) yield* this.#broken(text, startsLine)
    else this.#deliver(parsed.value, text, startsLine)
  }

  *#goOn(open: Open, line: string): Steps<void> {
    const end = yield* open.nesting.follow(line)
    open.lines.push(end === -1 ? line : line.slice(0, end))
    open.length += line.length + 1
    if (end !== -1) {
      this.#open = undefined
      yield* this.#whole(open.lines.join("\n"), open.startsLine)
      yield* this.#mixed(line.slice(end), open.startsLine)
    } else if (!mayBeObject(open.lines.slice(0, 2).join("\n"))) {
      // What began is no message, so that this line may begin one.
      open.lines.pop()
      this.#open = undefined
      yield* this.#line(line)
      yield* this.#breakOff(open)
    } else if (open.nesting.inString || open.length > maxMessageBytes) {
      yield* this.#breakOff(open)
    } else {
      this.#keepOpen(open)
    }
  }

  #keepOpen(open: Open): void {
    this.#open = open
    this.#awaitSilence()
  }

  *#breakOff(open: Open): Steps<void> {
    if (this.#open === open) this.#open = undefined
    yield* this.#broken(open.lines.join("\n"), open.startsLine)
  }

  *#broken(text: string, startsLine: boolean): Steps<void> {
    const answered = answeredId(text.slice(0, headLength), text.slice(-tailLength), startsLine)
    if (this.#meant(answered).length === 0) this.#handlers.ignored(text)
    else this.#settleMeant(answered, `is no JSON: ${yield* describeBroken(text)}`)
  }

  /** The time counts from now on. It starts anew when something comes meanwhile. */
  #awaitSilence(): void {
    clearTimeout(this.#timer)
    const chunksRead = this.#chunksRead
    // What came while the loop was busy is read before the time counts.
    this.#timer = setTimeout(() => {
      setImmediate(() => {
        if (this.#hasEnded || (this.#open === undefined && this.#doubtful().length === 0)) return
        if (this.#chunksRead !== chunksRead || this.#backlog !== undefined) this.#awaitSilence()
        else void Effect.runPromise(inSlices(this.#afterSilence()))
      })
    }, silenceMillis)
    this.#timer.unref()
  }

  *#afterSilence(): Steps<void> {
    if (this.#open !== undefined) yield* this.#breakOff(this.#open)
    for (const pending of this.#doubtful()) this.#unreadable(pending, pending.doubt ?? "")
  }

  /** Without listening, which is answered when it ends. */
  #waiting(): ReadonlyArray<Waiting> {
    return [...this.#pending.values()].filter(({ method }) => method !== "subscriptions/listen")
  }

  #doubtful(): ReadonlyArray<Waiting> {
    return [...this.#pending.values()].filter(({ doubt }) => doubt !== undefined)
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

  #deliver(value: unknown, text: string, startsLine: boolean): void {
    if (Array.isArray(value)) {
      for (const each of value) this.#deliver(each, text, startsLine)
      return
    }
    const message =
      Predicate.isObject(value) && mayBeMessage(value)
        ? (readRequest(value) ?? this.#answer(value, startsLine))
        : undefined
    if (message === undefined) this.#handlers.ignored(text)
    else this.#handlers.message(message)
  }

  #answer(message: Readonly<Record<string, unknown>>, startsLine: boolean): JSONRPCMessage | undefined {
    const { id } = message
    if (typeof id === "string" || typeof id === "number") {
      const pending = this.#pending.get(String(id))
      if (pending === undefined) return undefined
      if (!isOwn(pending) || isAnswer(message, startsLine)) return this.#settle(pending, readAnswer(message))
      return this.#doubt(pending, 'has no "jsonrpc" and may be a line of a log')
    }
    // Without an id it may as well be about a notification. Only what can be nothing else settles the request that waits.
    const [only, ...others] = this.#waiting()
    const isVersioned = "jsonrpc" in message
    if (only === undefined || others.length > 0 || !(isVersioned || startsLine)) return undefined
    const problem = problemWithoutId(only, message)
    if (problem === undefined) return undefined
    if (!isOwn(only)) return this.#settle(only, readAnswer(message))
    if (!isVersioned || message["result"] == null) return this.#doubt(only, problem)
    return this.#settle(only, Effect.fail(new AnswerUnreadable({ message: problem })))
  }

  /** The requests that an answer that cannot be read may be for. */
  #meant(answered: ReturnType<typeof answeredId>): ReadonlyArray<Waiting> {
    if (answered === undefined || this.#hasEnded) return []
    if (answered.id === undefined) return this.#waiting()
    const pending = this.#pending.get(answered.id)
    return pending === undefined ? [] : [pending]
  }

  #settleMeant(answered: ReturnType<typeof answeredId>, problem: string): void {
    for (const pending of this.#meant(answered)) {
      if (answered?.isPlain === true) this.#unreadable(pending, problem)
      else this.#doubt(pending, problem)
    }
  }

  /** Settles nothing yet. */
  #doubt(pending: Waiting, problem: string): undefined {
    pending.doubt ??= problem
    this.#awaitSilence()
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

const isMessage = (value: unknown): boolean => Predicate.isObject(value) && "jsonrpc" in value
