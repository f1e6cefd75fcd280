/**
 * The endpoints of executions over the engine and its history.
 */
import {
  type ExecutionOutcomeRecord,
  type ExecutionPageRecord,
  type ExecutionPartsRecord,
  ExecutorApi,
  type ExportExecutionsQuery,
  type FinishedOutcome,
  type GetExecutionQuery,
  type InteractionRecord,
  type ListExecutionsQuery,
  type ToolCallRecord
} from "@executor/api"
import type {
  ExecutionEngine,
  ExecutionOutcome,
  FinishedExecution,
  PausedExecution,
  PendingInteraction
} from "@executor/execution"
import {
  type ExecutionId,
  type ExecutionStore,
  type ExecutionTrigger,
  type ExecutionInteraction,
  type Executor,
  type ExportOptions,
  type ListExecutionsOptions,
  type ScopeId
} from "@executor/sdk"
import { Context, Effect, Struct, Tracer } from "effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { archiveBody } from "./ArchiveBody.ts"
import { asProblems } from "./DomainProblems.ts"
import { jsonBody } from "./JsonBody.ts"
import { type Slice, slicedBody, sliceRows } from "./SlicedBody.ts"

type Store = ExecutionStore["Service"]
type ReadFailure = Effect.Error<ReturnType<Store["get"]>>

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

const triggerOf = (headers: TriggerHeaderValues): ExecutionTrigger => {
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
const withoutUndefined = <A extends object>(value: A): { [K in keyof A]: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof A]: Exclude<A[K], undefined>
  }

const finished = (execution: FinishedExecution): FinishedOutcome => ({
  executionId: execution.executionId,
  status: execution.status,
  ...(execution.resultJson === undefined ? {} : { resultJson: execution.resultJson }),
  ...(execution.error === undefined ? {} : { error: withoutUndefined(execution.error) }),
  logs: execution.logs,
  toolCallCount: execution.toolCallCount,
  durationMs: execution.durationMs
})

/** A question as JSON has it: what a tool asks with may hold what JSON leaves out. */
const pending = (interaction: PendingInteraction): PendingInteraction => ({
  ...interaction,
  request: JSON.parse(JSON.stringify(interaction.request))
})

/** Questions show the arguments of their calls: many at once may be as large as a result, and go out one by one. */
const paused = ({ id, interaction, interactions, toolCallCount }: PausedExecution) => {
  const rest = {
    executionId: id,
    status: "waiting_for_interaction" as const,
    interaction: pending(interaction),
    toolCallCount
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

const outcome = (outcome: ExecutionOutcome): Effect.Effect<ExecutionOutcomeRecord | HttpServerResponse> =>
  outcome.status === "paused" ? paused(outcome.execution) : Effect.succeed(jsonBody(finished(outcome)))

// What a person typed stays here. The contract has no place for it either, but a large body is written past the contract.
const withoutPrivate = (interaction: ExecutionInteraction): InteractionRecord =>
  Struct.omit(interaction, ["responsePrivateJson"])

const withoutPrivateOf = <E>({
  execution,
  pendingInteraction
}: {
  readonly execution: E
  readonly pendingInteraction: ExecutionInteraction | null
}) => ({
  execution,
  pendingInteraction: pendingInteraction === null ? null : withoutPrivate(pendingInteraction)
})

/** A page. Nothing in it is large but the questions that wait, which show the arguments of their calls. */
const page = (store: Store, scopeId: ScopeId, options: ListExecutionsOptions) =>
  Effect.map(store.list(scopeId, options), ({ executions, meta, nextCursor }) =>
    jsonBody<ExecutionPageRecord>(withoutUndefined({ executions: executions.map(withoutPrivateOf), nextCursor, meta }))
  )

const entry = Effect.fnUntraced(function* (
  store: Store,
  scopeId: ScopeId,
  id: ExecutionId,
  parts: GetExecutionQuery["parts"]
): Effect.fn.Return<ExecutionPartsRecord, ReadFailure> {
  if (parts === undefined) return withoutPrivateOf(yield* store.get(scopeId, id))
  const { execution, parts: named, pendingInteraction } = yield* store.getParts(scopeId, id, parts)
  return withoutPrivateOf({ execution: { ...Struct.omit(execution, ["codePreview"]), ...named }, pendingInteraction })
})

const toolCalls = (store: Store, scopeId: ScopeId, id: ExecutionId) => {
  const read = (after: number | undefined): Effect.Effect<Slice<ToolCallRecord, ReadFailure>, ReadFailure> =>
    Effect.map(store.listToolCalls(scopeId, id, { after, limit: sliceRows }), (items) => ({
      items,
      next: items.length < sliceRows ? undefined : read(items.at(-1)?.seq)
    }))
  return slicedBody(read(undefined), { whole: jsonBody<ReadonlyArray<ToolCallRecord>> })
}

const filterOptions = (query: Omit<ExportExecutionsQuery, "format">): ExportOptions => {
  const { after, code, elicitation, from, q, status, to, tool, trigger } = query
  return withoutUndefined({
    statusFilter: status,
    triggerFilter: trigger,
    toolPathFilter: tool,
    timeRange: from === undefined && to === undefined ? undefined : withoutUndefined({ from, to }),
    after,
    codeQuery: code,
    query: q,
    hadElicitation: elicitation
  })
}

const listOptions = ({ cursor, limit, meta, sort, ...filters }: ListExecutionsQuery): ListExecutionsOptions =>
  withoutUndefined({ ...filterOptions(filters), limit, cursor, sort, includeMeta: meta })

/** All that is under the filters. What is wrong with them is said before the answer begins. */
const archive = (store: Store, scopeId: ScopeId, { format = "jsonl", ...filters }: ExportExecutionsQuery) => {
  const options = filterOptions(filters)
  const records = store.exportRecords(scopeId, { ...options, executionsOnly: format === "csv" })
  return Effect.as(store.list(scopeId, { ...options, limit: 1 }), archiveBody(records, format))
}

/** The handlers of the group `executions`. */
export const layerExecutionHandlers = (engine: ExecutionEngine, executor: Executor) =>
  HttpApiBuilder.group(
    ExecutorApi,
    "executions",
    Effect.fnUntraced(function* (handlers) {
      const { executions } = executor
      const scopeId = executor.scopes[0]
      const serverContext = yield* Effect.context<never>()

      // An execution keeps the context that it was submitted in, and may wait for a month: it must not keep a request and its
      // connection alive with it.
      const outsideRequest = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
        Effect.updateContext(effect, (request: Context.Context<never>) => {
          const span = Context.getOrUndefined(request, Tracer.ParentSpan)
          return span === undefined ? serverContext : Context.add(serverContext, Tracer.ParentSpan, span)
        })

      return handlers.handleAll({
        create: ({ headers, payload: { approve, code, limits } }) =>
          asProblems(
            outsideRequest(engine.executeWithPause(code, { trigger: triggerOf(headers), approve, limits }))
          ).pipe(Effect.flatMap(outcome)),
        resume: ({ headers, params, payload }) =>
          asProblems(
            engine.resume(params.id, { ...payload, resolvedBy: headers["x-executor-user"] ?? triggerOf(headers).kind })
          ).pipe(Effect.flatMap(outcome)),
        cancel: ({ params }) => asProblems(engine.cancel(params.id)),
        list: ({ query }) => asProblems(page(executions, scopeId, listOptions(query))),
        export: ({ query }) => asProblems(archive(executions, scopeId, query)),
        get: ({ params, query }) =>
          asProblems(entry(executions, scopeId, params.id, query.parts)).pipe(Effect.map(jsonBody)),
        toolCalls: ({ params }) => asProblems(toolCalls(executions, scopeId, params.id)),
        interactions: ({ params }) =>
          asProblems(executions.listInteractions(scopeId, params.id)).pipe(
            Effect.map((interactions) => interactions.map(withoutPrivate)),
            Effect.map(jsonBody)
          )
      })
    })
  )
