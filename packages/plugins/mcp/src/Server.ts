/**
 * One running MCP server: its process, and the client that speaks to it.
 *
 * The client speaks both eras of the protocol. It first asks in the way of 2026-07-28 (`server/discover`) on the same
 * connection and goes on with `initialize` where the server does not know that; a server that ends over the unknown request is
 * started a second time and greeted in the old way only.
 */
import { SourceProgress, SourceUnavailable } from "@executor/sdk"
import type { Client, ElicitRequestParams, ElicitResult } from "@modelcontextprotocol/client"
import { Effect, type Scope } from "effect"
import { noTimeout, request } from "./Calls.ts"
import { serverEnvironment, withheldNote } from "./Environment.ts"
import { unavailable, untilEnded } from "./Failures.ts"
import { type McpSourceConfig, type ServerLimits, startLimit } from "./McpSourceConfig.ts"
import { Printed } from "./Printed.ts"
import { makeQuestions, type Manners, type Questions } from "./Questions.ts"
import { secretsOf } from "./Secrets.ts"
import { StdioProcess } from "./StdioProcess.ts"
import { withinStartTime } from "./Timeouts.ts"

/** How long a server may take to answer the first request, which old ones may not know and never answer. */
const probeTimeoutMillis = 5000

/** How long a server may take to agree that it is listened to. Nothing waits for that. */
const listenTimeoutMillis = 60_000

/** `elicitation/create` came with protocol 2025-06-18; versions are dates. */
const firstAskingVersion = "2025-06-18"

/** Settings of a start that do not come from the configuration. */
export interface OpenOptions {
  readonly namespace: string
  readonly onToolsChanged: (() => void) | undefined
  readonly clientVersion: string
  /** Limits of sources that have none of their own. */
  readonly limits: ServerLimits
}

/** A running server. */
export interface Server {
  readonly process: StdioProcess
  readonly client: Client
  readonly questions: Questions<ElicitRequestParams, ElicitResult>
  /** It answers nothing any more. */
  hangs: boolean
  /** Its tools are being listed. */
  isListing: boolean
}

/** Starts a server, and ends it with the scope. */
export const startServer = Effect.fnUntraced(function* (
  config: McpSourceConfig,
  options: OpenOptions,
  manners: Manners
): Effect.fn.Return<Server, SourceUnavailable, Scope.Scope> {
  const { namespace } = options
  const report = yield* SourceProgress
  const printed = new Printed(secretsOf(config), (line) => report(namespace, line))
  const { client, process } = yield* connect(config, options, printed).pipe(
    withinStartTime({ namespace, what: "start", limit: startLimit(config, options.limits), printed })
  )
  const questions = makeQuestions<ElicitRequestParams, ElicitResult>({ exclusive: asksUnattributed(client), manners })
  client.setRequestHandler(
    "elicitation/create",
    async (question) => (await questions.answer(question.params)) ?? { action: "cancel" }
  )
  yield* hearOfChanges(client)
  const server: Server = { process, client, questions, hangs: false, isListing: false }
  client.setNotificationHandler("notifications/tools/list_changed", () => {
    // Some servers say so whenever they are asked for the list; that must not go round in circles.
    if (!server.isListing) options.onToolsChanged?.()
  })
  return server
})

/** Since 2026-07-28 a server tells of changes only to clients that listen. Tools of a server that refuses are learned by a refresh. */
const hearOfChanges = Effect.fnUntraced(function* (client: Client): Effect.fn.Return<void, never, Scope.Scope> {
  if (client.getProtocolEra() !== "modern" || client.getServerCapabilities()?.tools?.listChanged !== true) return
  const listening = request((signal) =>
    client.listen({ toolsListChanged: true }, { signal, timeout: listenTimeoutMillis })
  )
  yield* listening.pipe(
    Effect.catch((error) => Effect.logDebug("An MCP server does not tell of changes of its tools.", error)),
    Effect.forkScoped
  )
})

const connect = Effect.fnUntraced(function* (
  config: McpSourceConfig,
  { clientVersion, namespace }: OpenOptions,
  printed: Printed
): Effect.fn.Return<Pick<Server, "process" | "client">, SourceUnavailable, Scope.Scope> {
  const { env, withheld } = yield* serverEnvironment(namespace, config.env ?? [])
  const mcp = yield* Effect.promise(() => import("@modelcontextprotocol/client"))
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const onNoise = (text: string) =>
    void runFork(
      Effect.logDebug("An MCP server printed text that is no message.", { namespace, text: text.slice(0, 200) })
    )

  const attempt = Effect.fnUntraced(function* (mode: "auto" | "legacy") {
    const server = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new StdioProcess({ command: config.command, args: config.args ?? [], cwd: config.cwd, env, printed, onNoise })
      ),
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

  const { client, server } = yield* attempt("auto").pipe(
    Effect.catch((failure) =>
      failure.server.pid !== undefined && failure.server.ended !== undefined ? attempt("legacy") : Effect.fail(failure)
    ),
    Effect.catch(({ server, error }) => unavailable(namespace, server, error, "initialize")),
    Effect.mapError(
      ({ message }) => new SourceUnavailable({ namespace, message: `${message}${withheldNote(withheld)}` })
    )
  )
  return { client, process: server }
})

/** Whether questions of this server come without saying for which call. */
const asksUnattributed = (client: Client): boolean =>
  client.getProtocolEra() !== "modern" &&
  (client.getNegotiatedProtocolVersion() ?? firstAskingVersion) >= firstAskingVersion
