/**
 * The executor: the catalog and the gate. It knows the sources and tools of its scopes, and invokes a tool.
 *
 * Make one with `createExecutor({ scopes, adapter, plugins })`. Invoking finds the tool, validates the input, asks for approval where the
 * tool wants it, and runs the plugin, in that order; a failure at any step leaves the later ones untouched.
 */
import { type Effect, Schema } from "effect"
import type { DBAdapter, DBError } from "./DBAdapter.ts"
import type { ElicitationDeclined, ElicitationHandler } from "./Elicitation.ts"
import type { ExecutionStore, ListOptionsInvalid } from "./ExecutionStore.ts"
import type { ScopeId } from "./Ids.ts"
import type { Plugin } from "./Plugin.ts"
import type {
  Source,
  SourceInvalid,
  SourceNotFound,
  SourceUnavailable,
  Tool,
  ToolError,
  ToolInputInvalid,
  ToolNotFound,
  ToolSchema
} from "./Tool.ts"

/**
 * How old the knowledge of dynamic sources may be that an invocation relies on: old enough that a burst of calls reads the
 * rows once, young enough that removing a source takes effect while one watches.
 */
export const catalogMaxAgeMillis = 1000

/** The page size of a search when none is asked for, and the largest: a page is read by people and models. */
export const defaultSearchLimit = 10
export const maxSearchLimit = 100

/** What an executor is made of. */
export interface ExecutorOptions {
  /** Innermost first; at least one. Rows are written to the first, and nothing outside of these is read. */
  readonly scopes: ReadonlyArray<string>
  readonly adapter: DBAdapter["Service"]
  /** Static sources come with them; a dynamic source needs the plugin it was added with. */
  readonly plugins?: ReadonlyArray<Plugin> | undefined
}

/** Options of one invocation. */
export interface InvokeOptions {
  /** Asked for approvals and for whatever the tool asks itself. Without one every question is answered `cancel`. */
  readonly onElicitation?: ElicitationHandler | undefined
  readonly idempotencyKey?: string | undefined
  /** Has the call approved even where the tool does not ask for it: somebody was asked before, and the answer holds. */
  readonly requiresApproval?: boolean | undefined
  /**
   * Says that the arguments were just read from JSON text of this length, and that the caller keeps nothing of them. They are then
   * used as they are. Without it they are copied first.
   */
  readonly argsJsonLength?: number | undefined
  /** Whether arguments that were read from JSON text hold a number that a number cannot hold, as a `JSON.rawJSON`. */
  readonly argsHoldExact?: boolean | undefined
  /**
   * Called with the tool once everything is checked and approved, right before its plugin is invoked: until then the call has had no
   * effect, from then on it may have had one. An effect that it gives is run first. Must not throw.
   */
  readonly onStart?: ((tool: Tool) => Effect.Effect<void> | void) | undefined
}

/** All that calling a tool can fail with. */
export type InvokeError = ToolNotFound | ToolInputInvalid | ElicitationDeclined | ToolError | DBError

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
      /** Only sources with this text in their namespace or description, whatever its case. */
      readonly query?: string | undefined
      /** 1 to 100; all by default. */
      readonly limit?: number | undefined
    }) => Effect.Effect<ReadonlyArray<Source>, DBError | ListOptionsInvalid>
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
    /** Best first, a tool whose path is the query before all; by path when the query is empty. */
    readonly search: (options: {
      readonly query: string
      readonly namespace?: string | undefined
      /** 1 to 100; 10 by default. */
      readonly limit?: number | undefined
    }) => Effect.Effect<ReadonlyArray<ToolMatch>, DBError | ListOptionsInvalid>
    readonly invoke: (path: string, args: unknown, options?: InvokeOptions) => Effect.Effect<unknown, InvokeError>
  }
  readonly executions: ExecutionStore["Service"]
  /** Closes every opened source. Also done when the scope of `createExecutor` closes. */
  readonly close: Effect.Effect<void>
}

/** An executor cannot be made of these options: `message` names the plugin, the source or the option, and what to do. */
export class ExecutorInvalid extends Schema.TaggedError<ExecutorInvalid>()("ExecutorInvalid", {
  message: Schema.String
}) {}
