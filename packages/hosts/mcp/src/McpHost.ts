/**
 * The MCP server: how an agent reaches the engine.
 *
 * It offers three tools, `execute`, `resume` and `executions` (see `Tools`), over one factory of protocol servers that serves both
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
import { ExecutionId, ExecutionInteractionId, type Executor } from "@executor/sdk"
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
import { Cause, Effect, FiberSet, Predicate, Result, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import process from "node:process"
import * as Caller from "./Caller.ts"
import * as Exchange from "./Exchange.ts"
import * as Executions from "./Executions.ts"
import { defaultMessageBytes, StdioTransport } from "./StdioTransport.ts"
import * as StdoutGuard from "./StdoutGuard.ts"
import * as ToolResult from "./ToolResult.ts"
import {
  decodeArguments,
  ExecuteArguments,
  executeTool,
  ExecutionsArguments,
  executionsTool,
  ResumeArguments,
  resumeTool
} from "./Tools.ts"
import * as Waiting from "./Waiting.ts"

/** What the server needs. */
export interface McpHostOptions {
  readonly engine: ExecutionEngine
  /** That of the engine: its history is where executions are found again. */
  readonly executor: Pick<Executor, "executions" | "scopes">
  /** The version of the command, told to clients. */
  readonly version: string
  /** What becomes of an execution that waits for a person when its client gives up; `keep` if absent. */
  readonly whenClientLeaves?: Waiting.WhenClientLeaves | undefined
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
  executor: McpHostOptions["executor"],
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
  if (params.name === "executions") {
    return Result.match(decodeArguments("executions", ExecutionsArguments, params.arguments), {
      onFailure: (message) => Effect.succeed(ToolResult.refused(message)),
      onSuccess: ({ executionId }) =>
        executionId === undefined ? Executions.list(executor) : Executions.show(executor, ExecutionId.make(executionId))
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

/** Tells with a result what earlier calls of its client have left waiting. */
const addNews = ({ caller, waiting }: Exchange.Exchange, result: Answer): Effect.Effect<Answer> => {
  if (!("content" in result)) return Effect.succeed(result)
  const outcome = result.structuredContent
  const id = Predicate.hasProperty(outcome, "executionId") ? outcome.executionId : undefined
  return Effect.map(waiting.news(Waiting.nameOfCaller(caller), id), (ids): Answer =>
    ToolResult.withNews(result as CallToolResult, ids)
  )
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
 * called. When the scope closes, calls under way are interrupted, and leave their executions as a client does that gives up.
 */
export const make = Effect.fn("McpHost.make")(function* (
  options: McpHostOptions
): Effect.fn.Return<McpServerFactory, never, Scope.Scope> {
  const { engine, executor, version, whenClientLeaves = "keep" } = options
  const asked: Exchange.Asked = new Map()
  const waiting = yield* Waiting.make({ engine, executor, whenClientLeaves })
  yield* Effect.addFinalizer(() => Exchange.abandon(waiting, asked))
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
          Effect.map((description) => ({
            tools: [executeTool(description, whenClientLeaves === "keep"), resumeTool, executionsTool]
          })),
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
      if (tool !== "execute" && tool !== "resume" && tool !== "executions") {
        throw new ProtocolError(
          ProtocolErrorCode.InvalidParams,
          `There is no tool "${tool}". This server has three: execute, resume and executions. ` +
            "The tools of sources are called from the code of execute."
        )
      }
      const exchange = { engine, asked, waiting, context, caller: Caller.fromRequest(era, server, context) }
      const called = Effect.flatMap(callTool(exchange, executor, request.params), (result) =>
        tool === "executions" ? Effect.succeed(result) : addNews(exchange, result)
      )
      return answer(called, context.mcpReq.signal)
    })
    return server
  }
})

/**
 * Serves the process's standard input and output until the client closes its end. Its calls leave their executions then, and
 * also when the fiber is interrupted. Nothing but protocol messages reaches standard output
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
