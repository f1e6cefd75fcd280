/**
 * MCP over standard input and output: a JSON-RPC message on each line.
 *
 * Whatever a client sends, the connection holds, and with it the calls under way. Input that is no message, and a message that is too large, are answered with
 * an error. A batch (protocol 2025-03-26 alone has them) is answered with one line once all of its requests have their answers;
 * a request that is cancelled has none. The connection ends when the client closes its end, or when output cannot be written.
 */
import type { JSONRPCMessage, RequestId, Transport } from "@modelcontextprotocol/server"
import type { Readable, Writable } from "node:stream"
import { InputLines } from "./InputLines.ts"
import * as Messages from "./Messages.ts"

/** Room for the largest content of an answer to a question (8 MiB), also where each quote in it is escaped. */
export const defaultMessageBytes = 16 * 1024 * 1024

/** The only protocol version with batches. */
const batchVersion = "2025-03-26"

interface Batch {
  readonly answers: Array<JSONRPCMessage | Messages.ErrorAnswer>
  readonly waiting: Set<RequestId>
}

/** The transport of one process. */
export class StdioTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  /** Settles once the connection has ended. */
  readonly closed = Promise.withResolvers<void>()

  readonly #input: Readable
  readonly #output: Writable
  readonly #lines: InputLines
  readonly #batches = new Map<RequestId, Batch>()
  #version: string | undefined
  #isClosed = false

  constructor(input: Readable, output: Writable, maxMessageBytes: number) {
    this.#input = input
    this.#output = output
    this.#lines = new InputLines(maxMessageBytes, {
      line: (bytes) => this.#receive(bytes),
      tooLong: (outline) =>
        this.#write(
          Messages.invalid(
            outline,
            `The message is larger than ${maxMessageBytes} bytes, the limit messageBytes. Nothing of it was done. Send less, or ` +
              "start the server with a larger --message-limit."
          )
        )
    })
  }

  async start(): Promise<void> {
    this.#input.on("data", this.#onData)
    this.#input.on("error", this.#onError)
    for (const end of ["end", "close"]) this.#input.on(end, this.#end)
    this.#output.on("error", this.#end)
    if (this.#input.readableEnded || this.#input.destroyed) setImmediate(this.#end)
  }

  setProtocolVersion(version: string): void {
    this.#version = version
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error("the client has closed the connection"))
    const batch = "method" in message || message.id === undefined ? undefined : this.#batches.get(message.id)
    if (batch === undefined || !("id" in message) || message.id === undefined) return this.#send(message)
    batch.answers.push(message)
    return this.#settle(message.id, batch)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#input.off("data", this.#onData)
    this.#input.off("error", this.#onError)
    for (const end of ["end", "close"]) this.#input.off(end, this.#end)
    this.#input.pause()
    this.onclose?.()
    this.closed.resolve()
  }

  readonly #onData = (chunk: Uint8Array): void => this.#lines.push(chunk)

  readonly #onError = (error: Error): void => this.onerror?.(error)

  readonly #end = (): void => void this.close()

  #receive(bytes: Uint8Array): void {
    const line = Messages.parseLine(bytes)
    if (line === undefined) return
    if ("answer" in line) return this.#write(line.answer)
    if (Array.isArray(line.value)) return this.#receiveBatch(line.value)
    const reading = Messages.read(line.value)
    if (reading._tag === "Refused") return this.#write(reading.answer)
    this.#deliver(reading.message)
  }

  #receiveBatch(values: ReadonlyArray<unknown>): void {
    if (values.length === 0) return this.#write(Messages.invalid(values, "An empty batch is no message."))
    if (this.#version !== batchVersion) return this.#refuseBatch(values)
    const batch: Batch = { answers: [], waiting: new Set() }
    const messages: Array<JSONRPCMessage> = []
    for (const value of values) {
      const reading = Messages.read(value)
      if (reading._tag === "Refused") batch.answers.push(reading.answer)
      else if (!("method" in reading.message) || !("id" in reading.message)) messages.push(reading.message)
      else if (reading.message.method === "initialize") {
        batch.answers.push(Messages.invalid(value, "`initialize` cannot be part of a batch."))
      } else if (this.#batches.has(reading.message.id)) {
        batch.answers.push(Messages.invalid(value, "The id is that of a request that has no answer yet."))
      } else {
        batch.waiting.add(reading.message.id)
        this.#batches.set(reading.message.id, batch)
        messages.push(reading.message)
      }
    }
    if (batch.waiting.size === 0 && batch.answers.length > 0) void this.#send(batch.answers).catch(this.#onError)
    for (const message of messages) this.#deliver(message)
  }

  /** Each request of a batch that cannot be is told so under its id, as its sender waits for that. */
  #refuseBatch(values: ReadonlyArray<unknown>): void {
    const agreed = this.#version === undefined ? "has agreed on none yet" : `has agreed on ${this.#version}`
    const answers = values.map((value) =>
      Messages.invalid(
        value,
        `Batches are part of protocol ${batchVersion} alone, and this connection ${agreed}. Send each message on a line of its own. ` +
          "Nothing of the batch was done."
      )
    )
    const told = answers.filter(({ id }) => id !== null)
    for (const answer of told.length === 0 ? answers.slice(0, 1) : told) this.#write(answer)
  }

  #deliver(message: JSONRPCMessage): void {
    this.onmessage?.(message)
    if (!("method" in message) || message.method !== "notifications/cancelled") return
    const id = message.params?.["requestId"] as RequestId
    const batch = this.#batches.get(id)
    if (batch !== undefined) this.#settle(id, batch).catch(this.#onError)
  }

  /** A request of a batch needs no answer any more. */
  #settle(id: RequestId, batch: Batch): Promise<void> {
    this.#batches.delete(id)
    batch.waiting.delete(id)
    return batch.waiting.size > 0 || batch.answers.length === 0 ? Promise.resolve() : this.#send(batch.answers)
  }

  #write(answer: Messages.ErrorAnswer): void {
    this.#send(answer).catch(this.#onError)
  }

  #send(message: JSONRPCMessage | Messages.ErrorAnswer | Batch["answers"]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#output.write(`${JSON.stringify(message)}\n`, (error) => (error == null ? resolve() : reject(error)))
    })
  }
}
