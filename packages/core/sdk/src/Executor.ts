/**
 * The executor: the catalog and the gate. It knows the sources and tools of its scopes, and invokes a tool.
 *
 * Make one with `createExecutor({ scopes, adapter, plugins })`. Invoking finds the tool, validates the input, asks for approval where the
 * tool wants it, and runs the plugin, in that order; a failure at any step leaves the later ones untouched.
 */
import type { Effect } from "effect"
import type { DBError } from "./DBAdapter.ts"
import type { ElicitationDeclined, ElicitationHandler } from "./Elicitation.ts"
import type { ExecutionStore } from "./ExecutionStore.ts"
import type { ScopeId } from "./Ids.ts"
import type {
  Source,
  SourceInvalid,
  SourceNotFound,
  SourceUnavailable,
  Tool,
  ToolFailed,
  ToolInputInvalid,
  ToolNotFound,
  ToolSchema
} from "./Tool.ts"

/** Options of one invocation. */
export interface InvokeOptions {
  /** Asked for approvals and for whatever the tool asks itself. Without one every question is answered `cancel`. */
  readonly onElicitation?: ElicitationHandler | undefined
  readonly idempotencyKey?: string | undefined
  /**
   * Called with the tool once everything is checked and approved, right before its plugin is invoked: until then the call has had no
   * effect, from then on it may have had one. Must not throw.
   */
  readonly onStart?: ((tool: Tool) => void) | undefined
}

/** All that calling a tool can fail with. */
export type InvokeError =
  | ToolNotFound
  | ToolInputInvalid
  | ElicitationDeclined
  | ToolFailed
  | SourceUnavailable
  | DBError

/** A tool found by a search. */
export interface ToolMatch {
  readonly tool: Tool
  /** Higher is better; only comparable inside one search. */
  readonly score: number
}

/** The catalog and the gate. */
export interface Executor {
  /** Innermost first; never empty. */
  readonly scopes: readonly [ScopeId, ...Array<ScopeId>]
  readonly sources: {
    readonly list: (options?: {
      readonly query?: string | undefined
      readonly limit?: number | undefined
    }) => Effect.Effect<ReadonlyArray<Source>, DBError>
    /** Opens the source once to learn its tools, and stores both. Nothing is stored when it cannot be opened. */
    readonly add: (input: {
      readonly namespace: string
      readonly pluginId: string
      readonly config: unknown
    }) => Effect.Effect<Source, DBError | SourceInvalid | SourceUnavailable>
    readonly remove: (namespace: string) => Effect.Effect<void, DBError | SourceNotFound | SourceInvalid>
    /** Learns the tools of a dynamic source anew. */
    readonly refresh: (
      namespace: string
    ) => Effect.Effect<Source, DBError | SourceNotFound | SourceInvalid | SourceUnavailable>
  }
  readonly tools: {
    readonly list: (options?: {
      readonly namespace?: string | undefined
    }) => Effect.Effect<ReadonlyArray<Tool>, DBError>
    readonly schema: (path: string) => Effect.Effect<ToolSchema, DBError | ToolNotFound>
    /** Best first; 10 by default, at most 100. */
    readonly search: (options: {
      readonly query: string
      readonly namespace?: string | undefined
      readonly limit?: number | undefined
    }) => Effect.Effect<ReadonlyArray<ToolMatch>, DBError>
    readonly invoke: (path: string, args: unknown, options?: InvokeOptions) => Effect.Effect<unknown, InvokeError>
  }
  readonly executions: ExecutionStore["Service"]
  /** Closes every opened source. Also done when the scope of `createExecutor` closes. */
  readonly close: Effect.Effect<void>
}
