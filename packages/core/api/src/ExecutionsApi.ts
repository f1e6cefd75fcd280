/**
 * Starting, answering, cancelling and reading executions.
 */
import { defaultListLimit, ExecutionId, maxListLimit, StatusFilter } from "@executor/sdk"
import { Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import { documentation, executionIdParameter, triggerParameters } from "./Documentation.ts"
import { flag, listOf, moment, sort, TriggerHeaders, wholeNumber } from "./Parameters.ts"
import {
  AnswerInvalidProblem,
  ExecutionNotCancellableProblem,
  ExecutionNotFoundProblem,
  ExecutionNotPausedProblem,
  ExecutionRefusedProblem,
  InteractionAlreadyResolvedProblem,
  InteractionNotFoundProblem
} from "./Problems.ts"
import { ExecutionPageRecord, ExecutionWithInteractionRecord, InteractionRecord, ToolCallRecord } from "./Records.ts"
import { CreateExecutionPayload, FinishedOutcome, PausedOutcome, ResumeExecutionPayload } from "./Submission.ts"

const params = { id: ExecutionId }

const triggerOrUnknown = Schema.String.check(
  Schema.isPattern(/^[a-z0-9._-]{1,64}$/, {
    message: "Expected trigger kinds of 1 to 64 characters of a-z, 0-9, '.', '_' and '-', or unknown"
  })
)

const toolPath = Schema.NonEmptyString.annotate({ message: "Expected tool paths, or patterns such as github.*" })

/** The query of `GET /executions`. All filters must hold; the values of one are alternatives. */
export const ListExecutionsQuery = Schema.Struct({
  limit: Schema.optionalKey(wholeNumber(1, maxListLimit)),
  cursor: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(listOf(StatusFilter)),
  trigger: Schema.optionalKey(listOf(triggerOrUnknown)),
  tool: Schema.optionalKey(listOf(toolPath)),
  from: Schema.optionalKey(moment),
  to: Schema.optionalKey(moment),
  after: Schema.optionalKey(moment),
  code: Schema.optionalKey(Schema.String),
  sort: Schema.optionalKey(sort),
  elicitation: Schema.optionalKey(flag),
  meta: Schema.optionalKey(flag)
})
export type ListExecutionsQuery = typeof ListExecutionsQuery.Type

const momentParameter = (description: string) => ({
  description: `${description} Milliseconds since the epoch, or ISO 8601 with an offset.`,
  schema: { anyOf: [{ type: "integer" }, { type: "string", format: "date-time" }, { type: "string", format: "date" }] }
})

const listParameter = (description: string, items: { readonly [key: string]: unknown }) => ({
  description: `${description} Comma-separated or repeated.`,
  schema: { type: "array", items }
})

const create = HttpApiEndpoint.post("create", "/executions", {
  headers: TriggerHeaders,
  payload: CreateExecutionPayload,
  success: [FinishedOutcome, PausedOutcome],
  error: ExecutionRefusedProblem
}).annotateMerge(
  documentation({
    summary: "Run code",
    description:
      "Runs TypeScript to its end, or to the first moment when nothing goes on but waiting for a person. A program that fails is " +
      "a 200 with the status `failed`. The execution goes on when the caller disconnects.",
    parameters: triggerParameters
  })
)

const resume = HttpApiEndpoint.post("resume", "/executions/:id/resume", {
  params,
  headers: TriggerHeaders,
  payload: ResumeExecutionPayload,
  success: [FinishedOutcome, PausedOutcome],
  error: [
    ExecutionNotFoundProblem,
    ExecutionNotPausedProblem,
    InteractionNotFoundProblem,
    InteractionAlreadyResolvedProblem,
    AnswerInvalidProblem
  ]
}).annotateMerge(
  documentation({
    summary: "Answer a question",
    description: "Answers a question of a paused execution, and waits as starting it does. The first answer wins.",
    parameters: { id: executionIdParameter, ...triggerParameters }
  })
)

const cancel = HttpApiEndpoint.post("cancel", "/executions/:id/cancel", {
  params,
  success: HttpApiSchema.NoContent,
  error: [ExecutionNotFoundProblem, ExecutionNotCancellableProblem]
}).annotateMerge(
  documentation({
    summary: "Cancel an execution",
    description: "Ends an execution that runs or waits, as `cancelled`.",
    parameters: { id: executionIdParameter }
  })
)

const list = HttpApiEndpoint.get("list", "/executions", {
  query: ListExecutionsQuery,
  success: ExecutionPageRecord
}).annotateMerge(
  documentation({
    summary: "List executions",
    description: "A page of the history, newest first unless `sort` says otherwise. All filters must hold.",
    parameters: {
      limit: {
        description: "How many at most.",
        schema: { type: "integer", minimum: 1, maximum: maxListLimit, default: defaultListLimit }
      },
      cursor: { description: "The `nextCursor` of another page, to go on where it ended. Only with the same `sort`." },
      status: listParameter("Only these statuses; with ! before it, not this one.", {
        type: "string",
        enum: [...StatusFilter.literals]
      }),
      trigger: listParameter("Only these trigger kinds; `unknown` for executions that recorded none.", {
        type: "string"
      }),
      tool: listParameter("Only executions that called one of these: a path, or `github.*` for all below.", {
        type: "string"
      }),
      from: momentParameter("Created at this moment or later."),
      to: momentParameter("Created before this moment."),
      after: momentParameter("Created later than this moment: for following the newest."),
      code: { description: "A substring of the code, whatever its case." },
      sort: { description: "Newest first by default. A field alone is ascending, after a minus descending." },
      elicitation: { description: "Whether a person was asked anything.", schema: { type: "boolean" } },
      meta: { description: "Adds counts and the timeline.", schema: { type: "boolean", default: false } }
    }
  })
)

const get = HttpApiEndpoint.get("get", "/executions/:id", {
  params,
  success: ExecutionWithInteractionRecord,
  error: ExecutionNotFoundProblem
}).annotateMerge(
  documentation({
    summary: "Get an execution",
    description: "One execution, with the oldest question that waits.",
    parameters: { id: executionIdParameter }
  })
)

const toolCalls = HttpApiEndpoint.get("toolCalls", "/executions/:id/tool-calls", {
  params,
  success: Schema.Array(ToolCallRecord),
  error: ExecutionNotFoundProblem
}).annotateMerge(documentation({ summary: "List an execution's tool calls", parameters: { id: executionIdParameter } }))

const interactions = HttpApiEndpoint.get("interactions", "/executions/:id/interactions", {
  params,
  success: Schema.Array(InteractionRecord),
  error: ExecutionNotFoundProblem
}).annotateMerge(
  documentation({
    summary: "List an execution's interactions",
    description: "Its questions to people, in order of asking. What people typed in answer is not included.",
    parameters: { id: executionIdParameter }
  })
)

/** The executions. */
export class ExecutionsApi extends HttpApiGroup.make("executions")
  .add(create, resume, cancel, list, get, toolCalls, interactions)
  .annotateMerge(OpenApi.annotations({ title: "executions", description: "Running code, and the history of it." })) {}
