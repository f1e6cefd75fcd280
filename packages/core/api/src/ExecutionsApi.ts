/**
 * Starting, answering, cancelling and reading executions.
 */
import { csvColumns, defaultListLimit, ExecutionId, maxListLimit, minQueryLength, StatusFilter } from "@executor/sdk"
import { Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import {
  documentation,
  executionIdParameter,
  idempotencyParameter,
  type ParameterDocumentation,
  triggerParameters
} from "./Documentation.ts"
import { flag, listOf, moment, sort, SubmissionHeaders, TriggerHeaders, wholeNumber } from "./Parameters.ts"
import {
  AnswerInvalidProblem,
  ExecutionInterruptedProblem,
  ExecutionNotCancellableProblem,
  ExecutionNotFoundProblem,
  ExecutionNotPausedProblem,
  ExecutionNotResumableProblem,
  ExecutionRefusedProblem,
  IdempotencyConflictProblem,
  InteractionAlreadyResolvedProblem,
  InteractionNotFoundProblem,
  TooManyExecutionsAnswer
} from "./Problems.ts"
import { ExecutionPageRecord, ExecutionPartsRecord, InteractionRecord, ToolCallRecord } from "./Records.ts"
import { CreateExecutionPayload, FinishedOutcome, PausedOutcome, ResumeExecutionPayload } from "./Submission.ts"

const params = { id: ExecutionId }

/** Any text but nothing, with or without a `!` before it. */
const textFilter = (message: string) => Schema.String.check(Schema.isPattern(/^!?[^!]|^!!/, { message }))

const trigger = textFilter(
  "Expected trigger kinds, unknown for none recorded, = before a kind that is to be taken as it is, ! before one that is not " +
    "wanted (a comma in a value is written \\,)"
)

const tool = textFilter(
  "Expected tool paths, or patterns such as github.* and *.create, with ! before what is not wanted (a comma in a value is " +
    "written \\,)"
)

/** The filters of a list of executions. All must hold; the values of one are alternatives. */
const filters = {
  status: Schema.optionalKey(listOf(StatusFilter)),
  trigger: Schema.optionalKey(listOf(trigger)),
  tool: Schema.optionalKey(listOf(tool)),
  from: Schema.optionalKey(moment),
  to: Schema.optionalKey(moment),
  after: Schema.optionalKey(moment),
  code: Schema.optionalKey(Schema.String),
  q: Schema.optionalKey(
    Schema.String.check(
      Schema.isMinLength(minQueryLength, { message: `Expected at least ${minQueryLength} characters` })
    )
  ),
  elicitation: Schema.optionalKey(flag)
}

/** The query of `GET /executions`. */
export const ListExecutionsQuery = Schema.Struct({
  limit: Schema.optionalKey(wholeNumber(1, maxListLimit)),
  cursor: Schema.optionalKey(Schema.String),
  ...filters,
  sort: Schema.optionalKey(sort),
  meta: Schema.optionalKey(flag)
})
export type ListExecutionsQuery = typeof ListExecutionsQuery.Type

/** The query of `GET /executions/export`. */
export const ExportExecutionsQuery = Schema.Struct({
  format: Schema.optionalKey(Schema.Literals(["jsonl", "csv"])),
  ...filters
})
export type ExportExecutionsQuery = typeof ExportExecutionsQuery.Type

const momentParameter = (description: string) => ({
  description: `${description} Milliseconds since the epoch, or ISO 8601 with an offset.`,
  schema: { anyOf: [{ type: "integer" }, { type: "string", format: "date-time" }, { type: "string", format: "date" }] }
})

const listParameter = (description: string, items: { readonly [key: string]: unknown }) => ({
  description: `${description} Comma-separated or repeated; a comma in a value is written \\,.`,
  schema: { type: "array", items }
})

const filterParameters: { readonly [name: string]: ParameterDocumentation } = {
  status: listParameter("Only these statuses; with ! before it, not this one.", {
    type: "string",
    enum: [...StatusFilter.literals]
  }),
  trigger: listParameter(
    "Only these trigger kinds; with ! before it, not this one. `unknown` is no kind recorded; after = a kind is taken as it is: " +
      "`=unknown`, `=!x`.",
    { type: "string", minLength: 1 }
  ),
  tool: listParameter(
    "Only executions that called one of these: a path, or a pattern where * is any text (`github.*`, `*.create`); with ! before " +
      "it, that did not.",
    { type: "string", minLength: 1 }
  ),
  from: momentParameter("Created at this moment or later."),
  to: momentParameter("Created before this moment."),
  after: momentParameter("Created later than this moment: for following the newest."),
  code: { description: "A substring of the code, whatever its case." },
  q: {
    description:
      "A substring, whatever its case, of what the execution was or did: its code, its error, its result, or the arguments, " +
      "result or error of one of its calls.",
    schema: { type: "string", minLength: minQueryLength }
  },
  elicitation: { description: "Whether a person was asked anything.", schema: { type: "boolean" } }
}

const create = HttpApiEndpoint.post("create", "/executions", {
  headers: SubmissionHeaders,
  payload: CreateExecutionPayload,
  success: [FinishedOutcome, PausedOutcome],
  error: [ExecutionRefusedProblem, IdempotencyConflictProblem, ExecutionInterruptedProblem, TooManyExecutionsAnswer]
}).annotateMerge(
  documentation({
    summary: "Run code",
    description:
      "Runs TypeScript to its end, or to the first moment when nothing goes on but waiting for a person. A program that fails is " +
      "a 200 with the status `failed`. The execution goes on when the caller disconnects.",
    parameters: { ...triggerParameters, "idempotency-key": idempotencyParameter }
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
    ExecutionNotResumableProblem,
    ExecutionInterruptedProblem,
    TooManyExecutionsAnswer,
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
      cursor: {
        description: "The `nextCursor` of another page, to go on where it ended. Only with the same filters and `sort`."
      },
      ...filterParameters,
      sort: { description: "Newest first by default. A field alone is ascending, after a minus descending." },
      meta: { description: "Adds counts and the timeline.", schema: { type: "boolean", default: false } }
    }
  })
)

const exportAll = HttpApiEndpoint.get("export", "/executions/export", {
  query: ExportExecutionsQuery,
  success: HttpApiSchema.StreamUint8Array({ contentType: ["application/x-ndjson", "text/csv"] })
}).annotateMerge(
  documentation({
    summary: "Export executions",
    description:
      "Everything that is recorded of executions, oldest first, as it is read: as JSON Lines (an object a line: `type` `execution` " +
      "with the fields of an execution, followed by its `toolCall` and `interaction` lines), or as comma-separated values (RFC 4180, " +
      `a line an execution: ${csvColumns.join(", ")}). A cell that a spreadsheet would take for a formula has a ' before it. When the ` +
      "history cannot be read to its end, the connection is cut. What people typed in answer to questions is not included.",
    parameters: {
      format: {
        description: "JSON Lines, or comma-separated values.",
        schema: { type: "string", enum: ["jsonl", "csv"], default: "jsonl" }
      },
      ...filterParameters
    }
  })
)

/** The query of `GET /executions/:id`. */
export const GetExecutionQuery = Schema.Struct({
  parts: Schema.optionalKey(listOf(Schema.Literals(["code", "result", "logs"])))
})
export type GetExecutionQuery = typeof GetExecutionQuery.Type

const get = HttpApiEndpoint.get("get", "/executions/:id", {
  params,
  query: GetExecutionQuery,
  success: ExecutionPartsRecord,
  error: ExecutionNotFoundProblem
}).annotateMerge(
  documentation({
    summary: "Get an execution",
    description: "One execution, with the oldest question that waits.",
    parameters: {
      id: executionIdParameter,
      parts: listParameter("Which of its large parts to give; all without it.", {
        type: "string",
        enum: ["code", "result", "logs"]
      })
    }
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
  .add(create, resume, cancel, list, exportAll, get, toolCalls, interactions)
  .annotateMerge(OpenApi.annotations({ title: "executions", description: "Running code, and the history of it." })) {}
