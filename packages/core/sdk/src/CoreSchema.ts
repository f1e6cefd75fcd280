/**
 * The tables of the system: the history of executions, and the catalog of dynamic sources with the tools learned from
 * them.
 *
 * An adapter is made for a schema, so this is the one source of truth: `@executor/storage-drizzle` derives its Drizzle
 * tables and generates its migrations from it. Columns are in snake case and the records of `Execution.ts` in camel
 * case; otherwise they are the same. Every table has a `scope_id`, and every query of a store names it.
 *
 * Small columns come first and long text last: a database that stores a row in one piece then reads a status or a
 * count without touching the pages of the code and the result.
 */
import type { ColumnType, DBSchema } from "./DBAdapter.ts"

const column = <Type extends ColumnType>(type: Type) => ({ type }) as const
const nullable = <Type extends ColumnType>(type: Type) => ({ type, nullable: true }) as const

/** The tables of the system. */
export const coreSchema = {
  execution: {
    columns: {
      id: column("text"),
      scope_id: column("text"),
      status: column("text"),
      trigger_kind: nullable("text"),
      tool_call_count: column("integer"),
      interaction_count: column("integer"),
      created_at: column("integer"),
      updated_at: column("integer"),
      started_at: nullable("integer"),
      completed_at: nullable("integer"),
      duration_ms: nullable("integer"),
      seed: column("integer"),
      owner: nullable("text"),
      lease_until: nullable("integer"),
      epoch: column("integer"),
      journal_complete: column("boolean"),
      parent_execution_id: nullable("text"),
      idempotency_key: nullable("text"),
      trigger_meta_json: nullable("text"),
      error_text: nullable("text"),
      code: column("text"),
      logs_json: nullable("text"),
      result_json: nullable("text")
    },
    primaryKey: ["id"],
    indexes: [
      { name: "execution_created", columns: ["scope_id", "created_at", "id"] },
      { name: "execution_status", columns: ["scope_id", "status", "created_at", "id"] },
      { name: "execution_trigger", columns: ["scope_id", "trigger_kind", "created_at", "id"] },
      { name: "execution_duration", columns: ["scope_id", "duration_ms", "id"] },
      { name: "execution_completed", columns: ["scope_id", "completed_at", "id"] },
      { name: "execution_parent", columns: ["parent_execution_id"] },
      { name: "execution_idempotency", columns: ["scope_id", "idempotency_key"], unique: true }
    ]
  },
  execution_interaction: {
    columns: {
      id: column("text"),
      execution_id: column("text"),
      scope_id: column("text"),
      /** No foreign key: a question is kept even where the record of its call was lost. */
      tool_call_id: nullable("text"),
      status: column("text"),
      kind: column("text"),
      purpose: column("text"),
      resolved_by: nullable("text"),
      created_at: column("integer"),
      updated_at: column("integer"),
      payload_json: column("text"),
      response_json: nullable("text"),
      response_private_json: nullable("text")
    },
    primaryKey: ["id"],
    indexes: [
      { name: "execution_interaction_execution", columns: ["execution_id", "status", "created_at", "id"] },
      { name: "execution_interaction_status", columns: ["scope_id", "status", "created_at"] }
    ],
    foreignKeys: [{ column: "execution_id", table: "execution", references: "id" }]
  },
  execution_tool_call: {
    columns: {
      id: column("text"),
      execution_id: column("text"),
      scope_id: column("text"),
      seq: column("integer"),
      settle_seq: nullable("integer"),
      status: column("text"),
      tool_path: column("text"),
      namespace: column("text"),
      idempotency_key: column("text"),
      started_at: column("integer"),
      completed_at: nullable("integer"),
      duration_ms: nullable("integer"),
      error_text: nullable("text"),
      args_json: nullable("text"),
      result_json: nullable("text")
    },
    primaryKey: ["id"],
    indexes: [
      { name: "execution_tool_call_seq", columns: ["execution_id", "seq"], unique: true },
      { name: "execution_tool_call_path", columns: ["scope_id", "tool_path", "execution_id"] },
      { name: "execution_tool_call_namespace", columns: ["scope_id", "namespace", "execution_id"] }
    ],
    foreignKeys: [{ column: "execution_id", table: "execution", references: "id" }]
  },
  /** The dynamic sources of a scope. */
  source: {
    columns: {
      scope_id: column("text"),
      namespace: column("text"),
      plugin_id: column("text"),
      description: column("text"),
      created_at: column("integer"),
      updated_at: column("integer"),
      /** What its plugin opens it with. It names secrets and never holds one. */
      config_json: column("text")
    },
    primaryKey: ["scope_id", "namespace"],
    indexes: []
  },
  /** The tools learned from dynamic sources, so that a catalog is listed and searched without opening any. */
  tool: {
    columns: {
      scope_id: column("text"),
      path: column("text"),
      namespace: column("text"),
      name: column("text"),
      title: nullable("text"),
      /** How its source knows it, where that is not the name. */
      binding: nullable("text"),
      requires_approval: column("boolean"),
      updated_at: column("integer"),
      annotations_json: column("text"),
      description: column("text"),
      input_schema_json: column("text"),
      output_schema_json: nullable("text")
    },
    primaryKey: ["scope_id", "path"],
    indexes: [{ name: "tool_namespace", columns: ["scope_id", "namespace"] }]
  }
} as const satisfies DBSchema
