/**
 * A whole server for tests: SQLite on disk, QuickJS, the engine, some tools, on a free port.
 */
import { type ExecutorClient, makeClient } from "@executor/api"
import { Admission, createExecutionEngine, type ExecutionEngine } from "@executor/execution"
import { HttpHost } from "@executor/host-http"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import {
  createExecutor,
  type DBAdapter,
  definePlugin,
  type ElicitationRequest,
  type Executor,
  SourceUnavailable,
  tool,
  ToolFailed
} from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Context, Deferred, Effect, Layer, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { mkdtemp, rm } from "node:fs/promises"
import { type IncomingHttpHeaders, request as httpRequest } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A token as the server makes them. */
export const token = "t0ken-t0ken-t0ken-t0ken-t0ken-t0ken-t0ken-t"

const anything = { type: "object", additionalProperties: true }

/** Functions as tools: one that echoes, one that wants approval, one that asks, one that fails, two that take long. */
const makeShop = (held: Effect.Effect<void>) =>
  definePlugin({
    id: "functions",
    staticSources: [
      {
        namespace: "shop",
        description: "A shop.",
        tools: [
          tool({ name: "echo", description: "Gives back what it gets.", input: anything, handler: (input) => input }),
          tool({
            name: "orders.pay",
            description: "Pays an order.",
            input: { type: "object", properties: { order: { type: "integer" } }, required: ["order"] },
            requiresApproval: true,
            handler: ({ order }: { readonly order: number }) => ({ paid: order })
          }),
          tool({
            name: "ask",
            description: "Asks for a colour.",
            handler: (_, { elicit }) => {
              const question: ElicitationRequest = {
                kind: "form",
                message: "Which colour?",
                requestedSchema: { type: "object", properties: { colour: { type: "string" } }, required: ["colour"] }
              }
              return Effect.map(elicit(question), (answer) => ({
                action: answer.action,
                colour: answer.content?.["colour"]
              }))
            }
          }),
          tool({
            name: "fail",
            description: "Fails.",
            handler: () => Effect.fail(new ToolFailed({ message: "out of stock", path: "shop.fail" }))
          }),
          tool({ name: "wait", description: "Never answers.", handler: () => Effect.never }),
          tool({ name: "hold", description: "Answers when the test says so.", handler: () => held })
        ]
      }
    ]
  })

const Config = Schema.Struct({ tools: Schema.Array(Schema.String), broken: Schema.optionalKey(Schema.Boolean) })

/** A kind of dynamic source: its configuration says which tools it has. */
const lists = definePlugin({
  id: "lists",
  source: {
    config: Config,
    describe: (config) => `A list of ${config.tools.length}`,
    open: (config, { namespace }) =>
      config.broken === true
        ? Effect.fail(new SourceUnavailable({ namespace, message: "it did not start" }))
        : Effect.succeed({
            listTools: Effect.succeed({
              tools: config.tools.map((name) => ({
                name,
                description: `Does ${name}.`,
                inputSchema: anything,
                requiresApproval: false,
                annotations: {}
              }))
            }),
            invoke: ({ name }) => Effect.succeed({ name })
          })
  }
})

/** An answer as it came over the wire. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body parsed; throws when it is not JSON. */
  readonly json: ReturnType<typeof JSON.parse>
}

/** What to send. The token and a JSON content type are added unless given. */
export interface Sending {
  readonly method?: string
  readonly headers?: { readonly [name: string]: string | undefined }
  readonly body?: unknown
  /** A body as it is. */
  readonly raw?: string | Uint8Array
}

/** Sends a request over a connection of its own, with whatever headers. */
export const send = (url: string, path: string, sending: Sending = {}): Effect.Effect<Answer> =>
  Effect.callback<Answer>((resume) => {
    const { body, headers = {}, method = "GET", raw } = sending
    const given = {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers
    }
    const { hostname, port } = new URL(url)
    const request = httpRequest(
      {
        hostname,
        port,
        path,
        method,
        headers: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
        agent: false
      },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8")
          resume(
            Effect.succeed({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              get json() {
                return JSON.parse(text)
              }
            })
          )
        })
      }
    )
    request.on("error", (cause) => resume(Effect.die(cause)))
    request.end(raw ?? (body === undefined ? undefined : JSON.stringify(body)))
    return Effect.sync(() => request.destroy())
  })

/** A server that runs, and how to talk to it. */
export interface RunningServer {
  readonly url: string
  readonly engine: ExecutionEngine
  readonly executor: Executor
  readonly send: (path: string, sending?: Sending) => Effect.Effect<Answer>
  /** `POST /executions`. */
  readonly run: (code: string, more?: Sending["headers"]) => Effect.Effect<Answer>
  readonly client: ExecutorClient
  /** Lets `shop.hold` answer. */
  readonly release: Effect.Effect<void>
}

/** A folder that goes with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "executor-http-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** The database of a server's folder. */
export const openDatabase = (folder: string) => SqliteAdapter.make({ file: join(folder, "executor.db") })

type Adapter = DBAdapter["Service"]

/**
 * Starts a server, in a folder of its own unless one is given, on the database or what `through` makes of it. `admission` goes to the
 * engine, the other options to the host.
 */
export const startServer = Effect.fnUntraced(function* (
  options: Partial<HttpHost.HttpHostOptions> & {
    readonly folder?: string
    readonly through?: (adapter: Adapter) => Adapter
    readonly admission?: Admission.AdmissionOptions
  } = {}
) {
  const { through = (adapter: Adapter) => adapter } = options
  const adapter = through(yield* openDatabase(options.folder ?? (yield* temporaryFolder)))
  const held = yield* Deferred.make<void>()
  const codeExecutor = yield* QuickJsExecutor.make({ workers: 2 })
  const executor = yield* createExecutor({
    scopes: ["test"],
    adapter,
    plugins: [makeShop(Deferred.await(held)), lists]
  })
  const engine = yield* createExecutionEngine({
    executor,
    codeExecutor,
    admission: Admission.make(options.admission)
  })
  const { url } = yield* HttpHost.serve({ engine, executor, token: Redacted.make(token), port: 0, ...options })
  const client = yield* makeClient({
    baseUrl: url,
    token,
    trigger: "test",
    client: { name: "tests", version: "1.0.0" }
  }).pipe(Effect.provide(FetchHttpClient.layer))
  const server: RunningServer = {
    url,
    engine,
    executor,
    client,
    release: Effect.asVoid(Deferred.succeed(held, undefined)),
    send: (path, sending) => send(url, path, sending),
    run: (code, headers = {}) => send(url, "/executions", { method: "POST", body: { code }, headers })
  }
  return server
})

/** One server for the tests of a file. */
export class TestServer extends Context.Service<TestServer, RunningServer>()("@executor/host-http/test/TestServer") {
  static readonly layer = Layer.effect(TestServer, startServer()).pipe(Layer.orDie)
}
