/**
 * The outermost layer of the server: whatever happens inside, a problem document comes out.
 *
 * What the endpoints declare they answer themselves. What is left: requests that no route takes, defects (opaque outside, in the
 * log with their cause under a correlation id), and requests cut off because the server closes.
 */
import {
  ExecutorApi,
  InternalErrorProblem,
  MethodNotAllowedProblem,
  RouteNotFoundProblem,
  ServerClosingProblem,
  UnsupportedMediaTypeProblem
} from "@executor/api"
import { Cause, Effect } from "effect"
import * as FindMyWay from "effect/http/FindMyWay"
import { ClientAbort, HttpServerError } from "effect/http/HttpServerError"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApi from "effect/http-api/HttpApi"
import { logWithCorrelationId } from "./DomainProblems.ts"
import type { Verdict } from "./Gate.ts"

const problemContentType = "application/problem+json"

/** On every answer: nothing here is to be kept, and nothing is to be taken for something else than it says. */
const commonHeaders = { "cache-control": "no-store", "x-content-type-options": "nosniff" }

/** On a refusal for now: thousands of connections that wait for their time take memory from what is under way. */
const closeConnection = { connection: "close" }

const respond = HttpServerRespondable.toResponse

/** Which methods each path takes: the router finds a path only together with its method. */
const makeMethods = (routerConfig: Partial<FindMyWay.RouterConfig>) => {
  const byPath = new Map<string, Set<string>>()
  HttpApi.reflect(ExecutorApi, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      const methods = byPath.get(endpoint.path) ?? new Set()
      byPath.set(endpoint.path, methods.add(endpoint.method))
      if (endpoint.method === "GET") methods.add("HEAD")
    }
  })
  const router = FindMyWay.make<string>(routerConfig)
  for (const [path, methods] of byPath) router.on("GET", path as FindMyWay.PathInput, [...methods].join(", "))
  return router
}

const notRouted = (methods: FindMyWay.Router<string>, error: HttpServerError) => {
  const { request } = error
  const allow = methods.find("GET", request.url)?.handler
  return allow === undefined
    ? respond(new RouteNotFoundProblem({ detail: "No route has this path. GET /openapi.json lists them all." }))
    : Effect.map(
        respond(new MethodNotAllowedProblem({ detail: `This path does not take ${request.method}, but ${allow}.` })),
        HttpServerResponse.setHeader("allow", allow)
      )
}

const isClosing = (cause: Cause.Cause<unknown>): boolean =>
  Cause.hasInterruptsOnly(cause) && !cause.reasons.some((reason) => reason.annotations.has(ClientAbort.key))

/** Wraps the router. */
export const withBoundary = <R>(
  router: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, R>,
  options: {
    readonly gate: (request: HttpServerRequest) => Verdict
    readonly routerConfig: Partial<FindMyWay.RouterConfig>
  }
): Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, R | HttpServerRequest> => {
  const methods = makeMethods(options.routerConfig)

  const onFailure = (request: HttpServerRequest, cause: Cause.Cause<unknown>) => {
    const failure = cause.reasons.find(Cause.isFailReason)?.error
    if (failure instanceof HttpServerError && failure.reason._tag === "RouteNotFound")
      return notRouted(methods, failure)
    if (isClosing(cause)) {
      return respond(
        new ServerClosingProblem({ detail: "The server is closing. An execution that was started is in the history." })
      )
    }
    if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
    const path = request.url.split("?", 1)[0]
    return Effect.flatMap(logWithCorrelationId(`${request.method} ${path} failed`, cause), (correlationId) =>
      respond(
        new InternalErrorProblem({
          detail: "A bug in the server. Its log has the cause under this correlation id.",
          correlationId
        })
      )
    )
  }

  // The router answers one thing by itself, and not as a problem.
  const onSuccess = (request: HttpServerRequest, response: HttpServerResponse.HttpServerResponse) =>
    response.status === 415 && response.headers["content-type"] !== problemContentType
      ? respond(
          new UnsupportedMediaTypeProblem({
            detail: `The body is ${request.headers["content-type"]}; expected application/json.`
          })
        )
      : Effect.succeed(response)

  return Effect.flatMap(HttpServerRequest, (request) => {
    const verdict = options.gate(request)
    if (verdict._tag === "Answered") return Effect.succeed(verdict.response)
    const answered =
      verdict._tag === "Refused"
        ? respond(verdict.problem)
        : Effect.matchCauseEffect(router, {
            onFailure: (cause) => onFailure(request, cause),
            onSuccess: (response) => onSuccess(request, response)
          })
    const headers =
      verdict._tag === "Passed" && verdict.headers !== undefined
        ? { ...commonHeaders, ...verdict.headers }
        : commonHeaders
    return Effect.map(answered, (response) =>
      HttpServerResponse.setHeaders(response, response.status === 429 ? { ...headers, ...closeConnection } : headers)
    )
  })
}
