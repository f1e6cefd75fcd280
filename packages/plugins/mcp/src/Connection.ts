/**
 * An open MCP server: its process, the client that speaks to it, its tools, and calls.
 *
 * The client speaks both eras of the protocol. It first asks in the way of 2026-07-28 (`server/discover`) on the same
 * connection and goes on with `initialize` where the server does not know that; a server that ends over the unknown request is
 * started a second time and greeted in the old way only.
 */
import type { SourceConnection, SourceUnavailable, ToolContext, ToolError } from "@executor/sdk"
import type { CallToolResult, Client, ElicitRequestParams, ElicitResult, Tool } from "@modelcontextprotocol/client"
import { Effect, FiberSet, type Scope } from "effect"
import { type AnyCall, ask, callTool, idempotencyMetaKey, noTimeout, request } from "./Calls.ts"
import { serverEnvironment } from "./Environment.ts"
import { callFailure, unavailable, untilEnded } from "./Failures.ts"
import { defaultCallTimeoutMillis, defaultStartTimeoutMillis, type McpSourceConfig } from "./McpSourceConfig.ts"
import { putBack } from "./LargeMessages.ts"
import { makeQuestions } from "./Questions.ts"
import { StdioProcess } from "./StdioProcess.ts"
import { answerTimeoutMillis, withinCallTime, withinStartTime } from "./Timeouts.ts"
import { toDefinitions, toFailure, toResult } from "./ToolMapping.ts"

/** How long a server may take to answer the first request, which old ones may not know and never answer. */
const probeTimeoutMillis = 5000

/** Pages of `tools/list`: a server that never ends its list is broken. */
const maxToolPages = 1000

/** `elicitation/create` came with protocol 2025-06-18; versions are dates. */
const firstAskingVersion = "2025-06-18"

/** What is told to the server and used in messages. */
export interface OpenOptions {
  readonly namespace: string
  readonly clientVersion: string
}

interface Connected {
  readonly server: StdioProcess
  readonly client: Client
}

/** Starts a server, and ends it with the scope. */
export const open = Effect.fn("McpPlugin.open")(function* (
  config: McpSourceConfig,
  options: OpenOptions
): Effect.fn.Return<SourceConnection, SourceUnavailable, Scope.Scope> {
  const { namespace } = options
  const startTimeout = config.startTimeoutMillis ?? defaultStartTimeoutMillis
  const callTimeout = config.callTimeoutMillis ?? defaultCallTimeoutMillis
  const { server, client } = yield* start(config, options).pipe(withinStartTime(namespace, "start", startTimeout))
  const questions = makeQuestions<ElicitRequestParams, ElicitResult>({ exclusive: asksUnattributed(client) })
  client.setRequestHandler(
    "elicitation/create",
    async (question) => (await questions.answer(question.params)) ?? { action: "cancel" }
  )

  const invoke = Effect.fnUntraced(function* (
    name: string,
    args: unknown,
    context: ToolContext
  ): Effect.fn.Return<CallToolResult, ToolError, Scope.Scope> {
    const answerer = (question: ElicitRequestParams) => ask(context, question)
    const run = yield* FiberSet.makeRuntimePromise<never, ElicitResult, never>()
    const call: AnyCall = {
      tool: name,
      ask: (question) => run(answerer(question)),
      started: false,
      pending: 0,
      delivery: undefined
    }
    const params = {
      name,
      arguments: args as Record<string, unknown>,
      ...(context.idempotencyKey === undefined ? {} : { _meta: { [idempotencyMetaKey]: context.idempotencyKey } })
    }
    const outcome = questions.during(call, callTool(client, call, answerer, params)).pipe(
      Effect.map(putBack),
      Effect.catch((error) => callFailure({ namespace, path: context.path, server, call, error }))
    )
    return yield* withinCallTime(outcome, {
      call,
      path: context.path,
      millis: callTimeout,
      isAlive: isAlive(client, callTimeout),
      end: Effect.promise(() => server.close("did not answer any more and was ended"))
    })
  })

  return {
    listTools: listTools(client).pipe(
      Effect.map(toDefinitions),
      Effect.catch((error) => unavailable(namespace, server, error, "tools/list")),
      withinStartTime(namespace, "list its tools", startTimeout)
    ),
    invoke: (tool, args, context) =>
      Effect.flatMap(Effect.scoped(invoke(tool.binding ?? tool.name, args, context)), (result) =>
        result.isError === true ? Effect.fail(toFailure(context.path, result)) : Effect.succeed(toResult(result))
      ),
    isOpen: () => server.isRunning && questions.isUsable()
  } satisfies SourceConnection
})

const start = Effect.fnUntraced(function* (
  config: McpSourceConfig,
  { namespace, clientVersion }: OpenOptions
): Effect.fn.Return<Connected, SourceUnavailable, Scope.Scope> {
  const env = yield* serverEnvironment(namespace, config.env ?? [])
  const mcp = yield* Effect.promise(() => import("@modelcontextprotocol/client"))

  const connect = Effect.fnUntraced(function* (mode: "auto" | "legacy") {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => new StdioProcess({ command: config.command, args: config.args ?? [], cwd: config.cwd, env })),
      (server) => Effect.promise(() => server.close())
    )
    const client = new mcp.Client(
      { name: "executor", version: clientVersion },
      {
        capabilities: { elicitation: { form: {}, url: {} } },
        versionNegotiation: { mode, probe: { timeoutMs: probeTimeoutMillis } }
      }
    )
    return yield* request(() => client.connect(server, { timeout: noTimeout })).pipe(
      Effect.as({ server, client }),
      Effect.catch((error) => Effect.andThen(untilEnded(server, error), Effect.fail({ server, error })))
    )
  })

  return yield* connect("auto").pipe(
    Effect.catch((failure) =>
      failure.server.pid !== undefined && failure.server.ended !== undefined ? connect("legacy") : Effect.fail(failure)
    ),
    Effect.catch(({ server, error }) => unavailable(namespace, server, error, "initialize"))
  )
})

/** Whether questions of this server come without saying for which call. */
const asksUnattributed = (client: Client): boolean =>
  client.getProtocolEra() !== "modern" &&
  (client.getNegotiatedProtocolVersion() ?? firstAskingVersion) >= firstAskingVersion

const listTools = Effect.fnUntraced(function* (client: Client): Effect.fn.Return<ReadonlyArray<Tool>, unknown> {
  if (client.getServerCapabilities()?.tools === undefined) return []
  const tools: Array<Tool> = []
  let cursor: string | undefined
  for (let page = 0; page < maxToolPages; page++) {
    const params = cursor === undefined ? {} : { cursor }
    const result = yield* request((signal) =>
      client.request({ method: "tools/list", params }, { signal, timeout: noTimeout })
    )
    tools.push(...result.tools)
    cursor = result.nextCursor
    if (cursor === undefined) return tools
  }
  return yield* Effect.fail(new Error(`its list of tools has more than ${maxToolPages} pages`))
})

/** A server that is only slow with one call still answers others. */
const isAlive = (client: Client, callTimeout: number): Effect.Effect<boolean> =>
  request((signal) =>
    client.request({ method: "tools/list" }, { signal, timeout: Math.min(answerTimeoutMillis, callTimeout) })
  ).pipe(
    Effect.as(true),
    Effect.catch(() => Effect.succeed(false))
  )
