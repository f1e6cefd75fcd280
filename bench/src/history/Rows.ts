/**
 * The rows of a generated execution as the store leaves them, for filling a database faster than by the store. `Check.ts` compares
 * the two.
 */
import { codePreviewLength, coreSchema, durationBin, isTerminal, type Row } from "@executor/sdk"
import { createHash } from "node:crypto"
import type { GeneratedExecution } from "./History.ts"

/**
 * The tables in the order of writing: the execution last, so that what the database counts when one is inserted that has ended is
 * there.
 */
export const tables = [
  "execution_code",
  "tool_name",
  "execution_tool",
  "execution_output",
  "execution_tool_call",
  "execution_interaction",
  "execution"
] as const
export type Table = (typeof tables)[number]

/** The columns that are written; the database makes the others. */
export const insertedColumns = (table: Table): ReadonlyArray<string> =>
  Object.entries(coreSchema[table].columns).flatMap(([name, column]) => ("generated" in column ? [] : [name]))

/** Takes a row. What it lacks is null. */
export type Write = (table: Table, row: Row) => void

const codeId = (scopeId: string, code: string): string =>
  createHash("sha256")
    .update(JSON.stringify([scopeId, code]))
    .digest()
    .subarray(0, 24)
    .toString("base64url")

const namespaceOf = (path: string): string => path.split(".", 1)[0]!

const clientOf = (metaJson: string | null | undefined): string | null =>
  metaJson?.includes('"client"') ? JSON.parse(metaJson).client.name : null

const lengthOf = (text: string | null | undefined): number => text?.length ?? 0

/** Makes a function that writes the rows of one execution after the other. */
export const makeRows = (write: Write): ((execution: GeneratedExecution) => void) => {
  const codes = new Map<string, string>()
  const names = new Set<string>()
  return ({ calls, create, end, question }) => {
    const { code, createdAt, id, scopeId } = create
    let code_id = codes.get(code)
    if (code_id === undefined) {
      codes.set(code, (code_id = codeId(scopeId, code)))
      write("execution_code", { id: code_id, scope_id: scopeId, preview: code.slice(0, codePreviewLength), code })
    }
    const { completedAt = null, durationMs = null, errorText = null, logsJson, resultJson, status } = end.changes
    const hasEnded = status !== undefined && isTerminal(status)
    const bin = durationMs === null ? null : durationBin(durationMs)

    let size = lengthOf(logsJson) + lengthOf(resultJson)
    const tools = new Set<string>()
    for (const { finish, record } of calls) {
      const args_size = lengthOf(record.argsJson)
      const result_size = lengthOf(finish?.resultJson ?? finish?.errorText)
      size += args_size + result_size
      tools.add(record.toolPath).add(`${namespaceOf(record.toolPath)}.*`)
      write("execution_tool_call", {
        id: record.id,
        execution_id: id,
        scope_id: scopeId,
        seq: record.seq,
        settle_seq: finish?.settleSeq ?? null,
        status: finish?.status ?? "running",
        tool_path: record.toolPath,
        namespace: namespaceOf(record.toolPath),
        idempotency_key: record.id,
        started_at: record.startedAt,
        completed_at: finish?.completedAt ?? null,
        duration_ms: finish?.durationMs ?? null,
        args_size,
        result_size,
        error_text: finish?.errorText ?? null,
        args_json: record.argsJson,
        result_json: finish?.resultJson ?? null
      })
    }
    for (const tool of tools) {
      write("execution_tool", { execution_id: id, tool, scope_id: scopeId, created_at: createdAt })
      if (names.has(tool)) continue
      names.add(tool)
      write("tool_name", { scope_id: scopeId, tool })
    }
    if (logsJson !== undefined || resultJson !== undefined) {
      write("execution_output", {
        execution_id: id,
        scope_id: scopeId,
        logs_size: lengthOf(logsJson),
        result_size: lengthOf(resultJson),
        logs_json: logsJson ?? null,
        result_json: resultJson ?? null
      })
    }
    if (question !== undefined) {
      const { answer, at, record } = question
      write("execution_interaction", {
        id: record.id,
        execution_id: id,
        scope_id: scopeId,
        tool_call_id: record.toolCallId,
        status: answer?.resolution.status ?? "pending",
        kind: record.kind,
        purpose: record.purpose,
        resolved_by: answer?.resolution.resolvedBy ?? null,
        created_at: at,
        updated_at: answer?.at ?? at,
        payload_json: record.payloadJson,
        response_json: answer?.resolution.responseJson ?? null,
        response_private_json: null
      })
    }
    const callsOf = (status: string) => calls.filter(({ finish }) => finish?.status === status).length
    write("execution", {
      id,
      scope_id: scopeId,
      status: status ?? create.status,
      trigger_kind: create.triggerKind ?? null,
      trigger_client: clientOf(create.triggerMetaJson),
      tool_call_count: hasEnded ? calls.length : 0,
      failed_call_count: hasEnded ? callsOf("failed") : 0,
      in_doubt_call_count: hasEnded ? callsOf("in_doubt") : 0,
      interaction_count: question === undefined ? 0 : 1,
      size: hasEnded ? size : 0,
      created_at: createdAt,
      updated_at: end.at,
      started_at: create.startedAt ?? null,
      completed_at: completedAt,
      duration_ms: durationMs,
      duration_bin: bin,
      asked_at: question?.at ?? null,
      seed: create.seed ?? 0,
      owner: create.owner ?? null,
      lease_until: null,
      epoch: 0,
      journal_complete: true,
      parent_execution_id: null,
      idempotency_key: null,
      code_id,
      trigger_meta_json: create.triggerMetaJson ?? null,
      error_text: errorText
    })
  }
}
