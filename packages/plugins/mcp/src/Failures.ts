/**
 * What went wrong at a server, as an error that says whether the call may have had an effect.
 *
 * - The server answered with an error: it says itself that the call failed (`ToolFailed`).
 * - The request was not written as a whole: the call had no effect (`SourceUnavailable`, or `ToolFailed` while the server runs).
 * - The request was written and no answer came that can be read: nobody knows (`OutcomeUnknown`).
 */
import { OutcomeUnknown, SourceUnavailable, type ToolError, ToolFailed } from "@executor/sdk"
import { Effect } from "effect"
import { AnswerUnreadable, RequestRefused } from "./Answers.ts"
import type { AnyCall } from "./Calls.ts"
import { logPrinted } from "./Printed.ts"
import type { StdioProcess } from "./StdioProcess.ts"

/** How a call failed that ended with `error`. */
export const callFailure = (options: {
  readonly namespace: string
  readonly path: string
  readonly server: StdioProcess
  readonly call: AnyCall
  readonly error: unknown
}): Effect.Effect<never, ToolError> => {
  const { call, error, namespace, path, server } = options
  if (error instanceof RequestRefused) return Effect.fail(refused(path, error))
  return Effect.andThen(
    untilEnded(server, error),
    Effect.suspend((): Effect.Effect<never, ToolError> => {
      const sentAt = call.delivery?.sentAt
      if (sentAt !== undefined) return outcomeUnknown(path, server, sentAt, whatHappened(server, error))
      return server.isRunning && !isClosed(error)
        ? Effect.fail(new ToolFailed({ path, message: messageOf(error) }))
        : unavailable(namespace, server, error, "tools/call")
    })
  )
}

/** A call of which nobody knows whether it had an effect. `what` goes on after "and". */
export const outcomeUnknown = (
  path: string,
  server: StdioProcess,
  sentAt: Date,
  what: string
): Effect.Effect<never, OutcomeUnknown> => {
  const said = `the call was sent at ${sentAt.toISOString()}, and ${what}`
  return Effect.fail(new OutcomeUnknown({ path, message: `${said}${server.printed.inError}` }))
}

const whatHappened = (server: StdioProcess, error: unknown): string => {
  if (error instanceof AnswerUnreadable) return error.message
  if (server.ended !== undefined) return `its server ${server.ended} before it answered`
  return isClosed(error)
    ? "the connection to its server was closed before it answered"
    : `the answer of its server cannot be read (${messageOf(error).replace(/\s+/g, " ")})`
}

/** The error says how the server ended, and what it printed last. The log has all that is kept of it. */
export const unavailable = (
  namespace: string,
  server: StdioProcess,
  error: unknown,
  method: string
): Effect.Effect<never, SourceUnavailable> => {
  const next = method === "tools/call" ? ", before the call was sent. The next call starts it again" : ""
  const what = server.ended === undefined ? `failed: ${inWords(error, method)}` : `${server.ended}${next}`
  const { inError } = server.printed
  const failure = Effect.fail(
    new SourceUnavailable({ namespace, message: `${namespace}: its server ${what}${inError}` })
  )
  return inError === "" ? failure : Effect.andThen(logPrinted(namespace, server.printed), failure)
}

/** A write that failed tells nothing; how the process ends does. */
export const untilEnded = (server: StdioProcess, error: unknown): Effect.Effect<void> =>
  isBrokenPipe(error) ? Effect.promise(() => server.afterBrokenPipe()) : Effect.void

const isBrokenPipe = (error: unknown): boolean =>
  ["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED", "ERR_STREAM_WRITE_AFTER_END"].includes(String(codeOf(error)))

const isClosed = (error: unknown): boolean =>
  codeOf(error) === "CONNECTION_CLOSED" || codeOf(error) === "NOT_CONNECTED" || messageOf(error) === "Not connected"

/** The server says itself that the call failed. */
const refused = (path: string, error: RequestRefused): ToolFailed =>
  new ToolFailed({
    path,
    message: inWords(error, "tools/call"),
    ...(error.code === undefined ? {} : { code: error.code }),
    ...(error.data === undefined ? {} : { data: error.data })
  })

/** The protocol's error code for a method that a server does not know. */
export const methodNotFound = -32_601

/** What servers and streams say in a word or two, said so that a reader can act on it. */
const inWords = (error: unknown, method: string): string =>
  codeOf(error) === methodNotFound
    ? `it does not know the method \`${method}\` (it answers "${messageOf(error)}"). ${
        method === "tools/call"
          ? "Refresh the source, in case its tools have changed"
          : "Check that the command of the source is an MCP server that offers tools"
      }`
    : messageOf(error)

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
