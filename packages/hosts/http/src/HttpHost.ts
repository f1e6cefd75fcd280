/**
 * Serves an engine and its executor over HTTP: the API of `@executor/api`, its documentation, and live events.
 *
 * The server listens on loopback unless told otherwise, knows only its own names (`Gate.ts`), and wants a bearer token. It can run
 * without one on loopback only. An execution belongs to the engine and not to the request that started it: it goes on when the
 * caller disconnects.
 *
 * Closing lets requests finish for {@link defaultCloseGraceMs}, ends the live streams at once, and then cuts off what is left.
 */
import type { ExecutionEngine } from "@executor/execution"
import type { DBError, Executor } from "@executor/sdk"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Context, Deferred, Effect, Layer, type Redacted, Schema, type Scope } from "effect"
import type * as FindMyWay from "effect/http/FindMyWay"
import { MaxBodySize } from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { ExecutorApi } from "@executor/api"
import { layerAuthorization } from "./Authorize.ts"
import { withBoundary } from "./Boundary.ts"
import { layerSourceHandlers, layerToolHandlers } from "./CatalogHandlers.ts"
import { layerExecutionHandlers } from "./ExecutionHandlers.ts"
import { layerJournalHandlers } from "./JournalHandlers.ts"
import { isLoopback, makeGate } from "./Gate.ts"
import { makeNodeServer } from "./NodeServer.ts"
import { layerEventHandlers, layerSystemHandlers } from "./SystemHandlers.ts"
import { layerRequestValidation } from "./Validation.ts"

/** Where a server listens that is not told. */
export const defaultHost = "127.0.0.1"
export const defaultPort = 4788

/** Holds the largest source of the default limits (256 KB) even when JSON escapes every character of it, with room for the rest. */
export const defaultMaxRequestBytes = 2 * 1024 * 1024

/** How long requests may take to finish once the server closes, in milliseconds: people wait for a process to end. */
export const defaultCloseGraceMs = 3_000

/** What is left of connections after that, when those that were cut off have been answered, is dropped. */
const closeAnswerMs = 500

/**
 * Connections that may wait to be accepted: the most that systems allow, as what finds no room is reset, with neither an answer nor a
 * reason. Node's own is 511.
 */
const backlog = 16_384

// A tool's path and an id from another system may be long; the router's own limit is 100 characters.
const routerConfig: Partial<FindMyWay.RouterConfig> = { maxParamLength: 512 }

/** How to serve. */
export interface HttpHostOptions {
  readonly engine: ExecutionEngine
  readonly executor: Executor
  /** Whether what runs is still known when the server ends, which its health tells; `true` if absent. */
  readonly keepsHistory?: boolean | undefined
  /** Why the database takes no writes now, which its health tells; as if there were never a fault if absent. */
  readonly fault?: Effect.Effect<DBError | undefined> | undefined
  /** The bearer token that callers must give, or `"none"`: then anybody who can reach the port may call. */
  readonly token: Redacted.Redacted<string> | "none"
  /** The address to listen on; {@link defaultHost} if absent. */
  readonly host?: string | undefined
  /** {@link defaultPort} if absent; 0 for one that is free. */
  readonly port?: number | undefined
  /** More names that the server is reached by, without a port. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Origins of web pages that may call, such as `https://app.example.com`. Pages of the server itself may anyhow. */
  readonly allowedOrigins?: ReadonlyArray<string> | undefined
  /** The largest body; {@link defaultMaxRequestBytes} if absent. */
  readonly maxRequestBytes?: number | undefined
  /** {@link defaultCloseGraceMs} if absent. */
  readonly closeGraceMs?: number | undefined
}

/** A server that runs. */
export class HttpHost extends Context.Service<
  HttpHost,
  {
    /** Where it is reached, without a slash at the end. */
    readonly url: string
    readonly port: number
  }
>()("@executor/host-http/HttpHost") {}

/** The server does not start: another program has the port, or it would be open to the network without a token. */
export class HttpHostError extends Schema.TaggedError<HttpHostError>()("HttpHostError", {
  message: Schema.String,
  reason: Schema.Literals(["tokenWanted", "portTaken", "cannotListen"])
}) {}

const cannotListen = (host: string, port: number, cause: unknown): HttpHostError => {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  return code === "EADDRINUSE"
    ? new HttpHostError({
        message: `Port ${port} of ${host} is taken by another program. Choose another port.`,
        reason: "portTaken"
      })
    : new HttpHostError({
        message: `Cannot listen on ${host}, port ${port} (${code ?? "unknown"}).`,
        reason: "cannotListen"
      })
}

const handlers = (options: HttpHostOptions, closing: Effect.Effect<void>) =>
  Layer.mergeAll(
    layerExecutionHandlers(options.engine, options.executor),
    layerJournalHandlers(options.engine, options.executor),
    layerToolHandlers(options.executor),
    layerSourceHandlers(options.executor, { hasToken: options.token !== "none" }),
    layerSystemHandlers(options.engine, {
      keepsHistory: options.keepsHistory ?? true,
      fault: options.fault ?? Effect.undefined
    }),
    layerEventHandlers(options.engine, closing)
  )

/** Serves until the scope closes. */
export const serve = Effect.fn("HttpHost.serve")(function* (
  options: HttpHostOptions
): Effect.fn.Return<HttpHost["Service"], HttpHostError, Scope.Scope> {
  const {
    closeGraceMs = defaultCloseGraceMs,
    host = defaultHost,
    maxRequestBytes = defaultMaxRequestBytes,
    port = defaultPort,
    token
  } = options
  if (token === "none" && !isLoopback(host)) {
    return yield* new HttpHostError({
      message: `A server on ${host} can be reached from other machines, so it needs a token. Only one on loopback (127.0.0.1) can run without.`,
      reason: "tokenWanted"
    })
  }
  const closing = yield* Deferred.make<void>()
  const router = yield* HttpRouter.toHttpEffect(
    HttpApiBuilder.layer(ExecutorApi).pipe(
      Layer.provide(handlers(options, Deferred.await(closing))),
      Layer.provide([
        layerAuthorization(token === "none" ? undefined : token),
        layerRequestValidation(maxRequestBytes)
      ]),
      Layer.provide([HttpServer.layerServices, Layer.succeed(HttpRouter.RouterConfig, routerConfig)])
    )
  )
  const gate = makeGate({
    host,
    allowedHosts: options.allowedHosts ?? [],
    allowedOrigins: options.allowedOrigins ?? []
  })
  const app = withBoundary(router, { gate, routerConfig })

  const node = makeNodeServer()
  const listenOptions = { host, port, backlog, gracefulShutdownTimeout: closeGraceMs }
  const server = yield* NodeHttpServer.make(() => node, listenOptions).pipe(
    Effect.mapError(({ cause }) => cannotListen(host, port, cause))
  )
  yield* server.serve(app).pipe(Effect.provideService(MaxBodySize, ByteSize.bytes(maxRequestBytes)))
  yield* Effect.addFinalizer(() => {
    // A peer that does not read its answer must not hold up the close.
    const timer = setTimeout(() => node.closeAllConnections(), closeGraceMs + closeAnswerMs)
    node.once("close", () => clearTimeout(timer))
    return Deferred.succeed(closing, undefined)
  })
  const bound = "port" in server.address ? server.address.port : port
  return HttpHost.of({ url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`, port: bound })
})

/** {@link serve} as a layer. */
export const layer = (options: HttpHostOptions): Layer.Layer<HttpHost, HttpHostError> =>
  Layer.effect(HttpHost, serve(options))
