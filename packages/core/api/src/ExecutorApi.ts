/**
 * The HTTP contract of Executor: every endpoint with what it takes, gives and fails with.
 *
 * A server implements it (`@executor/host-http`), a client is derived from it ({@link makeClient}), and so is the OpenAPI document. Input
 * that has more than the contract knows is refused, so that a misspelled parameter is not ignored in silence.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as OpenApi from "effect/http-api/OpenApi"
import { SourcesApi, ToolsApi } from "./CatalogApi.ts"
import { ExecutionsApi } from "./ExecutionsApi.ts"
import { JournalsApi } from "./JournalsApi.ts"
import { Authorization, RequestValidation } from "./Middleware.ts"
import { EventsApi, SystemApi } from "./SystemApi.ts"

const strict = { onExcessProperty: "error", errors: "all" } as const

// The derived names (`ForbiddenEncoded`) speak of the wire format, the only one that a reader of the document knows.
const nameProblems = (document: Record<string, unknown>): Record<string, unknown> => {
  const problems = Object.keys((document["components"] as OpenApi.OpenAPISpec["components"]).schemas)
    .filter((name) => name.endsWith("Encoded") && !name.startsWith("ExecutionEvent"))
    .map((name) => name.slice(0, -"Encoded".length))
  const names = new RegExp(`(["/])(${problems.join("|")})Encoded"`, "g")
  return JSON.parse(JSON.stringify(document).replaceAll(names, '$1$2Problem"'))
}

/** The contract. */
export class ExecutorApi extends HttpApi.make("executor")
  .add(ExecutionsApi, JournalsApi, ToolsApi, SourcesApi, EventsApi)
  .middleware(RequestValidation)
  .middleware(Authorization)
  .add(SystemApi)
  .annotate(HttpApi.QueryParseOptions, strict)
  .annotate(HttpApi.PayloadParseOptions, strict)
  .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
  .annotateMerge(
    OpenApi.annotations({
      title: "Executor",
      version: "0.1.0",
      transform: nameProblems,
      description:
        "Runs TypeScript that calls tools, records everything, and pauses for people. Every error is a problem document (RFC 9457) " +
        "as application/problem+json. Times are milliseconds since the epoch."
    })
  ) {}
