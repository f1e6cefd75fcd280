/**
 * The endpoints that run executions again from their journals, and the one that lists what waits for a person.
 */
import {
  BadRequestProblem,
  ExecutorApi,
  type ForkRecord,
  type ForkReportRecord,
  type PausedForkRecord
} from "@executor/api"
import type { Divergence, ExecutionEngine, ForkOutcome, ForkReport } from "@executor/execution"
import { type ExecutionInteraction, ExecutionInteractionId, type Executor, maxListLimit } from "@executor/sdk"
import { Effect, Result, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { asProblems } from "./DomainProblems.ts"
import { withoutPrivate } from "./ExecutionHandlers.ts"
import { jsonBody } from "./JsonBody.ts"
import { finished, outsideRequest, pending, triggerOf, withoutUndefined } from "./Outcomes.ts"

const divergence = ({ made, recorded }: Divergence) => withoutUndefined({ made, recorded })

const report = ({ divergence: at, recorded, reused }: ForkReport): ForkReportRecord =>
  withoutUndefined({ reused, recorded, divergence: at && divergence(at) })

const forkBody = ({ outcome, report: made }: ForkOutcome) => {
  if (outcome.status !== "paused") return jsonBody<ForkRecord>({ report: report(made), outcome: finished(outcome) })
  const { id, interaction, interactions, toolCallCount } = outcome.execution
  const paused: PausedForkRecord["outcome"] = {
    executionId: id,
    status: "waiting_for_interaction",
    interaction: pending(interaction),
    interactions: interactions.map(pending),
    toolCallCount
  }
  return jsonBody<PausedForkRecord>({ report: report(made), outcome: paused }, 202)
}

const Cursor = Schema.fromJsonString(Schema.Tuple([Schema.Int, ExecutionInteractionId]))

const cursorOf = ({ createdAt, id }: ExecutionInteraction): string =>
  Base64Url.encode(new TextEncoder().encode(JSON.stringify([createdAt, id])))

const badCursor = new BadRequestProblem({
  detail: "cursor: Expected the nextCursor of another page",
  errors: [{ path: ["query", "cursor"], message: "Expected the nextCursor of another page" }]
})

const positionOf = (
  cursor: string
): Effect.Effect<Pick<ExecutionInteraction, "createdAt" | "id">, BadRequestProblem> => {
  const bytes = Base64Url.decode(cursor)
  if (Result.isFailure(bytes)) return Effect.fail(badCursor)
  const text = new TextDecoder().decode(bytes.success)
  return Schema.decodeUnknownEffect(Cursor)(text).pipe(
    Effect.map(([createdAt, id]) => ({ createdAt, id })),
    Effect.mapError(() => badCursor)
  )
}

/** The handlers of the group `journals`. */
export const layerJournalHandlers = (engine: ExecutionEngine, executor: Executor) =>
  HttpApiBuilder.group(
    ExecutorApi,
    "journals",
    Effect.fnUntraced(function* (handlers) {
      const { executions } = executor
      const scopeId = executor.scopes[0]
      const outside = outsideRequest(yield* Effect.context<never>())
      return handlers.handleAll({
        fork: ({ headers, params, payload: { approve, code, dryRun, limits } }) => {
          if (dryRun === true) {
            return Effect.map(asProblems(engine.previewFork(params.id, code, { limits })), (previewed) =>
              jsonBody<ForkRecord>({ report: report(previewed) })
            )
          }
          const options = { trigger: triggerOf(headers), approve, limits, idempotencyKey: headers["idempotency-key"] }
          return Effect.map(asProblems(outside(engine.fork(params.id, code, options))), forkBody)
        },
        replay: ({ params, payload }) =>
          Effect.map(asProblems(engine.replay(params.id, payload)), ({ divergence: at, ...replayed }) =>
            jsonBody(withoutUndefined({ ...replayed, divergence: at && divergence(at) }))
          ),
        inbox: Effect.fnUntraced(function* ({ query: { cursor, limit = maxListLimit } }) {
          const after = cursor === undefined ? undefined : yield* positionOf(cursor)
          const found = yield* asProblems(executions.listPendingInteractions(scopeId, { limit: limit + 1, after }))
          const page = found.slice(0, limit)
          const last = page.at(-1)
          const interactions = yield* Effect.forEach(page, (interaction) =>
            Effect.map(asProblems(executions.getParts(scopeId, interaction.executionId, [])), ({ execution }) => {
              const { codePreview, createdAt, id, triggerKind } = execution
              return {
                interaction: withoutPrivate(interaction),
                execution: { id, codePreview, triggerKind, createdAt }
              }
            }).pipe(Effect.catchTag("ExecutionNotFound", () => Effect.undefined))
          )
          return jsonBody({
            interactions: interactions.filter((each) => each !== undefined),
            ...(found.length > limit && last !== undefined ? { nextCursor: cursorOf(last) } : {})
          })
        })
      })
    })
  )
