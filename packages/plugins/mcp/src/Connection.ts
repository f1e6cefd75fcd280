/**
 * An MCP server as a source: its tools, and calls of them.
 */
import type { SourceConnection, SourceUnavailable, ToolContext, ToolError } from "@executor/sdk"
import type { Client, ElicitRequestParams, ElicitResult } from "@modelcontextprotocol/client"
import { Effect, Fiber, Predicate, type Scope } from "effect"
import { RequestRefused, takeAnswer, unreadable } from "./Answers.ts"
import { type AnyCall, ask, callTool, idempotencyMetaKey, noTimeout, request } from "./Calls.ts"
import { callFailure, methodNotFound, unavailable } from "./Failures.ts"
import {
  defaultCallTimeoutMillis,
  defaultIdleTimeoutMillis,
  defaultMaxProcesses,
  type McpSourceConfig,
  startLimit
} from "./McpSourceConfig.ts"
import { makeManners, type NoTurn } from "./Questions.ts"
import { type CallResult, toFailure, toValue } from "./Results.ts"
import { type OpenOptions, type Server, startServer } from "./Server.ts"
import { makeServers } from "./Servers.ts"
import { answerTimeoutMillis, makeCallTimes, maxTurnMillis, withinStartTime } from "./Timeouts.ts"
import { toTools } from "./ToolMapping.ts"

/** Pages of `tools/list`: a server that never ends its list is broken. */
const maxToolPages = 1000

/** Opens a source: starts its server, and ends it with the scope. */
export const open = Effect.fn("McpPlugin.open")(function* (
  config: McpSourceConfig,
  options: OpenOptions
): Effect.fn.Return<SourceConnection, SourceUnavailable, Scope.Scope> {
  const { namespace } = options
  const callTimeout = config.callTimeoutMillis ?? options.limits.callTimeoutMillis ?? defaultCallTimeoutMillis
  const servers = yield* makeServers({
    namespace,
    start: startServer(config, options, makeManners()),
    turnMillis: Math.min(maxTurnMillis, callTimeout),
    maxProcesses: config.maxProcesses ?? options.limits.maxProcesses ?? defaultMaxProcesses,
    idleMillis: config.idleTimeoutMillis ?? options.limits.idleTimeoutMillis ?? defaultIdleTimeoutMillis
  })
  yield* servers.use(() => Effect.void)
  const times = yield* makeCallTimes(callTimeout)

  const callAt = Effect.fnUntraced(function* (
    server: Server,
    name: string,
    args: unknown,
    context: ToolContext
  ): Effect.fn.Return<CallResult, ToolError | NoTurn> {
    const { client, process, questions } = server
    const answerer = (question: ElicitRequestParams) => ask(context, question)
    const runFork = Effect.runForkWith(yield* Effect.context<never>())
    const asking = new Set<Fiber.Fiber<ElicitResult>>()
    const call: AnyCall = {
      tool: name,
      ask: (question) => {
        const fiber = runFork(answerer(question))
        asking.add(fiber)
        return Effect.runPromise(Fiber.join(fiber))
      },
      started: false,
      pending: 0,
      delivery: undefined
    }
    const params = {
      name,
      arguments: args as Record<string, unknown>,
      ...(context.idempotencyKey === undefined ? {} : { _meta: { [idempotencyMetaKey]: context.idempotencyKey } })
    }
    const outcome = callTool(client, call, answerer, params).pipe(
      Effect.catch((error) => callFailure({ namespace, path: context.path, server: process, call, error }))
    )
    return yield* times
      .within(questions.during(call, outcome), {
        call,
        server: process,
        path: context.path,
        isAlive: isAlive(client, callTimeout),
        hangs: Effect.sync(() => {
          server.hangs = true
        })
      })
      .pipe(Effect.ensuring(Effect.suspend(() => (asking.size === 0 ? Effect.void : Fiber.interruptAll(asking)))))
  })

  const invoke = (name: string, args: unknown, context: ToolContext) =>
    servers.call({ tool: name, path: context.path }, (server) => callAt(server, name, args, context))

  return {
    listTools: servers.use((server) =>
      listing(server, listTools(server.client)).pipe(
        Effect.map((tools) => ({ ...toTools(tools), notes: notPassedOn(server.client) })),
        Effect.catch((error) => unavailable(namespace, server.process, error, "tools/list")),
        withinStartTime({
          namespace,
          what: "list its tools",
          limit: startLimit(config, options.limits),
          printed: server.process.printed
        })
      )
    ),
    invoke: (tool, args, context) =>
      Effect.flatMap(invoke(tool.binding ?? tool.name, args, context), (result) =>
        result.isError ? Effect.fail(toFailure(context.path, result)) : toValue(result)
      ),
    recovers: true
  } satisfies SourceConnection
})

/** All tools that the server names, as it describes them. */
const listTools = Effect.fnUntraced(function* (client: Client): Effect.fn.Return<ReadonlyArray<unknown>, unknown> {
  const tools: Array<unknown> = []
  const cursors = new Set<string>()
  let cursor: string | undefined
  for (let page = 0; page < maxToolPages; page++) {
    const params = cursor === undefined ? {} : { cursor }
    const result = yield* request((signal) =>
      client.request({ method: "tools/list", params }, { signal, timeout: noTimeout })
    ).pipe(Effect.flatMap(takeAnswer), Effect.catch(orNoTools(client)))
    const { nextCursor, tools: listed = [] }: Record<string, unknown> = Predicate.isObject(result)
      ? result
      : { tools: result }
    if (listed !== null && !Array.isArray(listed)) return yield* unreadable("tools/list", "has no list of tools")
    for (const tool of listed ?? []) tools.push(tool)
    // An empty cursor, and a cursor that came before, lead nowhere.
    if (nextCursor == null || nextCursor === "" || cursors.has(String(nextCursor))) return tools
    cursor = String(nextCursor)
    cursors.add(cursor)
  }
  return yield* Effect.fail(new Error(`its list of tools has more than ${maxToolPages} pages`))
})

/** What a server offers beside tools, and no caller gets. */
const notPassedOn = (client: Client): ReadonlyArray<string> => {
  const { prompts, resources } = client.getServerCapabilities() ?? {}
  const offers = [...(resources === undefined ? [] : ["resources"]), ...(prompts === undefined ? [] : ["prompts"])]
  return offers.length === 0
    ? []
    : [`It also offers ${offers.join(" and ")}, which are not passed on: only its tools are.`]
}

/** A server that does not say that it has tools may still have them, and may refuse the question. */
const orNoTools = (client: Client) => (error: unknown) =>
  error instanceof RequestRefused &&
  error.code === methodNotFound &&
  client.getServerCapabilities()?.tools === undefined
    ? Effect.succeed({})
    : Effect.fail(error)

/** A server that is only slow with one call still answers others. */
const isAlive = (client: Client, callTimeout: number): Effect.Effect<boolean> =>
  request((signal) =>
    client.request({ method: "tools/list" }, { signal, timeout: Math.min(answerTimeoutMillis, callTimeout) })
  ).pipe(
    Effect.as(true),
    Effect.catch(() => Effect.succeed(false))
  )

const listing = <A, E>(server: Server, list: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      server.isListing = true
    }),
    () => list,
    () =>
      Effect.sync(() => {
        server.isListing = false
      })
  )
