/**
 * The tool `executions`: how a client finds an execution again whose answer it did not wait for.
 */
import { finishedOf, type PendingInteraction } from "@executor/execution"
import type { ElicitationRequest, ExecutionId, ExecutionInteraction, ExecutionSummary, Executor } from "@executor/sdk"
import type { CallToolResult } from "@modelcontextprotocol/server"
import { Effect } from "effect"
import * as ToolResult from "./ToolResult.ts"
import type { ExecutionRecord } from "./Tools.ts"
import { clientNameOf } from "./Waiting.ts"

/** Questions that are looked through for executions that wait: the oldest. */
const maxQuestions = 50

/** Executions of one answer: each with all its questions, which a model has to read. */
export const maxExecutions = 10

type History = Pick<Executor, "executions" | "scopes">

const pendingOf = ({ createdAt, id, payloadJson }: ExecutionInteraction): PendingInteraction => ({
  id,
  createdAt,
  request: JSON.parse(payloadJson) as ElicitationRequest
})

type Known = Pick<ExecutionSummary, "id" | "status" | "toolCallCount" | "createdAt" | "triggerKind" | "triggerMetaJson">

const recordOf = (execution: Known, code: string): Omit<ExecutionRecord, "logs"> => {
  const { createdAt, id, status, toolCallCount, triggerKind } = execution
  const client = clientNameOf(execution)
  return {
    executionId: id,
    status,
    toolCallCount,
    createdAt: new Date(createdAt).toISOString(),
    code: code.slice(0, ToolResult.maxCodeCharacters),
    ...(triggerKind === null ? {} : { trigger: triggerKind }),
    ...(client === undefined ? {} : { client })
  }
}

/** The executions that wait for a person, those that have waited longest first. */
export const list = Effect.fnUntraced(function* ({ executions, scopes }: History) {
  const page = yield* executions.inbox(scopes[0], { limit: maxQuestions })
  const found = new Map<string, { execution: ExecutionSummary; questions: Array<PendingInteraction> }>()
  for (const { execution, interaction } of page.interactions) {
    const entry = found.get(execution.id) ?? { execution, questions: [] }
    entry.questions.push(pendingOf(interaction))
    found.set(execution.id, entry)
  }
  const shown = Array.from(found.values()).slice(0, maxExecutions)
  const entries = shown.map(({ execution, questions }) => ({
    record: recordOf(execution, execution.codePreview),
    waiting: { id: execution.id, interactions: questions, toolCallCount: execution.toolCallCount }
  }))
  return ToolResult.executions(entries, found.size > shown.length || page.nextCursor !== undefined)
})

/** One execution, in whatever state it is. */
export const show = Effect.fnUntraced(function* (
  { executions, scopes }: History,
  id: ExecutionId
): Effect.fn.Return<CallToolResult, { readonly message: string }> {
  const { execution } = yield* executions.get(scopes[0], id)
  const record = recordOf(execution, execution.code)
  if (execution.completedAt !== null) return ToolResult.shown(record, ToolResult.finished(finishedOf(execution)))
  const interactions = (yield* executions.listInteractions(scopes[0], id)).filter(({ status }) => status === "pending")
  const waiting = { id, interactions: interactions.map(pendingOf), toolCallCount: execution.toolCallCount }
  return waiting.interactions.length === 0
    ? ToolResult.shown(record, ToolResult.running(record))
    : ToolResult.shown(record, ToolResult.paused(waiting))
})
