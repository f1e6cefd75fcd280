/**
 * The tables of the system: the history of executions, and the catalog of dynamic sources with the tools learned from
 * them.
 *
 * An adapter is made for a schema, so this is the one source of truth: `@executor/storage-drizzle` derives its Drizzle
 * tables and generates its migrations from it. Columns are in snake case and the records of `Execution.ts` in camel
 * case; otherwise they are the same. Every table has a `scope_id`, and every query of a store names it.
 *
 * The row of an execution is slim, since lists read it: code, result and logs are in tables beside it, and the same code
 * is stored once. In other tables small columns come first and long text last: a database that stores a row in one
 * piece then reads a status without touching the pages of a result.
 */
import type { ColumnType, DBSchema } from "./DBAdapter.ts"

const column = <Type extends ColumnType>(type: Type) => ({ type }) as const
const nullable = <Type extends ColumnType>(type: Type) => ({ type, nullable: true }) as const

const payload = { type: "text", payload: true } as const
const nullablePayload = { type: "text", payload: true, nullable: true } as const

const generated = <const Parts extends { readonly join: ReadonlyArray<string>; readonly or?: string }>(parts: Parts) =>
  ({ type: "text", generated: parts }) as const

const rollupPeriod = {
  /** How long the period is that a row counts, in milliseconds; 0 for all time. */
  period: column("integer"),
  /** When the period starts, 0 for all time. Executions are counted by the time of their creation. */
  start: column("integer")
} as const

const rollupSums = {
  executions: column("integer"),
  calls: column("integer"),
  failed_calls: column("integer"),
  in_doubt_calls: column("integer")
} as const

/** The tables of the system. */
export const coreSchema = {
  /** Submitted code, once for all executions of a scope that share it. */
  execution_code: {
    columns: {
      /** Made from the scope and the code: see `codeId`. */
      id: column("text"),
      scope_id: column("text"),
      /** The first characters, for lists. */
      preview: column("text"),
      code: payload
    },
    primaryKey: ["id"],
    indexes: [],
    text: [{ columns: ["code"] }]
  },
  execution: {
    columns: {
      id: column("text"),
      scope_id: column("text"),
      status: column("text"),
      trigger_kind: nullable("text"),
      /** The name of the client in the trigger's meta. */
      trigger_client: nullable("text"),
      /** Kept once the execution has ended; until then the calls themselves are counted. */
      tool_call_count: column("integer"),
      failed_call_count: column("integer"),
      in_doubt_call_count: column("integer"),
      interaction_count: column("integer"),
      /** The characters of its result, its logs and its calls, which are about its bytes; kept once it has ended. */
      size: column("integer"),
      created_at: column("integer"),
      updated_at: column("integer"),
      started_at: nullable("integer"),
      completed_at: nullable("integer"),
      duration_ms: nullable("integer"),
      /** The bin of a histogram that the duration falls into: see `durationBin`. */
      duration_bin: nullable("integer"),
      /** When a human was first asked something. */
      asked_at: nullable("integer"),
      seed: column("integer"),
      owner: nullable("text"),
      lease_until: nullable("integer"),
      epoch: column("integer"),
      /** How many processes in a row lost it shortly after they had taken it: see `ExecutionLease`. Null, as in old rows, is 0. */
      crashes: nullable("integer"),
      journal_complete: column("boolean"),
      parent_execution_id: nullable("text"),
      idempotency_key: nullable("text"),
      code_id: column("text"),
      /** When somebody asked the process that holds it to cancel it. */
      cancel_requested_at: nullable("integer"),
      /** The sandbox that it runs in, and what it was submitted with: a replay needs the same. */
      sandbox_build: nullable("text"),
      options_json: nullable("text"),
      trigger_meta_json: nullable("text"),
      error_text: nullablePayload
    },
    primaryKey: ["id"],
    indexes: [
      { name: "execution_created", columns: ["scope_id", "created_at", "id"] },
      { name: "execution_status", columns: ["scope_id", "status", "created_at", "id"] },
      { name: "execution_trigger", columns: ["scope_id", "trigger_kind", "created_at", "id"] },
      { name: "execution_code_created", columns: ["code_id", "created_at", "id"] },
      { name: "execution_asked", columns: ["scope_id", "created_at", "id"], notNull: "asked_at" },
      { name: "execution_duration", columns: ["scope_id", "duration_ms", "id"], notNull: "duration_ms" },
      { name: "execution_completed", columns: ["scope_id", "completed_at", "id"], notNull: "completed_at" },
      { name: "execution_parent", columns: ["parent_execution_id"], notNull: "parent_execution_id" },
      {
        name: "execution_idempotency",
        columns: ["scope_id", "idempotency_key"],
        unique: true,
        notNull: "idempotency_key"
      }
    ],
    foreignKeys: [{ column: "code_id", table: "execution_code", references: "id", onDelete: "restrict" }],
    /** Its code is looked into where it is stored, once for all that share it. */
    text: [
      { columns: ["error_text"] },
      { columns: ["result_json"], of: { table: "execution_output", local: "id", foreign: "execution_id" } },
      {
        columns: ["args_json", "result_json", "error_text"],
        of: { table: "execution_tool_call", local: "id", foreign: "execution_id" }
      }
    ]
  },
  /** What an execution returned and logged, as far as it did. */
  execution_output: {
    columns: {
      execution_id: column("text"),
      scope_id: column("text"),
      logs_size: nullable("integer"),
      result_size: nullable("integer"),
      logs_json: nullablePayload,
      result_json: nullablePayload
    },
    primaryKey: ["execution_id"],
    indexes: [],
    foreignKeys: [{ column: "execution_id", table: "execution", references: "id" }]
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
      payload_json: payload,
      response_json: nullablePayload,
      response_private_json: nullablePayload
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
      /** `executionId:seq`, unless it was given another one. */
      id: generated({ join: ["execution_id", "seq"], or: "custom_id" }),
      custom_id: nullable("text"),
      execution_id: column("text"),
      scope_id: column("text"),
      seq: column("integer"),
      settle_seq: nullable("integer"),
      status: column("text"),
      tool_path: column("text"),
      namespace: column("text"),
      idempotency_key: generated({ join: ["execution_id", "seq"] }),
      started_at: column("integer"),
      completed_at: nullable("integer"),
      duration_ms: nullable("integer"),
      /** How many of its questions had been answered when its tool was last invoked, where it asked any. */
      answers_seen: nullable("integer"),
      /** The characters of its arguments, and of its result or error. */
      args_size: column("integer"),
      result_size: column("integer"),
      error_text: nullablePayload,
      args_json: nullablePayload,
      result_json: nullablePayload
    },
    primaryKey: ["execution_id", "seq"],
    indexes: [{ name: "execution_tool_call_custom_id", columns: ["custom_id"], unique: true, notNull: "custom_id" }],
    foreignKeys: [{ column: "execution_id", table: "execution", references: "id" }]
  },
  /**
   * Which tools an execution called, each once however many its calls: its paths, and `namespace.*` for each namespace.
   * So a call itself is written with few indexes, and executions are found and counted by tool without their calls.
   */
  execution_tool: {
    columns: {
      execution_id: column("text"),
      tool: column("text"),
      scope_id: column("text"),
      /** That of the execution. */
      created_at: column("integer")
    },
    primaryKey: ["execution_id", "tool"],
    indexes: [{ name: "execution_tool_created", columns: ["scope_id", "tool", "created_at", "execution_id"] }],
    foreignKeys: [{ column: "execution_id", table: "execution", references: "id" }]
  },
  /** The names in `execution_tool`, so that a pattern is matched with names and not with executions. */
  tool_name: {
    columns: { scope_id: column("text"), tool: column("text") },
    primaryKey: ["scope_id", "tool"],
    indexes: []
  },
  /**
   * What executions that have ended are counted by: a row for each combination that there was. The rollups refer to it, and so
   * have no scope of their own.
   */
  rollup_group: {
    columns: {
      /** Made by the database. */
      id: column("integer"),
      scope_id: column("text"),
      status: column("text"),
      trigger_kind: nullable("text"),
      trigger_client: nullable("text"),
      /** Whether a human was asked something. */
      asked: column("boolean")
    },
    primaryKey: ["id"],
    indexes: [{ name: "rollup_group_status", columns: ["scope_id", "status", "trigger_kind"] }]
  },
  /** Executions that have ended, counted by group and period: see `rollups.ts`. */
  execution_rollup: {
    columns: { group_id: column("integer"), ...rollupPeriod, ...rollupSums, size: column("integer") },
    primaryKey: ["group_id", "period", "start"],
    indexes: []
  },
  /** Their durations. The groups are those without a client, so that there are few rows. */
  duration_rollup: {
    columns: {
      group_id: column("integer"),
      ...rollupPeriod,
      duration_bin: column("integer"),
      executions: column("integer")
    },
    primaryKey: ["group_id", "period", "start", "duration_bin"],
    indexes: []
  },
  /** Those that called a tool, a name of `execution_tool`, of all time. */
  tool_rollup: {
    columns: { group_id: column("integer"), tool: column("text"), ...rollupSums },
    primaryKey: ["group_id", "tool"],
    indexes: []
  },
  /**
   * The sets of tools that executions called. Counted by set, an execution is counted once, whatever tools are asked for; and there
   * are few sets, as programs are run again and again.
   */
  tool_set: {
    columns: {
      /** Made by the database. */
      id: column("integer"),
      scope_id: column("text"),
      /** The names of `execution_tool` in order, as JSON. */
      tools_json: column("text")
    },
    primaryKey: ["id"],
    indexes: []
  },
  /** The sets that a tool is in. */
  tool_set_member: {
    columns: { scope_id: column("text"), tool: column("text"), tool_set_id: column("integer") },
    primaryKey: ["scope_id", "tool", "tool_set_id"],
    indexes: []
  },
  /** Executions that have ended, counted by their set of tools and their duration; those without tools are not in it. */
  tool_set_rollup: {
    columns: {
      group_id: column("integer"),
      ...rollupPeriod,
      tool_set_id: column("integer"),
      /** -1 where an execution has no duration. */
      duration_bin: column("integer"),
      ...rollupSums
    },
    primaryKey: ["group_id", "period", "start", "tool_set_id", "duration_bin"],
    indexes: []
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
