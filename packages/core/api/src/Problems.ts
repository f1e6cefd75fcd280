/**
 * Every error of the API, as problem details (RFC 9457): one class for each kind, with its status.
 *
 * This file is the whole table of what fails with which status. A domain error keeps its tag over HTTP (`ExecutionNotFound` of the
 * engine is `ExecutionNotFound` in the client), so that code which handles it works on both sides. `detail` says what was wrong
 * and what to do; `type` tells problems of one status apart.
 */
import { InteractionStatus } from "@executor/sdk"
import { Schema } from "effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"

/** The URI that names a kind of problem. */
const problemType = <const Name extends string>(name: Name): `urn:executor:problem:${Name}` =>
  `urn:executor:problem:${name}`

/** The request is not one: a parameter, a header or the body is not what it must be. Nothing happened. */
export class BadRequestProblem extends HttpApiError.Problem<BadRequestProblem>()(
  "BadRequest",
  { type: problemType("bad-request"), status: 400, title: "Bad Request" },
  {
    /** Each thing that is wrong. A path starts with `params`, `query`, `headers` or `payload`. */
    errors: Schema.optionalKey(Schema.Array(HttpApiError.ProblemIssue))
  }
) {}

/** The bearer token is missing or is another one. */
export class UnauthorizedProblem extends HttpApiError.Problem<UnauthorizedProblem>()("Unauthorized", {
  type: problemType("unauthorized"),
  status: 401,
  title: "Unauthorized"
}) {}

/** The server does not do this for this caller: a `Host` or `Origin` it does not know, or what wants a token without one. */
export class ForbiddenProblem extends HttpApiError.Problem<ForbiddenProblem>()("Forbidden", {
  type: problemType("forbidden"),
  status: 403,
  title: "Forbidden"
}) {}

/** No route has this path. */
export class RouteNotFoundProblem extends HttpApiError.Problem<RouteNotFoundProblem>()("RouteNotFound", {
  type: problemType("route-not-found"),
  status: 404,
  title: "Not Found"
}) {}

/** The path is right and the method is not. The `Allow` header has those that are. */
export class MethodNotAllowedProblem extends HttpApiError.Problem<MethodNotAllowedProblem>()("MethodNotAllowed", {
  type: problemType("method-not-allowed"),
  status: 405,
  title: "Method Not Allowed"
}) {}

/** The body is larger than the server reads. */
export class PayloadTooLargeProblem extends HttpApiError.Problem<PayloadTooLargeProblem>()(
  "PayloadTooLarge",
  { type: problemType("payload-too-large"), status: 413, title: "Payload Too Large" },
  { limitBytes: Schema.Int }
) {}

/** The body is not `application/json`. */
export class UnsupportedMediaTypeProblem extends HttpApiError.Problem<UnsupportedMediaTypeProblem>()(
  "UnsupportedMediaType",
  { type: problemType("unsupported-media-type"), status: 415, title: "Unsupported Media Type" }
) {}

/** A bug. The server's log has its cause under this id. */
export class InternalErrorProblem extends HttpApiError.Problem<InternalErrorProblem>()(
  "InternalError",
  { type: problemType("internal-error"), status: 500, title: "Internal Server Error" },
  { correlationId: Schema.String }
) {}

/** The database refused or could not be reached. The server's log has its cause under this id. */
export class StorageUnavailableProblem extends HttpApiError.Problem<StorageUnavailableProblem>()(
  "StorageUnavailable",
  { type: problemType("storage-unavailable"), status: 503, title: "Service Unavailable" },
  { correlationId: Schema.String }
) {}

/** The server is closing. */
export class ServerClosingProblem extends HttpApiError.Problem<ServerClosingProblem>()("ServerClosing", {
  type: problemType("server-closing"),
  status: 503,
  title: "Service Unavailable"
}) {}

/** The submission is not one. Nothing ran and nothing was recorded. */
export class ExecutionRefusedProblem extends HttpApiError.Problem<ExecutionRefusedProblem>()(
  "ExecutionRefused",
  { type: problemType("execution-refused"), status: 400, title: "Execution Refused" },
  { field: Schema.String }
) {}

/** More is under way than may be, and more waits in line than may. Nothing ran and nothing was recorded. */
export class TooManyExecutionsProblem extends HttpApiError.Problem<TooManyExecutionsProblem>()(
  "TooManyExecutions",
  { type: problemType("too-many-executions"), status: 429, title: "Too Many Executions" },
  {
    /** The setting that was reached, and its value. */
    limit: Schema.Literal("queuedExecutions"),
    value: Schema.Int,
    retryAfterMs: Schema.Int
  }
) {}

/** {@link TooManyExecutionsProblem} as endpoints answer it. Readers need not see the header: it is not for web pages of other origins. */
export const TooManyExecutionsAnswer = TooManyExecutionsProblem.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: TooManyExecutionsProblem,
      headers: {
        "retry-after": Schema.optionalKey(
          Schema.String.annotate({ description: "In how many seconds there may be room again: a whole number." })
        )
      }
    },
    {
      decode: ({ body }) => body,
      encode: (problem) => ({
        body: problem,
        headers: { "retry-after": String(Math.ceil(problem.retryAfterMs / 1000)) }
      })
    }
  )
)

/** No execution has this id. */
export class ExecutionNotFoundProblem extends HttpApiError.Problem<ExecutionNotFoundProblem>()(
  "ExecutionNotFound",
  { type: problemType("execution-not-found"), status: 404, title: "Execution Not Found" },
  { executionId: Schema.String }
) {}

/** The execution waits for nothing. */
export class ExecutionNotPausedProblem extends HttpApiError.Problem<ExecutionNotPausedProblem>()(
  "ExecutionNotPaused",
  { type: problemType("execution-not-paused"), status: 409, title: "Execution Not Paused" },
  { executionId: Schema.String }
) {}

/** The execution cannot be run from its journal: its `reason` says why. */
export class ExecutionNotResumableProblem extends HttpApiError.Problem<ExecutionNotResumableProblem>()(
  "ExecutionNotResumable",
  { type: problemType("execution-not-resumable"), status: 409, title: "Execution Not Resumable" },
  {
    executionId: Schema.String,
    reason: Schema.Literals(["journal_incomplete", "other_build", "options_invalid", "not_ended"])
  }
) {}

/** The server does not run the execution any more, as it closes or lost its lease. The execution goes on elsewhere, or later. */
export class ExecutionInterruptedProblem extends HttpApiError.Problem<ExecutionInterruptedProblem>()(
  "ExecutionInterrupted",
  { type: problemType("execution-interrupted"), status: 503, title: "Execution Interrupted" },
  { executionId: Schema.String, reason: Schema.Literals(["handed_over", "lease_lost"]) }
) {}

/** The idempotency key was used for other code, by this execution. */
export class IdempotencyConflictProblem extends HttpApiError.Problem<IdempotencyConflictProblem>()(
  "IdempotencyConflict",
  { type: problemType("idempotency-conflict"), status: 409, title: "Idempotency Conflict" },
  { executionId: Schema.String }
) {}

/** The execution has ended, or another process runs it. */
export class ExecutionNotCancellableProblem extends HttpApiError.Problem<ExecutionNotCancellableProblem>()(
  "ExecutionNotCancellable",
  { type: problemType("execution-not-cancellable"), status: 409, title: "Execution Not Cancellable" },
  { executionId: Schema.String }
) {}

/** No interaction has this id. */
export class InteractionNotFoundProblem extends HttpApiError.Problem<InteractionNotFoundProblem>()(
  "InteractionNotFound",
  { type: problemType("interaction-not-found"), status: 404, title: "Interaction Not Found" },
  { interactionId: Schema.String }
) {}

/** Somebody else answered first; the first answer stands. */
export class InteractionAlreadyResolvedProblem extends HttpApiError.Problem<InteractionAlreadyResolvedProblem>()(
  "InteractionAlreadyResolved",
  { type: problemType("interaction-already-resolved"), status: 409, title: "Interaction Already Resolved" },
  {
    interactionId: Schema.String,
    interactionStatus: InteractionStatus,
    resolvedBy: Schema.NullOr(Schema.String)
  }
) {}

/** The answer does not fit the question. The question still waits. */
export class AnswerInvalidProblem extends HttpApiError.Problem<AnswerInvalidProblem>()(
  "AnswerInvalid",
  { type: problemType("answer-invalid"), status: 422, title: "Answer Invalid" },
  { executionId: Schema.String }
) {}

/** No tool has this path. */
export class ToolNotFoundProblem extends HttpApiError.Problem<ToolNotFoundProblem>()(
  "ToolNotFound",
  { type: problemType("tool-not-found"), status: 404, title: "Tool Not Found" },
  { path: Schema.String, suggestions: Schema.Array(Schema.String) }
) {}

/** No source has this namespace. */
export class SourceNotFoundProblem extends HttpApiError.Problem<SourceNotFoundProblem>()(
  "SourceNotFound",
  { type: problemType("source-not-found"), status: 404, title: "Source Not Found" },
  { namespace: Schema.String }
) {}

/** The source cannot be added, removed or refreshed as asked. */
export class SourceInvalidProblem extends HttpApiError.Problem<SourceInvalidProblem>()(
  "SourceInvalid",
  { type: problemType("source-invalid"), status: 422, title: "Source Invalid" },
  { namespace: Schema.String }
) {}

/** The source did not start, or did not answer. */
export class SourceUnavailableProblem extends HttpApiError.Problem<SourceUnavailableProblem>()(
  "SourceUnavailable",
  { type: problemType("source-unavailable"), status: 502, title: "Source Unavailable" },
  { namespace: Schema.String }
) {}
