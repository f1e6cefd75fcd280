/**
 * An open MCP server: its process, the client that speaks to it, its tools, and calls.
 *
 * The client speaks both eras of the protocol. It first asks in the way of 2026-07-28 (`server/discover`) on the same
 * connection and goes on with `initialize` where the server does not know that; a server that ends over the unknown request is
 * started a second time and greeted in the old way only.
 */
import {
  type ElicitationRequest,
  type ElicitationResponse,
  type SourceConnection,
  SourceUnavailable,
  type ToolContext,
  ToolFailed
} from "@executor/sdk"
import type {
  CallToolResult,
  Client,
  ElicitRequestParams,
  ElicitResult,
  InputRequiredResult,
  InputResponses,
  Tool
} from "@modelcontextprotocol/client"
import { Effect, FiberSet, Option, Schema, type Scope } from "effect"
import { serverEnvironment } from "./Environment.ts"
import { defaultCallTimeoutMillis, defaultStartTimeoutMillis, type McpSourceConfig } from "./McpSourceConfig.ts"
import { type Call, makeQuestions } from "./Questions.ts"
import { StdioProcess } from "./StdioProcess.ts"
import { toDefinitions, toFailure, toResult } from "./ToolMapping.ts"
import { answerTimeoutMillis, withinCallTime } from "./Timeouts.ts"

/** The key of `_meta` that carries the idempotency key of a call. */
export const idempotencyMetaKey = "executor/idempotencyKey"

/** How long a server may take to answer the first request, which old ones may not know and never answer. */
const probeTimeoutMillis = 5000

/** Pages of `tools/list`: a server that never ends its list is broken. */
const maxToolPages = 1000

/** Times that one call may come back with more questions. */
const maxQuestionRounds = 20

/** The client's own timeouts are out of the way: a person's thinking time must not count, and ours know about that. */
const noTimeout = 2_147_483_647

/** `elicitation/create` came with protocol 2025-06-18; versions are dates. */
const firstAskingVersion = "2025-06-18"

/** The error code of a call that is refused until pages have been visited. */
const urlElicitationRequired = -32_042

type AnyCall = Call<ElicitRequestParams, ElicitResult>

type Answerer = (question: ElicitRequestParams) => Effect.Effect<ElicitResult>

/** Starts a server, and ends it with the scope. */
export const open = Effect.fn("McpPlugin.open")(function* (
  config: McpSourceConfig,
  options: { readonly namespace: string; readonly clientVersion: string }
): Effect.fn.Return<SourceConnection, SourceUnavailable, Scope.Scope> {
  const { namespace } = options
  const callTimeout = config.callTimeoutMillis ?? defaultCallTimeoutMillis
  const startTimeout = config.startTimeoutMillis ?? defaultStartTimeoutMillis
  const env = yield* serverEnvironment(namespace, config.env ?? [])
  const mcp = yield* Effect.promise(() => import("@modelcontextprotocol/client"))

  const connect = Effect.fnUntraced(function* (mode: "auto" | "legacy") {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => new StdioProcess({ command: config.command, args: config.args ?? [], cwd: config.cwd, env })),
      (server) => Effect.promise(() => server.close())
    )
    const client = new mcp.Client(
      { name: "executor", version: options.clientVersion },
      {
        capabilities: { elicitation: { form: {}, url: {} } },
        versionNegotiation: { mode, probe: { timeoutMs: Math.min(probeTimeoutMillis, startTimeout) } }
      }
    )
    return yield* Effect.tryPromise({
      try: () => client.connect(server, { timeout: noTimeout }),
      catch: (error) => ({ server, error })
    }).pipe(Effect.as({ server, client }))
  })

  const { server, client } = yield* connect("auto").pipe(
    Effect.catch((failure) =>
      failure.server.pid !== undefined && failure.server.ended !== undefined ? connect("legacy") : Effect.fail(failure)
    ),
    Effect.catch(({ server, error }) => unavailable(namespace, server, error)),
    Effect.timeoutOrElse({
      duration: startTimeout,
      orElse: () =>
        Effect.fail(
          new SourceUnavailable({
            namespace,
            message: `${namespace}: its server did not start within ${startTimeout} ms (the setting startTimeoutMillis)`
          })
        )
    })
  )

  const version = client.getNegotiatedProtocolVersion() ?? firstAskingVersion
  const questions = makeQuestions<ElicitRequestParams, ElicitResult>({
    exclusive: client.getProtocolEra() !== "modern" && version >= firstAskingVersion
  })
  client.setRequestHandler(
    "elicitation/create",
    async (request) => (await questions.answer(request.params)) ?? { action: "cancel" }
  )

  const invoke: SourceConnection["invoke"] = (tool, args, context) =>
    Effect.scoped(
      Effect.gen(function* () {
        const answerer: Answerer = (question) => ask(context, question)
        const run = yield* FiberSet.makeRuntimePromise<never, ElicitResult, never>()
        const call: AnyCall = {
          tool: tool.binding ?? tool.name,
          ask: (question) => run(answerer(question)),
          started: false,
          pending: 0
        }
        const params = {
          name: call.tool,
          arguments: args as Record<string, unknown>,
          ...(context.idempotencyKey === undefined ? {} : { _meta: { [idempotencyMetaKey]: context.idempotencyKey } })
        }
        const outcome = questions
          .during(call, callTool(client, call, answerer, params))
          .pipe(Effect.catch((error) => callFailure({ namespace, path: context.path, server, error })))
        return yield* withinCallTime(outcome, {
          call,
          path: context.path,
          namespace,
          millis: callTimeout,
          isAlive: isAlive(client, callTimeout)
        })
      })
    )

  return {
    invoke: (tool, args, context) =>
      Effect.flatMap(invoke(tool, args, context), (result) => {
        const answer = result as CallToolResult
        return answer.isError === true ? Effect.fail(toFailure(context.path, answer)) : Effect.succeed(toResult(answer))
      }),
    listTools: listTools(client).pipe(
      Effect.map(toDefinitions),
      Effect.catch((error) => unavailable(namespace, server, error)),
      Effect.timeoutOrElse({
        duration: startTimeout,
        orElse: () =>
          Effect.fail(
            new SourceUnavailable({
              namespace,
              message: `${namespace}: its server did not list its tools within ${startTimeout} ms (the setting startTimeoutMillis)`
            })
          )
      })
    ),
    isOpen: () => server.isRunning && questions.isUsable()
  } satisfies SourceConnection
})

const request = <A>(f: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: f, catch: (error) => error })

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

const callTool = Effect.fnUntraced(function* (
  client: Client,
  call: AnyCall,
  answerer: Answerer,
  params: { readonly name: string; readonly arguments: Record<string, unknown> }
): Effect.fn.Return<CallToolResult, unknown> {
  let answers: { readonly inputResponses?: InputResponses; readonly requestState?: string } = {}
  for (let round = 0; round < maxQuestionRounds; round++) {
    const sent = { ...params, ...answers }
    const result = yield* request<CallToolResult | InputRequiredResult>((signal) =>
      client.request({ method: "tools/call", params: sent }, { signal, timeout: noTimeout, allowInputRequired: true })
    ).pipe(Effect.catch((error) => visitPages(call, answerer, error)))
    if (result === "visited") continue
    if (!isInputRequired(result)) return result
    answers = {
      inputResponses: yield* answerAll(call, answerer, result),
      ...(result.requestState === undefined ? {} : { requestState: result.requestState })
    }
  }
  return yield* Effect.fail(new Error(`asked more than ${maxQuestionRounds} times`))
})

/** Before 2026-07-28 a server refuses a call with this error until pages have been visited; the call was not made. */
const visitPages = Effect.fnUntraced(function* (
  call: AnyCall,
  answerer: Answerer,
  error: unknown
): Effect.fn.Return<"visited", unknown> {
  const pages = decodePages(error)
  if (Option.isNone(pages)) return yield* Effect.fail(error)
  for (const page of pages.value.data.elicitations) {
    const { action } = yield* askFor(call, answerer({ ...page, mode: "url" }))
    if (action !== "accept") return yield* Effect.fail(new Error(`wants a page to be visited first: ${page.message}`))
  }
  return "visited"
})

const decodePages = Schema.decodeUnknownOption(
  Schema.Struct({
    code: Schema.Literal(urlElicitationRequired),
    data: Schema.Struct({
      elicitations: Schema.Array(
        Schema.Struct({ message: Schema.String, url: Schema.String, elicitationId: Schema.String })
      )
    })
  })
)

/** Runs a question, during which the call's time does not pass. */
const askFor = (call: AnyCall, question: Effect.Effect<ElicitResult>): Effect.Effect<ElicitResult> =>
  Effect.suspend(() => {
    call.pending++
    return Effect.ensuring(
      question,
      Effect.sync(() => call.pending--)
    )
  })

const isInputRequired = (result: CallToolResult | InputRequiredResult): result is InputRequiredResult =>
  "resultType" in result && result.resultType === "input_required"

const answerAll = Effect.fnUntraced(function* (
  call: AnyCall,
  answerer: Answerer,
  result: InputRequiredResult
): Effect.fn.Return<InputResponses, Error> {
  const responses: InputResponses = {}
  for (const [key, input] of Object.entries(result.inputRequests ?? {})) {
    if (input.method !== "elicitation/create") {
      return yield* Effect.fail(new Error(`wants ${input.method}, which is not offered to servers`))
    }
    responses[key] = yield* askFor(call, answerer(input.params))
  }
  return responses
})

const ask = (context: ToolContext, question: ElicitRequestParams): Effect.Effect<ElicitResult> => {
  const request = toRequest(question)
  return request === undefined
    ? Effect.succeed({ action: "cancel" })
    : Effect.map(context.elicit(request), ({ action, content }: ElicitationResponse) => ({
        action,
        ...(action === "accept" && request.kind === "form" ? { content: (content ?? {}) as FormContent } : {})
      }))
}

/** A page is shown only if it is a web page. */
const toRequest = (question: ElicitRequestParams): ElicitationRequest | undefined => {
  if (question.mode !== "url") {
    return { kind: "form", message: question.message, requestedSchema: question.requestedSchema }
  }
  const url = URL.canParse(question.url) ? new URL(question.url) : undefined
  return url?.protocol === "https:" || url?.protocol === "http:"
    ? { kind: "url", message: question.message, url: url.href }
    : undefined
}

type FormContent = NonNullable<ElicitResult["content"]>

const callFailure = (options: {
  readonly namespace: string
  readonly path: string
  readonly server: StdioProcess
  readonly error: unknown
}): Effect.Effect<never, ToolFailed | SourceUnavailable> => {
  const { namespace, path, server, error } = options
  if (server.ended !== undefined || codeOf(error) === "CONNECTION_CLOSED" || codeOf(error) === "NOT_CONNECTED") {
    return unavailable(namespace, server, error)
  }
  return Effect.fail(new ToolFailed({ path, message: messageOf(error) }))
}

/** The error says how the server ended and nothing that it wrote; that is for the host's debug log. */
const unavailable = (
  namespace: string,
  server: StdioProcess,
  error: unknown
): Effect.Effect<never, SourceUnavailable> =>
  Effect.andThen(
    Effect.logDebug("An MCP server is not available.", { namespace, ended: server.ended, stderr: server.stderrTail }),
    Effect.fail(
      new SourceUnavailable({
        namespace,
        message: `${namespace}: its server ${server.ended ?? `failed: ${messageOf(error)}`}`
      })
    )
  )

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
