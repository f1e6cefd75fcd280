/**
 * The server itself: whether it works, and what happens in it.
 */
import { ExecutionId } from "@executor/sdk"
import { Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import { documentation } from "./Documentation.ts"
import { RequestValidation } from "./Middleware.ts"
import { ExecutionEventRecord } from "./Records.ts"

/** What `GET /health` says. */
export const Health = Schema.Struct({
  status: Schema.Literal("ok"),
  keepsHistory: Schema.Boolean.annotate({
    description:
      "Whether executions are kept when the server ends. `false` where its database could not be opened when it started, and it works " +
      "in memory; and for as long as its database takes no writes. Executions work all the same."
  }),
  fault: Schema.optionalKey(Schema.Literals(["moved", "unavailable", "readOnly", "full", "other"])).annotate({
    description:
      "Why the database takes no writes now: its file was deleted, moved or replaced; it cannot be reached, has no connection to give or " +
      "does not answer; it may only be read; its disk is full. The server says more on stderr and in its log, and tries each second."
  }),
  droppedWrites: Schema.Int.annotate({
    description:
      "History writes that failed or took too long since the server started, and ends of executions that are not written yet. More " +
      "than 0 wants a look at the log."
  }),
  executions: Schema.Struct({
    underWay: Schema.Int.annotate({ description: "Executions that run, and do not only wait for a person." }),
    queued: Schema.Int.annotate({ description: "Submissions and answers that wait in line for one of these to end." })
  })
}).annotate({ identifier: "Health" })
export type Health = typeof Health.Type

const health = HttpApiEndpoint.get("health", "/health", { success: Health }).annotateMerge(
  documentation({ summary: "Whether the server works", description: "Needs no token." })
)

const openapi = HttpApiEndpoint.get("openapi", "/openapi.json", { success: Schema.Json }).annotateMerge(
  documentation({ summary: "This document", description: "The API as an OpenAPI 3.1 document. Needs no token." })
)

const docs = HttpApiEndpoint.get("docs", "/docs", {
  success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/html" }))
}).annotateMerge(
  documentation({
    summary: "The API as a page",
    description: "For reading and for trying. It loads nothing from elsewhere."
  })
)

/** What anybody may ask for, token or not: the server's health, and what the API is. */
export class SystemApi extends HttpApiGroup.make("system", { topLevel: true })
  .add(health, openapi, docs)
  .middleware(RequestValidation)
  .annotateMerge(OpenApi.annotations({ title: "system", description: "The server itself." })) {}

const events = HttpApiEndpoint.get("events", "/events", {
  query: { executionId: Schema.optionalKey(ExecutionId) },
  success: HttpApiSchema.StreamSse({ data: ExecutionEventRecord })
}).annotateMerge(
  documentation({
    summary: "Follow what happens",
    description:
      "Server-sent events from now on, until the caller closes. Each message's data is an event as JSON. A caller that is too slow " +
      "loses the oldest events; the history has them all.",
    parameters: { executionId: { description: "Only what happens to this execution." } }
  })
)

/** Live events. */
export class EventsApi extends HttpApiGroup.make("live", { topLevel: true })
  .add(events)
  .annotateMerge(OpenApi.annotations({ title: "live", description: "What happens, as it happens." })) {}
