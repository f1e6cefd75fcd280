/**
 * Rows for tests: complete, and small where the test says nothing.
 */
import type { Row } from "../DBAdapter.ts"

/** The code of every {@link executionRow}. */
export const codeRow: Row = { id: "code", scope_id: "a", preview: "", code: "" }

/** A row of `execution`. */
export const executionRow = (id: string, row: Row = {}): Row => ({
  id,
  scope_id: "a",
  status: "running",
  trigger_kind: null,
  trigger_client: null,
  tool_call_count: 0,
  failed_call_count: 0,
  in_doubt_call_count: 0,
  interaction_count: 0,
  size: 0,
  created_at: 0,
  updated_at: 0,
  started_at: null,
  completed_at: null,
  duration_ms: null,
  duration_bin: null,
  asked_at: null,
  seed: 0,
  owner: null,
  lease_until: null,
  epoch: 0,
  crashes: null,
  journal_complete: true,
  parent_execution_id: null,
  idempotency_key: null,
  code_id: "code",
  cancel_requested_at: null,
  sandbox_build: null,
  options_json: null,
  trigger_meta_json: null,
  error_text: null,
  ...row
})

/** A row of `execution_tool_call`, as it is written. */
export const toolCallRow = (id: string, executionId: string, seq: number, row: Row = {}): Row => ({
  custom_id: id,
  execution_id: executionId,
  scope_id: "a",
  seq,
  settle_seq: null,
  status: "running",
  tool_path: "github.issues.create",
  namespace: "github",
  started_at: 0,
  completed_at: null,
  duration_ms: null,
  args_size: 0,
  result_size: 0,
  error_text: null,
  args_json: null,
  result_json: null,
  ...row
})
