/**
 * The endpoints of executions over the engine and its history.
 */
import {
  type ExecutionPageRecord,
  type ExecutionPartsRecord,
  ExecutorApi,
  type ExportExecutionsQuery,
  type GetExecutionQuery,
  type InteractionRecord,
  type ListExecutionsQuery,
  type ToolCallRecord
} from "@executor/api"
import type { ExecutionEngine } from "@executor/execution"
import {
  type ExecutionId,
  type ExecutionStore,
  type ExecutionInteraction,
  type Executor,
  type ExportOptions,
  type ListExecutionsOptions,
  type ScopeId
} from "@executor/sdk"
import { Effect, Struct } from "effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { archiveBody } from "./ArchiveBody.ts"
import { asProblems } from "./DomainProblems.ts"
import { jsonBody } from "./JsonBody.ts"
import { outcomeBody, outsideRequest, triggerOf, withoutUndefined } from "./Outcomes.ts"
import { type Slice, slicedBody, sliceRows } from "./SlicedBody.ts"

type Store = ExecutionStore["Service"]
type ReadFailure = Effect.Error<ReturnType<Store["get"]>>

// What a person typed stays here. The contract has no place for it either, but a large body is written past the contract.
export const withoutPrivate = (interaction: ExecutionInteraction): InteractionRecord =>
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
      const outside = outsideRequest(yield* Effect.context<never>())
      return handlers.handleAll({
        create: ({ headers, payload: { approve, code, limits } }) =>
          asProblems(
            outside(
              engine.executeWithPause(code, {
                trigger: triggerOf(headers),
                approve,
                limits,
                idempotencyKey: headers["idempotency-key"]
              })
            )
          ).pipe(Effect.flatMap(outcomeBody)),
        resume: ({ headers, params, payload }) =>
          asProblems(
            outside(
              engine.resume(params.id, {
                ...payload,
                resolvedBy: headers["x-executor-user"] ?? triggerOf(headers).kind
              })
            )
          ).pipe(Effect.flatMap(outcomeBody)),
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
