/**
 * The MCP server: how an agent reaches the engine.
 *
 * It offers two tools, `execute` and `resume` (see `Tools`), over one factory of protocol servers that serves both
 * protocol eras: the one that opens with `initialize`, and the one of 2026-07-28 in which each request is complete in
 * itself. `Exchange` tells the life of a call.
 *
 * `serveStdio` serves the process's own standard input and output, for clients that start a server as their child.
 * Other transports take the factory of `make`, which holds nothing of one connection.
 *
 * Errors: what a model can mend (arguments, refused code, an answer that does not fit) is a tool result with `isError`,
 * so that the model sees it. A defect is logged with its cause and a correlation id, and the client is told the id and
 * nothing else.
 */
import type { ExecutionEngine } from "@executor/execution"
import { ExecutionId, ExecutionInteractionId } from "@executor/sdk"
import {
  type CallToolRequest,
  type CallToolResult,
  type InputRequiredResult,
  type McpServerFactory,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext
} from "@modelcontextprotocol/server"
import { serveStdio as serveProtocol } from "@modelcontextprotocol/server/stdio"
import { Cause, Effect, FiberSet, Result, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import process from "node:process"
import * as Caller from "./Caller.ts"
import * as Exchange from "./Exchange.ts"
import { defaultMessageBytes, StdioTransport } from "./StdioTransport.ts"
import * as StdoutGuard from "./StdoutGuard.ts"
import * as ToolResult from "./ToolResult.ts"
import { decodeArguments, ExecuteArguments, executeTool, ResumeArguments, resumeTool } from "./Tools.ts"

/** What the server needs. */
export interface McpHostOptions {
  readonly engine: ExecutionEngine
  /** The version of the command, told to clients. */
  readonly version: string
  /** The largest message of a client that is taken, in bytes; 16 MiB if absent. */
  readonly messageBytes?: number | undefined
}

type Answer = CallToolResult | InputRequiredResult

const name = "executor"

const instructions =
  "Write one piece of TypeScript that does the whole job, and run it with `execute`: it calls tools, combines and " +
  "filters their results, and returns only what matters. The description of `execute` says which tools there are, " +
  "and how to find more."

/** Logs a defect with its cause, and gives the id that the log and the client share. */
const reportDefect = (cause: Cause.Cause<unknown>) => {
  const correlationId = randomUUID()
  return Effect.as(
    Effect.annotateLogs(Effect.logError("A request of an MCP client failed inside the server", cause), {
      correlationId
    }),
    correlationId
  )
}

const callTool = (
  exchange: Exchange.Exchange,
  params: CallToolRequest["params"]
): Effect.Effect<Answer, { readonly message: string }> => {
  const state = exchange.context.mcpReq.requestState<string>()
  const proceed = () =>
    (state === undefined ? undefined : Exchange.proceed(exchange, ExecutionId.make(state))) ??
    Effect.succeed(
      ToolResult.refused(
        "The execution that this answer belongs to waits for none: it has ended, or was answered elsewhere."
      )
    )

  if (params.name === "execute") {
    return Result.match(decodeArguments("execute", ExecuteArguments, params.arguments), {
      onFailure: (message) => Effect.succeed(ToolResult.refused(message)),
      onSuccess: ({ code, idempotencyKey }) =>
        state === undefined ? Exchange.execute(exchange, code, idempotencyKey) : proceed()
    })
  }
  return Result.match(decodeArguments("resume", ResumeArguments, params.arguments), {
    onFailure: (message) => Effect.succeed(ToolResult.refused(message)),
    onSuccess: ({ executionId, action, anyBuild, content, interactionId }) =>
      state === undefined
        ? Exchange.resume(exchange, ExecutionId.make(executionId), {
            action,
            content,
            anyBuild,
            interactionId: interactionId === undefined ? undefined : ExecutionInteractionId.make(interactionId)
          })
        : proceed()
  })
}

const describe = (engine: ExecutionEngine) =>
  engine.getDescription.pipe(
    Effect.catch((error) =>
      Effect.succeed(
        "Runs TypeScript in a sandbox that can call tools: `await tools.<namespace>.<tool>(input)`. Which there are " +
          `could not be read (${error.message}); \`tools.search({ query })\` finds them inside the code.`
      )
    )
  )

/**
 * Makes the factory of protocol servers: one for each connection or request, cheap and without effects until it is
 * called. When the scope closes, calls under way are interrupted, and what waits for an answer of a client is
 * cancelled.
 */
export const make = Effect.fn("McpHost.make")(function* (
  options: McpHostOptions
): Effect.fn.Return<McpServerFactory, never, Scope.Scope> {
  const { engine, version } = options
  const asked: Exchange.Asked = new Map()
  yield* Effect.addFinalizer(() => Exchange.abandon(engine, asked))
  const run = yield* FiberSet.makeRuntimePromise()

  const answer = (effect: Effect.Effect<Answer, { readonly message: string }>, signal: AbortSignal): Promise<Answer> =>
    run(
      effect.pipe(
        Effect.catch(({ message }) => Effect.succeed<Answer>(ToolResult.refused(message))),
        Effect.catchCause((cause) =>
          Cause.hasInterrupts(cause)
            ? Effect.failCause(cause)
            : Effect.map(reportDefect(cause), (id) =>
                ToolResult.refused(
                  `The server failed. This is not the code's fault. The server's log has the cause under ${id}.`
                )
              )
        )
      ),
      { signal }
    )

  return ({ era }) => {
    const server = new Server(
      { name, title: "Executor", version },
      { capabilities: { tools: {} }, instructions, inputRequired: { legacyShim: false } }
    )
    server.setRequestHandler("tools/list", (_request, context) =>
      run(
        describe(engine).pipe(
          Effect.map((description) => ({ tools: [executeTool(description), resumeTool] })),
          Effect.catchCause((cause) =>
            Cause.hasInterrupts(cause)
              ? Effect.failCause(cause)
              : Effect.flatMap(reportDefect(cause), (id) =>
                  Effect.fail(
                    new ProtocolError(
                      ProtocolErrorCode.InternalError,
                      `The server failed. Its log has the cause under ${id}.`
                    )
                  )
                )
          )
        ),
        { signal: context.mcpReq.signal }
      )
    )
    server.setRequestHandler("tools/call", (request, context: ServerContext) => {
      const { name: tool } = request.params
      if (tool !== "execute" && tool !== "resume") {
        throw new ProtocolError(
          ProtocolErrorCode.InvalidParams,
          `There is no tool "${tool}". This server has two: execute and resume. ` +
            "The tools of sources are called from the code of execute."
        )
      }
      const exchange = { engine, asked, context, caller: Caller.fromRequest(era, server, context) }
      return answer(callTool(exchange, request.params), context.mcpReq.signal)
    })
    return server
  }
})

/**
 * Serves the process's standard input and output until the client closes its end. The executions that its calls wait
 * for are cancelled then, and also when the fiber is interrupted. Nothing but protocol messages reaches standard output
 * meanwhile.
 */
export const serveStdio = Effect.fn("McpHost.serveStdio")(function* (options: McpHostOptions) {
  const stdout = yield* StdoutGuard.acquire
  const factory = yield* make(options)
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const transport = new StdioTransport(process.stdin, stdout, options.messageBytes ?? defaultMessageBytes)
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      serveProtocol(factory, {
        transport,
        onerror: (error) => {
          runFork(Effect.logWarning("The MCP connection reported an error", error.message))
        }
      })
    ),
    (handle) => Effect.promise(() => handle.close())
  )
  yield* Effect.promise(() => transport.closed.promise)
}, Effect.scoped)
