/**
 * The states that executions, interactions and tool calls pass through.
 */
import { Schema } from "effect"

/**
 * `pending` and `running` lead to `waiting_for_interaction` and back; `completed`, `failed` and `cancelled` are final.
 */
export const ExecutionStatus = Schema.Literals([
  "pending",
  "running",
  "waiting_for_interaction",
  "completed",
  "failed",
  "cancelled"
])
export type ExecutionStatus = typeof ExecutionStatus.Type

/** An interaction waits (`pending`) until it is answered (`resolved`) or nobody needs the answer (`cancelled`). */
export const InteractionStatus = Schema.Literals(["pending", "resolved", "cancelled"])
export type InteractionStatus = typeof InteractionStatus.Type

/**
 * `running` is written before any effect, `completed` when the tool has answered, `failed` when the call is known to have had no effect or its tool
 * says that it failed. `in_doubt` means that the call was begun and nobody knows whether it took effect.
 */
export const ToolCallStatus = Schema.Literals(["running", "completed", "failed", "in_doubt"])
export type ToolCallStatus = typeof ToolCallStatus.Type

/** Whether an execution has reached its end. */
export const isTerminal = (status: ExecutionStatus): boolean =>
  status === "completed" || status === "failed" || status === "cancelled"
