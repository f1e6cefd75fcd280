/**
 * The history: every execution, tool call and interaction, over any `DBAdapter`.
 *
 * The engine writes it while an execution runs; people and hosts read it. The same rows are the journal that a paused
 * or interrupted execution is continued from, so the order of writes is part of the contract: a tool call is recorded
 * (`running`) before any effect, and finished before the code can see its outcome.
 *
 * Every method names the scope; a row of another scope is not found. A write that names an `epoch` is refused with `LeaseLost` once the
 * execution has a later one: see `ExecutionLease`.
 */
import { Context, type Effect, Schema, type Stream } from "effect"
import type { DBError } from "./DBAdapter.ts"
import {
  type Execution,
  type ExecutionInteraction,
  type ExecutionSummary,
  type ExecutionToolCall,
  InteractionKind
} from "./Execution.ts"
import type { ArchiveRecord, ExportOptions, ImportResult } from "./ExecutionArchive.ts"
import type {
  CallProgress,
  Claim,
  ExecutionJournal,
  ExecutionNotFree,
  HeldExecution,
  LeaseLost
} from "./ExecutionLease.ts"
import type { ExecutionPage, ListedExecution, ListExecutionsOptions } from "./ExecutionList.ts"
import { ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "./Ids.ts"
import { ExecutionStatus, InteractionStatus, ToolCallStatus } from "./Status.ts"

/** A new execution. What is left out is null, 0 or false, and the times are now. */
export const CreateExecution = Schema.Struct({
  id: ExecutionId,
  scopeId: ScopeId,
  status: ExecutionStatus,
  code: Schema.String,
  triggerKind: Schema.optionalKey(Schema.NullOr(Schema.String)),
  triggerMetaJson: Schema.optionalKey(Schema.NullOr(Schema.String)),
  createdAt: Schema.optionalKey(Schema.Int),
  startedAt: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  seed: Schema.optionalKey(Schema.Int),
  owner: Schema.optionalKey(Schema.NullOr(Schema.String)),
  leaseUntil: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  parentExecutionId: Schema.optionalKey(Schema.NullOr(ExecutionId)),
  idempotencyKey: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** The build of the sandbox that it runs in. */
  sandboxBuild: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** What the engine needs to run it again, beside code and trigger; `"fork":true` in it says that it needs the journal of its parent. */
  optionsJson: Schema.optionalKey(Schema.NullOr(Schema.String))
})
export type CreateExecution = typeof CreateExecution.Type

/** Changes to an execution. `updatedAt` is set by the store. */
export const UpdateExecution = Schema.Struct({
  status: Schema.optionalKey(ExecutionStatus),
  resultJson: Schema.optionalKey(Schema.NullOr(Schema.String)),
  errorText: Schema.optionalKey(Schema.NullOr(Schema.String)),
  logsJson: Schema.optionalKey(Schema.NullOr(Schema.String)),
  startedAt: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  completedAt: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  durationMs: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  owner: Schema.optionalKey(Schema.NullOr(Schema.String)),
  leaseUntil: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  epoch: Schema.optionalKey(Schema.Int),
  journalComplete: Schema.optionalKey(Schema.Boolean)
})
export type UpdateExecution = typeof UpdateExecution.Type

/** A tool call about to be made: recorded as `running`, and counted on its execution. */
export const RecordToolCall = Schema.Struct({
  id: ExecutionToolCallId,
  executionId: ExecutionId,
  scopeId: ScopeId,
  seq: Schema.Int,
  toolPath: Schema.String,
  argsJson: Schema.NullOr(Schema.String),
  startedAt: Schema.Int
})
export type RecordToolCall = typeof RecordToolCall.Type

/** The outcome of a tool call. */
export const FinishToolCall = Schema.Struct({
  status: ToolCallStatus,
  settleSeq: Schema.NullOr(Schema.Int),
  resultJson: Schema.optionalKey(Schema.NullOr(Schema.String)),
  errorText: Schema.optionalKey(Schema.NullOr(Schema.String)),
  completedAt: Schema.Int,
  durationMs: Schema.Int
})
export type FinishToolCall = typeof FinishToolCall.Type

/** A question about to be put to a human: recorded as `pending`, and counted on its execution. */
export const RecordInteraction = Schema.Struct({
  id: ExecutionInteractionId,
  executionId: ExecutionId,
  scopeId: ScopeId,
  toolCallId: Schema.NullOr(ExecutionToolCallId),
  kind: InteractionKind,
  purpose: Schema.String,
  payloadJson: Schema.String,
  /** When it is asked; now if left out. */
  createdAt: Schema.optionalKey(Schema.Int)
})
export type RecordInteraction = typeof RecordInteraction.Type

/** The end of an interaction: an answer, or `cancelled` when nobody needs one any more. */
export const ResolveInteraction = Schema.Struct({
  status: Schema.Literals(["resolved", "cancelled"]),
  responseJson: Schema.NullOr(Schema.String),
  responsePrivateJson: Schema.optionalKey(Schema.NullOr(Schema.String)),
  resolvedBy: Schema.NullOr(Schema.String)
})
export type ResolveInteraction = typeof ResolveInteraction.Type

/** An execution with the oldest question that waits for an answer. */
export interface ExecutionWithInteraction {
  readonly execution: Execution
  readonly pendingInteraction: ExecutionInteraction | null
}

/** The large parts of an execution, as far as they were asked for. */
export interface ExecutionParts {
  readonly code?: string
  readonly resultJson?: string | null
  readonly logsJson?: string | null
}

/**
 * What `sweep` removes: finished executions, those that ended first before others. At least one bound is wanted; with
 * several, only what is beyond all of them is removed.
 */
export const SweepOptions = Schema.Struct({
  /** Those that ended before this time, in milliseconds since the epoch. */
  completedBefore: Schema.optional(Schema.Int),
  /** All but this many that ended last. */
  keepNewest: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  /**
   * As many that ended first as it takes for what the others returned, logged, and called with to be at most so many
   * characters, which are about its bytes.
   */
  keepSize: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  /** At most this many in one call, so that a sweep never holds up other writes; 500 by default. */
  limit: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 })))
})
export type SweepOptions = typeof SweepOptions.Type

/** A part of an execution's tool calls: together they may be far larger than what fits into memory. */
export interface ListToolCallsOptions {
  /** Only calls that were made after the one with this `seq`. */
  readonly after?: number | undefined
  /** At most this many; all if absent. */
  readonly limit?: number | undefined
}

/** Which abandoned executions are listed. */
export interface ListAbandonedOptions {
  /** Leases that end by this time have run out. */
  readonly at: number
  readonly limit: number
  /** Also those that wait for a person and whose holder is gone, as it may have waited for something else too. */
  readonly waiting?: boolean | undefined
  /** Not those that this owner holds, though their lease has run out: it lives, and has not given them up. */
  readonly exceptOwner?: string | undefined
  /** Only those whose journal this build of the sandbox wrote. */
  readonly sandboxBuild?: string | undefined
  /** Only executions over which fewer processes in a row were lost. */
  readonly crashesBelow?: number | undefined
  /** Only executions over which so many processes in a row were lost, or more: most crashes first. */
  readonly crashesFrom?: number | undefined
}

/** The largest text that is stored as code, arguments, result or logs, in bytes: above every default limit of a sandbox. */
export const maxPayloadBytes = 16 * 1024 * 1024

/** The history of executions. */
export class ExecutionStore extends Context.Service<
  ExecutionStore,
  {
    readonly create: (input: CreateExecution) => Effect.Effect<Execution, DBError | PayloadTooLarge>
    readonly update: (
      scopeId: ScopeId,
      id: ExecutionId,
      changes: UpdateExecution,
      epoch?: number
    ) => Effect.Effect<void, DBError | ExecutionNotFound | PayloadTooLarge | LeaseLost>
    readonly get: (
      scopeId: ScopeId,
      id: ExecutionId
    ) => Effect.Effect<ExecutionWithInteraction, DBError | ExecutionNotFound>
    /** An execution as lists show it, with those of its large parts that are named. */
    readonly getParts: (
      scopeId: ScopeId,
      id: ExecutionId,
      parts: ReadonlyArray<"code" | "result" | "logs">
    ) => Effect.Effect<ListedExecution & { readonly parts: ExecutionParts }, DBError | ExecutionNotFound>
    readonly list: (
      scopeId: ScopeId,
      options?: ListExecutionsOptions
    ) => Effect.Effect<ExecutionPage, DBError | ListOptionsInvalid>
    readonly recordInteraction: (
      input: RecordInteraction,
      epoch?: number
    ) => Effect.Effect<ExecutionInteraction, DBError | LeaseLost>
    /** First answer wins: a second one fails with {@link InteractionAlreadyResolved} and changes nothing. */
    readonly resolveInteraction: (
      scopeId: ScopeId,
      id: ExecutionInteractionId,
      resolution: ResolveInteraction,
      epoch?: number
    ) => Effect.Effect<void, DBError | InteractionNotFound | InteractionAlreadyResolved | LeaseLost>
    /** In order of asking. */
    readonly listInteractions: (
      scopeId: ScopeId,
      executionId: ExecutionId
    ) => Effect.Effect<ReadonlyArray<ExecutionInteraction>, DBError | ExecutionNotFound>
    /** All questions of a scope that wait for an answer, oldest first, in pages. */
    readonly inbox: (scopeId: ScopeId, options?: InboxOptions) => Effect.Effect<InboxPage, DBError | ListOptionsInvalid>
    readonly recordToolCall: (
      input: RecordToolCall,
      epoch?: number
    ) => Effect.Effect<void, DBError | PayloadTooLarge | LeaseLost>
    readonly finishToolCall: (
      scopeId: ScopeId,
      id: ExecutionToolCallId,
      outcome: FinishToolCall,
      epoch?: number
    ) => Effect.Effect<void, DBError | ToolCallNotFound | PayloadTooLarge | LeaseLost>
    /** Notes how far a call without an outcome has come. */
    readonly updateToolCall: (
      scopeId: ScopeId,
      executionId: ExecutionId,
      seq: number,
      progress: CallProgress,
      epoch: number
    ) => Effect.Effect<void, DBError | LeaseLost>
    /** Takes a free execution, and answers its question with it where one is given. Gives the new epoch. */
    readonly claim: (
      scopeId: ScopeId,
      id: ExecutionId,
      claim: Claim
    ) => Effect.Effect<
      number,
      DBError | ExecutionNotFound | ExecutionNotFree | InteractionNotFound | InteractionAlreadyResolved
    >
    /** Answers a question of an execution that another process holds, which goes on with it. */
    readonly answerHeld: (
      scopeId: ScopeId,
      executionId: ExecutionId,
      answer: NonNullable<Claim["answer"]>,
      at: number
    ) => Effect.Effect<
      void,
      DBError | ExecutionNotFound | ExecutionNotFree | InteractionNotFound | InteractionAlreadyResolved
    >
    /** See `DBAdapter.answeredWrites`. */
    readonly answeredWrites?: (() => number) | undefined
    /**
     * Prolongs the leases of those of the executions that the owner still holds; before all other writes that wait. Sets the crashes of
     * `survived` executions to 0, which their holder has had for long enough.
     */
    readonly renewLeases: (
      scopeId: ScopeId,
      owner: string,
      ids: ReadonlyArray<ExecutionId>,
      leaseUntil: number,
      survived?: ReadonlyArray<ExecutionId>
    ) => Effect.Effect<void, DBError>
    /** What is to be known of executions that run in this process. */
    readonly heldExecutions: (
      scopeId: ScopeId,
      ids: ReadonlyArray<ExecutionId>
    ) => Effect.Effect<ReadonlyArray<HeldExecution>, DBError>
    /** Gives an execution up, so that anybody may take it; with a status, only if it still has that one. */
    readonly release: (
      scopeId: ScopeId,
      id: ExecutionId,
      epoch: number,
      status?: ExecutionStatus
    ) => Effect.Effect<void, DBError | LeaseLost>
    /** Asks whoever holds the execution to cancel it. */
    readonly requestCancel: (scopeId: ScopeId, id: ExecutionId, at: number) => Effect.Effect<void, DBError>
    /** Executions that should run and that nobody runs, oldest first unless the options say otherwise. */
    readonly listAbandoned: (
      scopeId: ScopeId,
      options: ListAbandonedOptions
    ) => Effect.Effect<ReadonlyArray<ExecutionId>, DBError>
    /** Rings when an execution may have been released, here or by another process: see `freed` of `DBAdapter`. */
    readonly freed: Stream.Stream<void>
    /** Waiting executions that nobody holds, and whose oldest question was asked before a time. */
    readonly listExpired: (
      scopeId: ScopeId,
      options: { readonly askedBefore: number; readonly limit: number }
    ) => Effect.Effect<ReadonlyArray<ExecutionId>, DBError>
    readonly findByIdempotencyKey: (scopeId: ScopeId, key: string) => Effect.Effect<Execution | undefined, DBError>
    readonly readJournal: (
      scopeId: ScopeId,
      id: ExecutionId
    ) => Effect.Effect<ExecutionJournal, DBError | ExecutionNotFound>
    /** In order of `seq`: all of them, or as many as the options ask for. */
    readonly listToolCalls: (
      scopeId: ScopeId,
      executionId: ExecutionId,
      options?: ListToolCallsOptions
    ) => Effect.Effect<ReadonlyArray<ExecutionToolCall>, DBError | ExecutionNotFound>
    /** Removes finished executions with all that belongs to them. */
    readonly sweep: (
      scopeId: ScopeId,
      options: SweepOptions
    ) => Effect.Effect<{ readonly removed: number }, DBError | ListOptionsInvalid>
    /** The executions under the filters with all that belongs to them, oldest first, in the same memory at any size. */
    readonly exportRecords: (
      scopeId: ScopeId,
      options?: ExportOptions
    ) => Stream.Stream<ArchiveRecord, DBError | ListOptionsInvalid>
    /**
     * Writes records of an export, of any scope, to this one: all or none. What is there is left as it is. Executions must
     * have ended; a call or a question follows its execution, which an earlier import may have written.
     */
    readonly importRecords: (
      scopeId: ScopeId,
      records: ReadonlyArray<ArchiveRecord>
    ) => Effect.Effect<ImportResult, DBError | PayloadTooLarge>
  }
>()("@executor/sdk/ExecutionStore") {}

/** A text is larger than {@link maxPayloadBytes}. Nothing was written. */
export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>()("PayloadTooLarge", {
  message: Schema.String,
  field: Schema.String,
  bytes: Schema.Int,
  limit: Schema.Int
}) {}

/** No execution has this id in the scope. */
export class ExecutionNotFound extends Schema.TaggedError<ExecutionNotFound>()("ExecutionNotFound", {
  message: Schema.String,
  executionId: Schema.String
}) {}

/** No tool call has this id in the scope. */
export class ToolCallNotFound extends Schema.TaggedError<ToolCallNotFound>()("ToolCallNotFound", {
  message: Schema.String,
  toolCallId: Schema.String
}) {}

/** No interaction has this id in the scope. */
export class InteractionNotFound extends Schema.TaggedError<InteractionNotFound>()("InteractionNotFound", {
  message: Schema.String,
  interactionId: Schema.String
}) {}

/** Somebody else answered first. */
export class InteractionAlreadyResolved extends Schema.TaggedError<InteractionAlreadyResolved>()(
  "InteractionAlreadyResolved",
  {
    message: Schema.String,
    interactionId: Schema.String,
    status: InteractionStatus,
    /** Who answered, where known. */
    resolvedBy: Schema.NullOr(Schema.String)
  }
) {}

/** Which page of the inbox. */
export interface InboxOptions {
  /** At least 1 and at most `maxListLimit`, which is the default. */
  readonly limit?: number | undefined
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

/** Questions that wait for an answer, each with the execution that asks. */
export interface InboxPage {
  readonly interactions: ReadonlyArray<{
    readonly interaction: ExecutionInteraction
    readonly execution: ExecutionSummary
  }>
  /** Where the next page starts; absent on the last. */
  readonly nextCursor?: string
}

/** An option of `list` or `sweep` is not what it must be, or a cursor does not belong to this list. */
export class ListOptionsInvalid extends Schema.TaggedError<ListOptionsInvalid>()("ListOptionsInvalid", {
  /** Names the option and what was expected. */
  message: Schema.String,
  option: Schema.String
}) {}
