/**
 * The endpoints that run executions again from their journals, and the one that lists what waits for a person.
 */
import { ExecutorApi, type ForkRecord, type ForkReportRecord, type PausedForkRecord } from "@executor/api"
import type { Divergence, ExecutionEngine, ForkOutcome, ForkReport } from "@executor/execution"
import type { Executor } from "@executor/sdk"
import { Effect, Struct } from "effect"
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
        fork: ({ headers, params, payload: { anyBuild, approve, code, dryRun, limits } }) => {
          if (dryRun === true) {
            return Effect.map(asProblems(engine.previewFork(params.id, code, { limits, anyBuild })), (previewed) =>
              jsonBody<ForkRecord>({ report: report(previewed) })
            )
          }
          const idempotencyKey = headers["idempotency-key"]
          const options = { trigger: triggerOf(headers), approve, limits, anyBuild, idempotencyKey }
          return Effect.map(asProblems(outside(engine.fork(params.id, code, options))), forkBody)
        },
        replay: ({ params, payload }) =>
          Effect.map(asProblems(engine.replay(params.id, payload)), ({ divergence: at, ...replayed }) =>
            jsonBody(withoutUndefined({ ...replayed, divergence: at && divergence(at) }))
          ),
        inbox: ({ query: { cursor, limit } }) =>
          Effect.map(asProblems(executions.inbox(scopeId, { cursor, limit })), ({ interactions, ...page }) =>
            jsonBody({
              ...page,
              interactions: interactions.map(({ execution, interaction }) => ({
                interaction: withoutPrivate(interaction),
                execution: Struct.pick(execution, ["id", "codePreview", "triggerKind", "createdAt"])
              }))
            })
          )
      })
    })
  )
