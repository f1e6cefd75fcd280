/**
 * Tools, and the sources they come from.
 */
import { defaultSearchLimit, maxSearchLimit } from "@executor/sdk"
import { Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import { documentation } from "./Documentation.ts"
import { wholeNumber } from "./Parameters.ts"
import {
  SourceInvalidProblem,
  SourceNotFoundProblem,
  SourceUnavailableProblem,
  ToolNotFoundProblem
} from "./Problems.ts"
import { SourceRecord, ToolMatchRecord, ToolRecord, ToolSchemaRecord } from "./Records.ts"

const namespaceParameter = { description: "Only tools of the source with this namespace." }

/** The query of `GET /tools`. */
export const ListToolsQuery = Schema.Struct({ namespace: Schema.optionalKey(Schema.NonEmptyString) })
export type ListToolsQuery = typeof ListToolsQuery.Type

/** The query of `GET /tools/search`. */
export const SearchToolsQuery = Schema.Struct({
  query: Schema.String,
  namespace: Schema.optionalKey(Schema.NonEmptyString),
  limit: Schema.optionalKey(wholeNumber(1, maxSearchLimit))
})
export type SearchToolsQuery = typeof SearchToolsQuery.Type

const listTools = HttpApiEndpoint.get("list", "/tools", {
  query: ListToolsQuery,
  success: Schema.Array(ToolRecord)
}).annotateMerge(documentation({ summary: "List tools", parameters: { namespace: namespaceParameter } }))

const searchTools = HttpApiEndpoint.get("search", "/tools/search", {
  query: SearchToolsQuery,
  success: Schema.Array(ToolMatchRecord)
}).annotateMerge(
  documentation({
    summary: "Search tools",
    description: "The tools that fit some words, best first.",
    parameters: {
      query: { description: "Words to look for in paths and descriptions." },
      namespace: namespaceParameter,
      limit: {
        description: "How many at most.",
        schema: { type: "integer", minimum: 1, maximum: maxSearchLimit, default: defaultSearchLimit }
      }
    }
  })
)

const getTool = HttpApiEndpoint.get("get", "/tools/:path", {
  params: { path: Schema.NonEmptyString },
  success: ToolSchemaRecord,
  error: ToolNotFoundProblem
}).annotateMerge(
  documentation({
    summary: "Describe a tool",
    description: "Its schemas, and the call as TypeScript.",
    parameters: { path: { description: "The tool's path, such as `github.issues.create`." } }
  })
)

/** The tools. */
export class ToolsApi extends HttpApiGroup.make("tools")
  .add(listTools, searchTools, getTool)
  .annotateMerge(OpenApi.annotations({ title: "tools", description: "What code can call." })) {}

/** The body of `POST /sources`. */
export const AddSourcePayload = Schema.Struct({
  namespace: Schema.String.annotate({ description: "The first segment of its tools' paths." }),
  pluginId: Schema.String.annotate({ description: "The plugin that knows this kind of source, such as `mcp`." }),
  config: Schema.Json.annotate({ description: "What the plugin needs to open it." })
}).annotate({ identifier: "AddSource" })
export type AddSourcePayload = typeof AddSourcePayload.Type

const params = { namespace: Schema.NonEmptyString }
const parameters = { namespace: { description: "The source's namespace." } }

const listSources = HttpApiEndpoint.get("list", "/sources", { success: Schema.Array(SourceRecord) }).annotateMerge(
  documentation({ summary: "List sources" })
)

const addSource = HttpApiEndpoint.post("add", "/sources", {
  payload: AddSourcePayload,
  success: SourceRecord.pipe(HttpApiSchema.status(201)),
  error: [SourceInvalidProblem, SourceUnavailableProblem]
}).annotateMerge(
  documentation({
    summary: "Add a source",
    description:
      "Opens the source once to learn its tools, and stores both. Some kinds start a process on the server's machine, so a " +
      "server that runs without a token refuses this with 403."
  })
)

const removeSource = HttpApiEndpoint.delete("remove", "/sources/:namespace", {
  params,
  success: HttpApiSchema.NoContent,
  error: [SourceNotFoundProblem, SourceInvalidProblem]
}).annotateMerge(documentation({ summary: "Remove a source", parameters }))

const refreshSource = HttpApiEndpoint.post("refresh", "/sources/:namespace/refresh", {
  params,
  success: SourceRecord,
  error: [SourceNotFoundProblem, SourceInvalidProblem, SourceUnavailableProblem]
}).annotateMerge(
  documentation({ summary: "Refresh a source", description: "Learns the source's tools anew.", parameters })
)

/** The sources. */
export class SourcesApi extends HttpApiGroup.make("sources")
  .add(listSources, addSource, removeSource, refreshSource)
  .annotateMerge(OpenApi.annotations({ title: "sources", description: "What provides tools." })) {}
