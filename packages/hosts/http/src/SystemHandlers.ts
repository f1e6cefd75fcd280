/**
 * The endpoints of the server itself: health, its documentation, and live events.
 */
import { type ExecutionEventRecord, ExecutorApi } from "@executor/api"
import type { ExecutionEngine } from "@executor/execution"
import type { DBError } from "@executor/sdk"
import { Effect, Layer, Stream } from "effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** The silence after which a comment is sent, so that what is between does not close the stream, and a dead peer shows. */
export const heartbeatInterval = "15 seconds"

/** The page brings its own scripts and styles, and talks to this server only. */
const docsPolicy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"

/** What a server knows of its history. */
export interface HistoryState {
  /** Whether its database outlives it. */
  readonly keepsHistory: boolean
  /** Why the database takes no writes now, if so. */
  readonly fault: Effect.Effect<DBError | undefined>
}

/** A reason of errors that are not the storage's says nothing to callers. */
const faultOf = ({ reason }: DBError) => (reason === "unique" || reason === "foreignKey" ? "other" : reason)

/** The handlers of the group `system`. */
export const layerSystemHandlers = (engine: ExecutionEngine, history: HistoryState) =>
  HttpApiBuilder.group(
    ExecutorApi,
    "system",
    Effect.fnUntraced(function* (handlers) {
      const scope = yield* Effect.scope
      const document = yield* Effect.cached(
        Effect.sync(() =>
          HttpServerResponse.text(JSON.stringify(OpenApi.fromApi(ExecutorApi)), { contentType: "application/json" })
        )
      )
      // The page is megabytes of script: loaded when somebody looks at it, not in every idle server.
      const page = yield* Effect.cached(
        Effect.gen(function* () {
          const HttpApiSwagger = yield* Effect.promise(() => import("effect/http-api/HttpApiSwagger"))
          const router = yield* HttpRouter.make
          yield* Layer.buildWithScope(
            Layer.provide(HttpApiSwagger.layer(ExecutorApi), Layer.succeed(HttpRouter.HttpRouter, router)),
            scope
          )
          return router.asHttpEffect()
        })
      )
      return handlers.handleAll({
        health: () =>
          Effect.map(
            Effect.all({ droppedWrites: engine.droppedWrites, executions: engine.load, fault: history.fault }),
            ({ droppedWrites, executions, fault }) => ({
              status: "ok" as const,
              keepsHistory: history.keepsHistory && fault === undefined,
              ...(fault !== undefined && { fault: faultOf(fault) }),
              droppedWrites,
              executions
            })
          ),
        openapi: () => document,
        docs: () =>
          Effect.flatten(page).pipe(
            Effect.orDie,
            Effect.map(HttpServerResponse.setHeader("content-security-policy", docsPolicy))
          )
      })
    })
  )

/** One message. The line ends are part of the format. */
const message = (event: ExecutionEventRecord): string => `event: message\ndata: ${JSON.stringify(event)}\n\n`

/** The handlers of the group `live`. Streams end when `closing` does. */
export const layerEventHandlers = (engine: ExecutionEngine, closing: Effect.Effect<void>) =>
  HttpApiBuilder.group(ExecutorApi, "live", (handlers) =>
    handlers.handleAll({
      events: ({ query: { executionId } }) => {
        const events =
          executionId === undefined
            ? engine.events
            : Stream.filter(engine.events, (event) => event.executionId === executionId)
        // The first comment goes out at once: it carries the response's head to a caller that waits to see it before it acts.
        const heartbeat = Stream.map(Stream.tick(heartbeatInterval), () => ": alive\n\n")
        const body = Stream.map(events, message).pipe(
          Stream.merge(heartbeat, { haltStrategy: "left" }),
          Stream.interruptWhen(closing),
          Stream.encodeText
        )
        return Effect.succeed(
          HttpServerResponse.stream(body, { contentType: "text/event-stream", headers: { "x-accel-buffering": "no" } })
        )
      }
    })
  )
