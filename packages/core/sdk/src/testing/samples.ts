/**
 * Inputs of an `ExecutionStore` for tests: valid, and small where the test says nothing.
 */
import type { CreateExecution, RecordInteraction, RecordToolCall } from "../ExecutionStore.ts"
import { ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "../Ids.ts"

export const scope = ScopeId.make("a")
export const otherScope = ScopeId.make("b")
export const executionId = ExecutionId.make("e1")
export const callId = ExecutionToolCallId.make("c1")
export const interactionId = ExecutionInteractionId.make("i1")

export const newExecution = (input: Partial<CreateExecution> = {}): CreateExecution => ({
  id: executionId,
  scopeId: scope,
  status: "running",
  code: "return 1",
  ...input
})

export const newCall = (input: Partial<RecordToolCall> = {}): RecordToolCall => ({
  id: callId,
  executionId,
  scopeId: scope,
  seq: 0,
  toolPath: "github.issues.create",
  argsJson: `{"title": "Hi"}`,
  startedAt: 10,
  ...input
})

export const newInteraction = (input: Partial<RecordInteraction> = {}): RecordInteraction => ({
  id: interactionId,
  executionId,
  scopeId: scope,
  toolCallId: callId,
  kind: "approval",
  purpose: "tool_approval",
  payloadJson: `{"message": "Sure?"}`,
  ...input
})

export const accepted = { status: "resolved", responseJson: `{"action":"accept"}`, resolvedBy: "cli" } as const
export const done = { status: "completed", settleSeq: 0, resultJson: "1", completedAt: 30, durationMs: 20 } as const
