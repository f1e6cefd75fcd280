/**
 * What requests say of their callers, and what came of running code, between the engine and the contract.
 */
import type { ExecutionOutcomeRecord, FinishedOutcome } from "@executor/api"
import type { ExecutionOutcome, FinishedExecution, PausedExecution, PendingInteraction } from "@executor/execution"
import type { ExecutionTrigger } from "@executor/sdk"
import { Context, Effect, Tracer } from "effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import { jsonBody } from "./JsonBody.ts"
import { type Slice, slicedBody } from "./SlicedBody.ts"

/** The trigger kind of a request that names none. */
const defaultTrigger = "http"

/** Version 00 of W3C trace context; all zeros are invalid there. */
const traceparentPattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

interface TriggerHeaderValues {
  readonly "x-executor-trigger"?: string
  readonly "x-executor-client"?: { readonly name: string; readonly version: string }
  readonly "x-executor-user"?: string
  readonly traceparent?: string
}

/** The trigger that the headers of a request describe. */
export const triggerOf = (headers: TriggerHeaderValues): ExecutionTrigger => {
  const kind = headers["x-executor-trigger"] ?? defaultTrigger
  const client = headers["x-executor-client"]
  const user = headers["x-executor-user"]
  const traceparent = headers.traceparent
  const traced = traceparent !== undefined && traceparentPattern.test(traceparent)
  const meta = {
    ...(client === undefined ? {} : { client }),
    ...(user === undefined ? {} : { user }),
    ...(traced ? { traceparent } : {})
  }
  return Object.keys(meta).length === 0 ? { kind } : { kind, meta }
}

/** A copy without the properties that are `undefined`: the contract knows only absent ones. */
export const withoutUndefined = <A extends object>(value: A): { [K in keyof A]: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof A]: Exclude<A[K], undefined>
  }

/** An end as the contract has it. */
export const finished = (execution: FinishedExecution): FinishedOutcome => ({
  executionId: execution.executionId,
  status: execution.status,
  ...(execution.resultJson === undefined ? {} : { resultJson: execution.resultJson }),
  ...(execution.error === undefined ? {} : { error: withoutUndefined(execution.error) }),
  logs: execution.logs,
  toolCallCount: execution.toolCallCount,
  durationMs: execution.durationMs,
  ...(execution.historyProblem !== undefined && { historyProblem: execution.historyProblem })
})

/**
 * A question as JSON has it: what a tool asks with may hold what JSON leaves out. A number that most readers of JSON would change is its
 * text: a person must be shown what they approve.
 */
export const pending = (interaction: PendingInteraction): PendingInteraction => ({
  ...interaction,
  request: JSON.parse(
    JSON.stringify(interaction.request, (_, value: unknown) => (JSON.isRawJSON(value) ? value.rawJSON : value))
  )
})

/** Questions show the arguments of their calls: many at once may be as large as a result, and go out one by one. */
const paused = ({ historyProblem, id, interaction, interactions, toolCallCount }: PausedExecution) => {
  const rest = {
    executionId: id,
    status: "waiting_for_interaction" as const,
    interaction: pending(interaction),
    toolCallCount,
    ...(historyProblem !== undefined && { historyProblem })
  }
  const read = (index: number): Effect.Effect<Slice<PendingInteraction, never>> =>
    Effect.sync(() => ({
      items: interactions.slice(index, index + 1).map(pending),
      next: index + 1 < interactions.length ? read(index + 1) : undefined
    }))
  return slicedBody(read(0), {
    field: "interactions",
    beside: rest,
    status: 202,
    whole: (items) => ({ ...rest, interactions: items })
  })
}

/** What came of running code, as a body. */
export const outcomeBody = (outcome: ExecutionOutcome): Effect.Effect<ExecutionOutcomeRecord | HttpServerResponse> =>
  outcome.status === "paused" ? paused(outcome.execution) : Effect.succeed(jsonBody(finished(outcome)))

/**
 * Runs what outlives a request: an execution keeps the context that it was submitted in, and may wait for a month, so it must not keep
 * the request and its connection alive with it.
 */
export const outsideRequest =
  (server: Context.Context<never>) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.updateContext(effect, (request: Context.Context<never>) => {
      const span = Context.getOrUndefined(request, Tracer.ParentSpan)
      return span === undefined ? server : Context.add(server, Tracer.ParentSpan, span)
    })
