/**
 * Taking, keeping and giving up executions, and what is read to run one again. The protocol is in `ExecutionLease`.
 */
import { Clock, Effect } from "effect"
import type { DBAdapter, DBError, Row, Where, WriteOperation } from "../DBAdapter.ts"
import {
  type CallProgress,
  type Claim,
  type ExecutionJournal,
  ExecutionNotFree,
  type HeldExecution,
  type LeaseLost
} from "../ExecutionLease.ts"
import type {
  ExecutionNotFound,
  InteractionAlreadyResolved,
  InteractionNotFound,
  ListAbandonedOptions
} from "../ExecutionStore.ts"
import type { ExecutionId, ScopeId } from "../Ids.ts"
import { type ExecutionStatus, isTerminal } from "../Status.ts"
import { byId, eq, executionNotFound, getExecution, hasNotEnded } from "./executionRows.ts"
import { fence, fencedOr, leaseLost } from "./fence.ts"
import { answer, notPending } from "./interactionRows.ts"
import { readInteraction, readToolCall } from "./records.ts"

type Adapter = DBAdapter["Service"]

const execution = "execution"
const interaction = "execution_interaction"
const toolCall = "execution_tool_call"

/** Its holder has let it go, or nobody had it yet. */
const isLetGo: Where = { op: "isNull", column: "lease_until" }

/** Its holder had it, and is gone. */
const isLost = (at: number): Where => ({ op: "lte", column: "lease_until", value: at })

const isFree = (at: number): Where => ({ op: "or", conditions: [isLetGo, isLost(at)] })

const isHeld = (at: number): Where => ({ op: "gt", column: "lease_until", value: at })

const inScope = (scopeId: ScopeId, ...conditions: ReadonlyArray<Where>): Where => ({
  op: "and",
  conditions: [eq("scope_id", scopeId), ...conditions]
})

type ClaimError = DBError | ExecutionNotFound | ExecutionNotFree | InteractionNotFound | InteractionAlreadyResolved

/** Why a claim or an answer was not written. */
const refusal = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId,
  failed: number,
  claim: Claim["answer"]
): Effect.fn.Return<never, ClaimError> {
  if (failed > 0 && claim !== undefined) return yield* notPending(adapter, scopeId, claim.id)
  const [row] = yield* adapter.find({ table: execution, select: ["status"], where: byId(scopeId, id), limit: 1 })
  if (row === undefined) return yield* executionNotFound(id)
  const status = String(row["status"]) as ExecutionStatus
  return yield* isTerminal(status)
    ? new ExecutionNotFree({
        message: `Execution "${id}" has ended (${status}).`,
        executionId: id,
        reason: "ended"
      })
    : new ExecutionNotFree({
        message: `Execution "${id}" is ${status} in a process that lives.`,
        executionId: id,
        reason: "held"
      })
})

/**
 * Takes a free execution, and gives its new epoch. The epoch is read before, not after: between two steps of this process somebody
 * else may take the execution as well, and an epoch that two believe to have fences nobody off. For the same reason its lease has to be as
 * it was read: letting go or prolonging sets the crashes to 0.
 */
export const claimExecution = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId,
  claim: Claim
): Effect.fn.Return<number, ClaimError> {
  const select = ["epoch", "lease_until", "crashes"]
  const [row] = yield* adapter.find({ table: execution, select, where: byId(scopeId, id), limit: 1 })
  if (row === undefined) return yield* executionNotFound(id)
  const before = Number(row["epoch"])
  const wasLost = row["lease_until"] !== null
  const set = {
    owner: claim.owner,
    lease_until: claim.leaseUntil,
    status: "running",
    updated_at: claim.at,
    epoch: before + 1,
    ...(wasLost && { crashes: crashesOf(row) + 1 }),
    ...(claim.cancels === true && { cancel_requested_at: claim.at }),
    ...(claim.sandboxBuild !== undefined && { sandbox_build: claim.sandboxBuild })
  }
  const free = wasLost ? isLost(claim.at) : isLetGo
  const where: Where = { op: "and", conditions: [byId(scopeId, id), ...fence(before), hasNotEnded, free] }
  yield* Effect.catchTag(
    adapter.write([
      { op: "update", table: execution, where, set, expect: 1 },
      ...(yield* answered(scopeId, claim.answer))
    ]),
    "WriteConflict",
    ({ operation }) => refusal(adapter, scopeId, id, operation, claim.answer)
  )
  return before + 1
})

/** Answers a question of an execution that is held, and sets it `running`, so that the answer is not left behind. */
export const answerHeld = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId,
  claim: NonNullable<Claim["answer"]>,
  at: number
): Effect.fn.Return<void, ClaimError> {
  const where: Where = { op: "and", conditions: [byId(scopeId, id), hasNotEnded, isHeld(at)] }
  const set = { status: "running", updated_at: at }
  yield* Effect.catchTag(
    adapter.write([{ op: "update", table: execution, where, set, expect: 1 }, ...(yield* answered(scopeId, claim))]),
    "WriteConflict",
    ({ operation }) => refusal(adapter, scopeId, id, operation, claim)
  )
})

const answered = (scopeId: ScopeId, claim: Claim["answer"]): Effect.Effect<ReadonlyArray<WriteOperation>> =>
  claim === undefined
    ? Effect.succeed([])
    : Effect.map(Clock.currentTimeMillis, (now) => [answer(scopeId, claim.id, claim.resolution, now)])

/** Prolongs the leases that the owner still has, and sets the crashes of the executions that it has survived to 0. */
export const renewLeases = (
  adapter: Adapter,
  scopeId: ScopeId,
  owner: string,
  ids: ReadonlyArray<ExecutionId>,
  leaseUntil: number,
  survived: ReadonlyArray<ExecutionId> = []
): Effect.Effect<void, DBError> => {
  const setHeld = (ids: ReadonlyArray<ExecutionId>, set: Row): WriteOperation => ({
    op: "update",
    table: execution,
    where: inScope(scopeId, { op: "in", column: "id", values: ids }, eq("owner", owner), hasNotEnded),
    set
  })
  const operations = [
    setHeld(ids, { lease_until: leaseUntil }),
    ...(survived.length === 0 ? [] : [setHeld(survived, { crashes: 0 })])
  ]
  return adapter.write(operations, { urgent: true }).pipe(Effect.catchTag("WriteConflict", Effect.die), Effect.asVoid)
}

export const heldExecutions = (
  adapter: Adapter,
  scopeId: ScopeId,
  ids: ReadonlyArray<ExecutionId>
): Effect.Effect<ReadonlyArray<HeldExecution>, DBError> =>
  Effect.map(
    adapter.find({
      table: execution,
      select: ["id", "epoch", "cancel_requested_at", "crashes"],
      where: inScope(scopeId, { op: "in", column: "id", values: ids })
    }),
    (rows) =>
      rows.map((row) => ({
        id: String(row["id"]) as ExecutionId,
        epoch: Number(row["epoch"]),
        cancelRequestedAt: numberOf(row, "cancel_requested_at"),
        crashes: crashesOf(row)
      }))
  )

const numberOf = (row: Row | undefined, column: string): number | null => {
  const value = row?.[column]
  return typeof value === "number" ? value : null
}

const crashesOf = (row: Row | undefined): number => numberOf(row, "crashes") ?? 0

/** Gives an execution up. */
export const releaseExecution = (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId,
  epoch: number,
  status: ExecutionStatus | undefined
): Effect.Effect<void, DBError | LeaseLost> => {
  const conditions = [
    byId(scopeId, id),
    hasNotEnded,
    ...fence(epoch),
    ...(status === undefined ? [] : [eq("status", status)])
  ]
  return adapter
    .write([
      {
        op: "update",
        table: execution,
        where: { op: "and", conditions },
        set: { owner: null, lease_until: null, crashes: 0 },
        expect: 1
      }
    ])
    .pipe(
      Effect.asVoid,
      Effect.catchTag("WriteConflict", () => leaseLost(id))
    )
}

export const requestCancel = (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId,
  at: number
): Effect.Effect<void, DBError> =>
  adapter
    .write([
      {
        op: "update",
        table: execution,
        where: { op: "and", conditions: [byId(scopeId, id), hasNotEnded] },
        set: { cancel_requested_at: at }
      }
    ])
    .pipe(Effect.catchTag("WriteConflict", Effect.die), Effect.asVoid)

const idsOf = (rows: ReadonlyArray<Row>, column: string) => rows.map((row) => String(row[column]) as ExecutionId)

const shouldRun = (at: number): Where => ({
  op: "and",
  conditions: [{ op: "in", column: "status", values: ["pending", "running"] }, isFree(at)]
})

/** Its holder is gone, which waited with it: a timer was running. */
const wasHeld = (at: number): Where => ({
  op: "and",
  conditions: [eq("status", "waiting_for_interaction"), isLost(at)]
})

/** Its holder said that it waits, and was gone before it saw that the last question was answered. */
const wasAnswered = (at: number): Where => ({
  op: "and",
  conditions: [
    wasHeld(at),
    {
      op: "not",
      condition: {
        op: "exists",
        table: interaction,
        local: "id",
        foreign: "execution_id",
        where: eq("status", "pending")
      }
    }
  ]
})

/** Executions that should run, and that nobody runs. */
export const listAbandoned = (
  adapter: Adapter,
  scopeId: ScopeId,
  { at, crashesBelow, crashesFrom, exceptOwner, limit, sandboxBuild, waiting = false }: ListAbandonedOptions
): Effect.Effect<ReadonlyArray<ExecutionId>, DBError> => {
  const crashedFrom = (value: number): Where => ({ op: "gte", column: "crashes", value })
  return Effect.map(
    adapter.find({
      table: execution,
      select: ["id"],
      where: inScope(
        scopeId,
        { op: "or", conditions: [shouldRun(at), waiting ? wasHeld(at) : wasAnswered(at)] },
        ...(exceptOwner === undefined ? [] : [{ op: "not", condition: eq("owner", exceptOwner) } as const]),
        ...(sandboxBuild === undefined ? [] : [eq("sandbox_build", sandboxBuild)]),
        ...(crashesBelow === undefined ? [] : [{ op: "not", condition: crashedFrom(crashesBelow) } as const]),
        ...(crashesFrom === undefined ? [] : [crashedFrom(crashesFrom)])
      ),
      orderBy: [
        ...(crashesFrom === undefined ? [] : [{ column: "crashes", direction: "desc" } as const]),
        { column: "created_at", direction: "asc" },
        { column: "id", direction: "asc" }
      ],
      limit
    }),
    (rows) => idsOf(rows, "id")
  )
}

/** Waiting executions whose question was asked long ago. */
export const listExpired = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  { askedBefore, limit }: { readonly askedBefore: number; readonly limit: number }
): Effect.fn.Return<ReadonlyArray<ExecutionId>, DBError> {
  const rows = yield* adapter.find({
    table: interaction,
    select: ["execution_id"],
    where: inScope(
      scopeId,
      eq("status", "pending"),
      { op: "lt", column: "created_at", value: askedBefore },
      {
        op: "exists",
        table: execution,
        local: "execution_id",
        foreign: "id",
        where: {
          op: "and",
          // A lease that had run out by then has not been prolonged since.
          conditions: [eq("status", "waiting_for_interaction"), isFree(askedBefore)]
        }
      }
    ),
    orderBy: [{ column: "created_at", direction: "asc" }],
    limit
  })
  return [...new Set(idsOf(rows, "execution_id"))]
})

export const findByIdempotencyKey = Effect.fnUntraced(function* (adapter: Adapter, scopeId: ScopeId, key: string) {
  const where = inScope(scopeId, eq("idempotency_key", key))
  const [row] = yield* adapter.find({ table: execution, select: ["id"], where, limit: 1 })
  if (row === undefined) return undefined
  const found = getExecution(adapter, scopeId, String(row["id"]) as ExecutionId)
  return yield* Effect.catchTag(found, "ExecutionNotFound", () => Effect.undefined)
})

/** Everything that was recorded of an execution. */
export const readJournal = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId
): Effect.fn.Return<ExecutionJournal, DBError | ExecutionNotFound> {
  const found = yield* getExecution(adapter, scopeId, id)
  const select = ["sandbox_build", "options_json", "cancel_requested_at", "crashes"]
  const [row] = yield* adapter.find({ table: execution, select, where: byId(scopeId, id), limit: 1 })
  const ofExecution = inScope(scopeId, eq("execution_id", id))
  const calls = yield* adapter.find({
    table: toolCall,
    where: ofExecution,
    orderBy: [{ column: "seq", direction: "asc" }]
  })
  const interactions = yield* adapter.find({
    table: interaction,
    where: ofExecution,
    orderBy: [
      { column: "created_at", direction: "asc" },
      { column: "id", direction: "asc" }
    ]
  })
  const textOf = (column: string) => {
    const value = row?.[column]
    return typeof value === "string" ? value : null
  }
  return {
    execution: found,
    sandboxBuild: textOf("sandbox_build"),
    optionsJson: textOf("options_json"),
    cancelRequestedAt: numberOf(row, "cancel_requested_at"),
    crashes: crashesOf(row),
    calls: yield* Effect.forEach(calls, (call) =>
      Effect.map(readToolCall(call), (record) => ({
        call: record,
        answersSeen: numberOf(call, "answers_seen")
      }))
    ),
    interactions: yield* Effect.forEach(interactions, readInteraction)
  }
})

/** Notes how far a call has come. */
export const updateToolCall = (
  adapter: Adapter,
  scopeId: ScopeId,
  executionId: ExecutionId,
  seq: number,
  { answersSeen, status }: CallProgress,
  epoch: number
): Effect.Effect<void, DBError | LeaseLost> => {
  const where = inScope(
    scopeId,
    eq("execution_id", executionId),
    { op: "eq", column: "seq", value: seq },
    { op: "in", column: "status", values: ["running", "in_doubt"] },
    {
      op: "exists",
      table: execution,
      local: "execution_id",
      foreign: "id",
      where: { op: "and", conditions: fence(epoch) }
    }
  )
  const set = {
    ...(status !== undefined && { status }),
    ...(answersSeen !== undefined && { answers_seen: answersSeen })
  }
  return adapter.write([{ op: "update", table: toolCall, where, set, expect: 1 }]).pipe(
    Effect.asVoid,
    Effect.catchTag("WriteConflict", () =>
      fencedOr(adapter, scopeId, executionId, epoch, () =>
        Effect.die(`call ${seq} of execution ${executionId} was changed, and is not under way`)
      )
    )
  )
}
