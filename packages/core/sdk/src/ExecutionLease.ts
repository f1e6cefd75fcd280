/**
 * Who runs an execution: leases with fencing.
 *
 * An execution that has not ended is **held** by the process that runs it, named by `owner`, until `leaseUntil`; or it is **free**: nobody
 * runs it (`leaseUntil` is null, or has passed). Taking a free one is a single conditional write that raises its `epoch`. Whoever
 * holds it names the epoch with each write of its journal, and the database refuses the write once it has been raised: a process
 * that slept through its lease can change nothing any more.
 *
 * What each status says beside that:
 *
 * - `running` and free: its process is gone, or handed it over. Recovery takes it.
 * - `waiting_for_interaction` and free: it waits for a person and costs nothing. An answer and the taking of the lease are one write, so an
 *   answer is never left without somebody who goes on.
 * - `waiting_for_interaction` and held: its process waits with it. An answer by another process sets it `running`, in the same write: if
 *   the holder is gone before it sees the answer, recovery finds it. The holder gives it up only while it is still
 *   `waiting_for_interaction`. It keeps it while a timer runs as well: if it is gone then, `leaseUntil` is there and has passed, and recovery
 *   goes on with the timer; a holder that hands it over sets it `running`.
 *
 * A process that lets an execution go sets `leaseUntil` to null. Where a lease has run out instead, its process has ended, or stands
 * still. The write that takes such an execution raises its `crashes`. Letting go sets them to 0. So does prolonging the lease of an
 * execution that its process has survived for long enough. So they count the processes in a row that were lost over it.
 *
 * Used by the engine. All times are milliseconds since the epoch, by the clocks of the processes; they may be apart by far less than
 * a lease.
 */
import { Schema } from "effect"
import type { Execution, ExecutionInteraction, ExecutionToolCall } from "./Execution.ts"
import type { ResolveInteraction } from "./ExecutionStore.ts"
import type { ExecutionId, ExecutionInteractionId } from "./Ids.ts"

/** Who takes an execution, and until when. */
export interface Claim {
  readonly owner: string
  readonly at: number
  readonly leaseUntil: number
  /** Written with it, or nothing is: the question must still wait. */
  readonly answer?: { readonly id: ExecutionInteractionId; readonly resolution: ResolveInteraction } | undefined
  /** It is taken to be cancelled: so is it by whoever takes it next, should this process be lost before. */
  readonly cancels?: boolean | undefined
  /** The sandbox that it goes on in, where it is another one than it was begun in. */
  readonly sandboxBuild?: string | undefined
}

/** What the holder of an execution must know of it from time to time. */
export interface HeldExecution {
  readonly id: ExecutionId
  readonly epoch: number
  /** When somebody asked to cancel it. */
  readonly cancelRequestedAt: number | null
  /** How many processes in a row were lost over it. */
  readonly crashes: number
}

/** A call as its journal has it. */
export interface JournaledCall {
  readonly call: ExecutionToolCall
  /** How many of its questions had been answered when its tool was last invoked; null where it asked none, or was not invoked since. */
  readonly answersSeen: number | null
}

/** All that it takes to run an execution again from its beginning. */
export interface ExecutionJournal {
  readonly execution: Execution
  /** The sandbox that it ran in last; null where that was not recorded. */
  readonly sandboxBuild: string | null
  /** What it was submitted with, beside code and trigger: JSON that only the engine reads. */
  readonly optionsJson: string | null
  /** When somebody asked to cancel it. */
  readonly cancelRequestedAt: number | null
  /** How many processes in a row were lost over it. */
  readonly crashes: number
  /** In order of `seq`. */
  readonly calls: ReadonlyArray<JournaledCall>
  /** In order of asking. */
  readonly interactions: ReadonlyArray<ExecutionInteraction>
}

/** Changes to a call that has no outcome yet. */
export interface CallProgress {
  readonly status?: "running" | "in_doubt" | undefined
  readonly answersSeen?: number | undefined
}

/** Another process has taken the execution over. Nothing was written. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  message: Schema.String,
  executionId: Schema.String
}) {}

/** The execution is not in the state for it: it is held by a process that lives, or by nobody, or has ended. Nothing was written. */
export class ExecutionNotFree extends Schema.TaggedError<ExecutionNotFree>()("ExecutionNotFree", {
  message: Schema.String,
  executionId: Schema.String,
  reason: Schema.Literals(["held", "ended"])
}) {}
