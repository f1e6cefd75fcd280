/**
 * A server of the fixture spoken to line by line, to see every byte it writes.
 */
import { Effect, Queue, Schema } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { serverCommand } from "./Connection.ts"

const Message = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  id: Schema.optionalKey(Schema.Union([Schema.Int, Schema.String, Schema.Null])),
  method: Schema.optionalKey(Schema.String),
  params: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  result: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  error: Schema.optionalKey(
    Schema.Struct({ code: Schema.Int, message: Schema.String, data: Schema.optionalKey(Schema.Unknown) })
  )
})
export type Message = typeof Message.Type

/** Fails on anything that is no JSON-RPC message on a line of its own. */
const decodeLine = Schema.decodeUnknownEffect(Schema.fromJsonString(Message))
const decodeBatch = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(Message)))

/** Starts a server; it is killed with the scope if it still runs. */
export const start = Effect.fnUntraced(function* (file: string, ...rest: ReadonlyArray<string>) {
  const { args, command } = serverCommand(file, ...rest)
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const lines = yield* Queue.unbounded<string>()
  createInterface({ input: child.stdout }).on("line", (line) => Queue.offerUnsafe(lines, line))
  let errors = ""
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
  child.stdin.on("error", () => {})
  const exited = new Promise<number | null>((resolve) => child.on("close", resolve))
  let nextId = 1

  const read = Effect.flatMap(Queue.take(lines), (line) => Effect.orDie(decodeLine(line)))
  const readBatch = Effect.flatMap(Queue.take(lines), (line) => Effect.orDie(decodeBatch(line)))
  const until: (accept: (message: Message) => boolean) => Effect.Effect<Message> = (accept) =>
    Effect.flatMap(read, (message) => (accept(message) ? Effect.succeed(message) : until(accept)))
  const write = (text: string) => Effect.sync(() => child.stdin.write(text))
  const send = (message: object) => write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)

  return {
    write,
    send,
    /** The next message. */
    read,
    /** The messages of the next line, which is a batch. */
    readBatch,
    /** The next message that is as wanted; those before it are read, checked and dropped. */
    until,
    /** Sends a request and waits for its response. */
    request: (method: string, params: object) =>
      Effect.suspend(() => {
        const id = nextId++
        return Effect.andThen(
          send({ id, method, params }),
          until((message) => message.id === id && message.method === undefined)
        )
      }),
    /** Closes both pipes at once, as a client that is killed does. */
    hangUp: Effect.sync(() => {
      child.stdin.destroy()
      child.stdout.destroy()
    }),
    endInput: Effect.sync(() => child.stdin.end()),
    terminate: Effect.sync(() => child.kill("SIGTERM")),
    /** The exit code, once the process has ended. */
    exitCode: Effect.promise(() => exited),
    /** What is left on standard output, and what was written to standard error. */
    rest: Effect.map(Queue.clear(lines), (left) => left),
    errors: () => errors
  }
})

const client = { name: "raw", version: "0" }

/** The handshake of the legacy era. */
export const initialize = {
  protocolVersion: "2025-11-25",
  capabilities: { elicitation: { form: {} } },
  clientInfo: client
}

/** What each request of the modern era carries. */
export const envelope = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": client,
  "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } }
}
