/**
 * Real clients over real stdio, behind one small interface: the client of today in both protocol eras, and the older
 * SDK's client.
 */
import { Client, type ClientCapabilities, type ElicitRequestParams } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Client as OlderClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as OlderTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Context, Effect, Layer, Schema } from "effect"
import { join } from "node:path"
import process from "node:process"
import * as History from "./History.ts"

/** The clients. */
export const kinds = ["modern", "legacy", "older-sdk"] as const
export type Kind = (typeof kinds)[number]

/** How to start the server of the fixture, from its bundle (see `scripts/bundle-programs.ts`). */
export const serverCommand = (file: string, ...rest: ReadonlyArray<string>) => ({
  command: process.execPath,
  args: [join(process.env["EXECUTOR_TEST_PROGRAMS"] ?? "", "mcp-server.js"), file, ...rest]
})

const Question = Schema.Struct({
  id: Schema.String,
  kind: Schema.String,
  message: Schema.String,
  toolPath: Schema.optionalKey(Schema.String),
  args: Schema.optionalKey(Schema.Unknown),
  requestedSchema: Schema.optionalKey(Schema.Unknown),
  url: Schema.optionalKey(Schema.String)
})

/** What tests read of a tool's answer. */
export const ToolAnswer = Schema.Struct({
  content: Schema.Array(Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })),
  isError: Schema.optionalKey(Schema.Boolean),
  structuredContent: Schema.optionalKey(
    Schema.Struct({
      executionId: Schema.String,
      status: Schema.String,
      result: Schema.optionalKey(Schema.Unknown),
      error: Schema.optionalKey(
        Schema.Struct({
          name: Schema.String,
          message: Schema.String,
          line: Schema.optionalKey(Schema.Int),
          column: Schema.optionalKey(Schema.Int)
        })
      ),
      logs: Schema.Array(Schema.Struct({ level: Schema.String, message: Schema.String })),
      toolCallCount: Schema.Int,
      durationMs: Schema.optionalKey(Schema.Finite),
      interaction: Schema.optionalKey(Question),
      interactions: Schema.optionalKey(Schema.Array(Question)),
      omitted: Schema.optionalKey(
        Schema.Struct({
          result: Schema.optionalKey(
            Schema.Struct({ characters: Schema.Int, limit: Schema.Int, preview: Schema.String })
          ),
          logLines: Schema.optionalKey(Schema.Int)
        })
      )
    })
  )
})
export type ToolAnswer = typeof ToolAnswer.Type

/** What a person does with a question. */
export type Person = (params: ElicitRequestParams) => Promise<{
  action: "accept" | "decline" | "cancel"
  content?: Record<string, string | number | boolean | Array<string>>
}>

/** The rejection of a request by the client or the server. */
export class RequestFailed extends Schema.TaggedError<RequestFailed>()("RequestFailed", { message: Schema.String }) {}

interface CallOptions {
  readonly signal?: AbortSignal
  readonly onprogress?: (progress: { progress: number; message?: string | undefined }) => void
}

interface AnyClient {
  readonly listTools: () => Promise<{
    readonly tools: ReadonlyArray<{
      name: string
      description?: string | undefined
      inputSchema: unknown
      outputSchema?: unknown
    }>
  }>
  readonly call: (
    params: { name: string; arguments: Record<string, unknown> },
    options: CallOptions
  ) => Promise<unknown>
  readonly close: () => Promise<void>
}

/** A connected client, with the history that its server writes. */
export class Connection extends Context.Service<
  Connection,
  {
    readonly call: (
      tool: string,
      args: Record<string, unknown>,
      options?: CallOptions
    ) => Effect.Effect<ToolAnswer, RequestFailed>
    readonly listTools: Effect.Effect<
      ReadonlyArray<{ name: string; description?: string | undefined; inputSchema: unknown; outputSchema?: unknown }>,
      RequestFailed
    >
    /** Who answers from now on. */
    readonly person: (person: Person) => void
    readonly history: History.History
  }
>()("test/Connection") {}

const clientInfo = { name: "test-client", version: "4.5.6" }

/** Connects a client to a server of its own. */
export const make = Effect.fnUntraced(function* (
  kind: Kind,
  elicitation: ClientCapabilities["elicitation"],
  ...rest: ReadonlyArray<string>
) {
  const file = yield* History.temporaryFile
  const history = yield* History.open(file)
  let person: Person = () => Promise.reject(new Error("nobody was expected to be asked"))
  const capabilities = elicitation === undefined ? {} : { elicitation }
  // A transport passes on few variables: what the server compiled is kept for the next.
  const env = { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? "" }
  const parameters = { ...serverCommand(file, ...rest), env, stderr: "ignore" as const }

  const client = yield* Effect.acquireRelease(
    Effect.promise(async (): Promise<AnyClient> => {
      if (kind === "older-sdk") {
        const client = new OlderClient(clientInfo, { capabilities })
        if (elicitation !== undefined) {
          client.setRequestHandler(ElicitRequestSchema, ({ params }) => person(params as ElicitRequestParams))
        }
        await client.connect(new OlderTransport(parameters))
        return {
          listTools: () => client.listTools(),
          call: (params, options) => client.callTool(params, undefined, options),
          close: () => client.close()
        }
      }
      const client = new Client(clientInfo, {
        capabilities,
        versionNegotiation: { mode: kind === "modern" ? { pin: "2026-07-28" } : "legacy" }
      })
      if (elicitation !== undefined) client.setRequestHandler("elicitation/create", ({ params }) => person(params))
      await client.connect(new StdioClientTransport(parameters))
      return {
        listTools: () => client.listTools(),
        call: (params, options) => client.callTool(params, options),
        close: () => client.close()
      }
    }),
    (client) => Effect.promise(() => client.close())
  )
  const request = <A>(send: () => Promise<A>) =>
    Effect.tryPromise({
      try: send,
      catch: (error) => new RequestFailed({ message: error instanceof Error ? error.message : String(error) })
    })
  return Connection.of({
    call: (name, args, options = {}) =>
      request(() => client.call({ name, arguments: args }, options)).pipe(
        Effect.flatMap(Schema.decodeUnknownEffect(ToolAnswer)),
        Effect.catchTag("SchemaError", Effect.die)
      ),
    listTools: Effect.map(request(client.listTools), ({ tools }) => tools),
    person: (next) => {
      person = next
    },
    history
  })
})

/** A connection for the tests of one block. */
export const layer = (kind: Kind, elicitation: ClientCapabilities["elicitation"]) =>
  Layer.effect(Connection, make(kind, elicitation))
