/**
 * Running executions again from their journals: with other code, or to compare; and everything that waits for a person.
 */
import { ExecutionId, ExecutionStatus, maxListLimit } from "@executor/sdk"
import { Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import { documentation, executionIdParameter, idempotencyParameter, triggerParameters } from "./Documentation.ts"
import { SubmissionHeaders, wholeNumber } from "./Parameters.ts"
import {
  ExecutionInterruptedProblem,
  ExecutionNotFoundProblem,
  ExecutionNotResumableProblem,
  ExecutionRefusedProblem,
  IdempotencyConflictProblem,
  TooManyExecutionsAnswer
} from "./Problems.ts"
import { InteractionRecord } from "./Records.ts"
import { CreateExecutionPayload, FinishedOutcome, PausedOutcome } from "./Submission.ts"

const params = { id: ExecutionId }

const CallShapeRecord = Schema.Struct({
  seq: Schema.Int,
  path: Schema.String,
  argsJson: Schema.NullOr(Schema.String)
}).annotate({ identifier: "CallShape", description: "A call, as the journal has it or as the code made it." })

/** Where code left its journal: what was recorded there, and what it called instead. */
export const DivergenceRecord = Schema.Struct({
  recorded: Schema.optionalKey(CallShapeRecord),
  made: Schema.optionalKey(CallShapeRecord)
}).annotate({ identifier: "Divergence" })
export type DivergenceRecord = typeof DivergenceRecord.Type

/** How much of the old journal a fork used. */
export const ForkReportRecord = Schema.Struct({
  reused: Schema.Int.annotate({ description: "Calls whose recorded result was taken." }),
  recorded: Schema.Int.annotate({ description: "Calls in the old journal." }),
  divergence: Schema.optionalKey(DivergenceRecord)
}).annotate({
  identifier: "ForkReport",
  description:
    "How much of the journal was used. `divergence` is the first call that was made anew; absent if none was."
})
export type ForkReportRecord = typeof ForkReportRecord.Type

const anyBuild = Schema.optionalKey(
  Schema.Boolean.annotate({ description: "Tries even though another build of the sandbox wrote the journal." })
)

/** The body of `POST /executions/:id/fork`. */
export const ForkPayload = Schema.Struct({
  ...CreateExecutionPayload.fields,
  dryRun: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Only tells what would be reused: nothing is called, nothing recorded." })
  ),
  anyBuild
}).annotate({ identifier: "ForkExecution" })
export type ForkPayload = typeof ForkPayload.Type

/** What a fork came to that has ended, or what one would take. */
export const ForkRecord = Schema.Struct({
  report: ForkReportRecord,
  outcome: Schema.optionalKey(FinishedOutcome)
}).annotate({ identifier: "Fork", description: "What the fork came to. `outcome` is absent after a dry run." })
export type ForkRecord = typeof ForkRecord.Type

/** A fork that waits for a person: a 202, as when it had been started without a journal. */
export const PausedForkRecord = Schema.Struct({ report: ForkReportRecord, outcome: PausedOutcome })
  .pipe(HttpApiSchema.status(202))
  .annotate({ identifier: "PausedFork", description: "The fork waits for a person." })
export type PausedForkRecord = typeof PausedForkRecord.Type

const EndRecord = Schema.Struct({
  status: ExecutionStatus,
  resultJson: Schema.NullOr(Schema.String),
  errorText: Schema.NullOr(Schema.String)
}).annotate({ identifier: "ExecutionEnd" })

/** The body of `POST /executions/:id/replay`. */
export const ReplayPayload = Schema.Struct({
  anyBuild
}).annotate({ identifier: "ReplayExecution" })
export type ReplayPayload = typeof ReplayPayload.Type

/** What a replay came to, beside what was recorded. */
export const ReplayRecord = Schema.Struct({
  same: Schema.Boolean,
  recorded: EndRecord,
  replayed: EndRecord,
  divergence: Schema.optionalKey(DivergenceRecord),
  calls: Schema.Int.annotate({ description: "Calls whose recorded outcome was used." })
}).annotate({ identifier: "Replay" })
export type ReplayRecord = typeof ReplayRecord.Type

/** A question that waits, and whose it is. */
export const WaitingRecord = Schema.Struct({
  interaction: InteractionRecord,
  execution: Schema.Struct({
    id: ExecutionId,
    codePreview: Schema.String,
    triggerKind: Schema.NullOr(Schema.String),
    createdAt: Schema.Int
  })
}).annotate({ identifier: "WaitingInteraction" })
export type WaitingRecord = typeof WaitingRecord.Type

/** A page of questions that wait. */
export const InboxRecord = Schema.Struct({
  interactions: Schema.Array(WaitingRecord),
  nextCursor: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "Inbox" })
export type InboxRecord = typeof InboxRecord.Type

/** The query of `GET /interactions`. */
export const InboxQuery = Schema.Struct({
  status: Schema.optionalKey(Schema.Literal("pending")),
  limit: Schema.optionalKey(wholeNumber(1, maxListLimit)),
  cursor: Schema.optionalKey(Schema.String)
})
export type InboxQuery = typeof InboxQuery.Type

const fork = HttpApiEndpoint.post("fork", "/executions/:id/fork", {
  params,
  headers: SubmissionHeaders,
  payload: ForkPayload,
  success: [ForkRecord, PausedForkRecord],
  error: [
    ExecutionNotFoundProblem,
    ExecutionNotResumableProblem,
    ExecutionRefusedProblem,
    IdempotencyConflictProblem,
    ExecutionInterruptedProblem,
    TooManyExecutionsAnswer
  ]
}).annotateMerge(
  documentation({
    summary: "Run other code on the journal of an execution",
    description:
      "Calls that are the same as the recorded ones, in their order, take the recorded results; from the first that is not, all are " +
      "made. A new execution, whose parent is the old one. Waits as starting one does.",
    parameters: { id: executionIdParameter, ...triggerParameters, "idempotency-key": idempotencyParameter }
  })
)

const replay = HttpApiEndpoint.post("replay", "/executions/:id/replay", {
  params,
  payload: ReplayPayload,
  success: ReplayRecord,
  error: [ExecutionNotFoundProblem, ExecutionNotResumableProblem, ExecutionRefusedProblem, TooManyExecutionsAnswer]
}).annotateMerge(
  documentation({
    summary: "Run an execution again on its journal alone",
    description: "Nothing is called and nothing recorded; the ends are compared.",
    parameters: { id: executionIdParameter }
  })
)

const inbox = HttpApiEndpoint.get("inbox", "/interactions", {
  query: InboxQuery,
  success: InboxRecord
}).annotateMerge(
  documentation({
    summary: "List everything that waits for a person",
    description: "The questions of all executions that wait for an answer, oldest first.",
    parameters: {
      status: { description: "Only `pending` can be listed.", schema: { type: "string", enum: ["pending"] } },
      limit: {
        description: "How many at most.",
        schema: { type: "integer", minimum: 1, maximum: maxListLimit, default: maxListLimit }
      },
      cursor: { description: "The `nextCursor` of another page." }
    }
  })
)

/** Journals, and what waits. */
export class JournalsApi extends HttpApiGroup.make("journals")
  .add(fork, replay, inbox)
  .annotateMerge(
    OpenApi.annotations({ title: "journals", description: "Running executions again, and what waits for a person." })
  ) {}
