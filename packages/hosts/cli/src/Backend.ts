/**
 * What the commands work on: the executor and the engine of this process over the data folder, or a server.
 *
 * Both are the same to a command. An execution that waits for a person waits in the history, and can be left waiting wherever there
 * is one ({@link Backend.survives}).
 */
import type {
  FinishedExecution,
  ForkReport,
  InteractionAnswer,
  PausedExecution,
  ReplayOptions,
  ReplayReport
} from "@executor/execution"
import type { Limits } from "@executor/kernel"
import type {
  Execution,
  ExecutionId,
  ExecutionInteraction,
  ExecutionSummary,
  ExecutionToolCall,
  ExportOptions,
  InboxOptions,
  ListExecutionsOptions,
  Source,
  Tool,
  ToolSchema
} from "@executor/sdk"
import { Context, type Effect, type Stream } from "effect"
import type { Failure } from "./Failure.ts"

/** What came of running: the end, or a question. */
export type Outcome =
  | { readonly _tag: "Finished"; readonly execution: FinishedExecution }
  | { readonly _tag: "Paused"; readonly execution: PausedExecution }

/** Options of a submission. */
export interface SubmitOptions {
  readonly approve: ReadonlyArray<string>
  readonly limits: Partial<typeof Limits.Type>
  /** Has the submission done once. */
  readonly idempotencyKey?: string | undefined
}

/** Options of a fork. */
export interface ForkOptions extends SubmitOptions {
  readonly anyBuild?: boolean | undefined
}

/** A question that waits, and whose it is. */
export interface Waiting {
  readonly interaction: Interaction
  readonly execution: Pick<ExecutionSummary, "id" | "codePreview" | "triggerKind" | "createdAt">
}

/** A page of the questions that wait, oldest first. */
export interface Inbox {
  readonly interactions: ReadonlyArray<Waiting>
  readonly nextCursor?: string
}

/** A question with its answer, without what the person typed: that may be personal, and no surface shows it again. */
export type Interaction = Omit<ExecutionInteraction, "responsePrivateJson">

/** An execution with the oldest question that waits for an answer. */
export interface ExecutionEntry {
  readonly execution: Execution
  readonly pendingInteraction: Interaction | null
}

/** An execution of a list, with the oldest question that waits for an answer. */
export interface ListedEntry {
  readonly execution: ExecutionSummary
  readonly pendingInteraction: Interaction | null
}

/** A page of history. */
export interface Page {
  readonly executions: ReadonlyArray<ListedEntry>
  readonly nextCursor?: string | undefined
}

/** A tool call that began, for showing what goes on. */
export interface Activity {
  readonly toolPath: string
}

/** Where the commands get their work done. */
export class Backend extends Context.Service<
  Backend,
  {
    /** Whether an execution goes on waiting when this command ends. */
    readonly survives: boolean
    readonly submit: (code: string, options: SubmitOptions) => Effect.Effect<Outcome, Failure>
    readonly resume: (id: ExecutionId, answer: InteractionAnswer) => Effect.Effect<Outcome, Failure>
    /** Runs other code on the journal of an execution. */
    readonly fork: (
      id: ExecutionId,
      code: string,
      options: ForkOptions
    ) => Effect.Effect<{ readonly report: ForkReport; readonly outcome: Outcome }, Failure>
    /** What a fork would take from the journal; nothing is called. */
    readonly previewFork: (id: ExecutionId, code: string, options: ForkOptions) => Effect.Effect<ForkReport, Failure>
    /** Runs an execution again on its journal alone. */
    readonly replay: (id: ExecutionId, options: ReplayOptions) => Effect.Effect<ReplayReport, Failure>
    /** So many of the questions that wait, oldest first. */
    readonly inbox: (options: InboxOptions) => Effect.Effect<Inbox, Failure>
    readonly cancel: (id: ExecutionId) => Effect.Effect<void, Failure>
    /** Writes of the history that failed while this command ran something itself; a server counts its own. */
    readonly droppedWrites: Effect.Effect<number, Failure>
    /** Tool calls as they begin, from now on. Ends at once where nothing can be known. */
    readonly activity: Stream.Stream<Activity>
    readonly searchTools: (options: {
      readonly query: string
      readonly namespace?: string | undefined
      readonly limit?: number | undefined
    }) => Effect.Effect<ReadonlyArray<Tool>, Failure>
    readonly describeTool: (path: string) => Effect.Effect<ToolSchema, Failure>
    readonly listSources: Effect.Effect<ReadonlyArray<Source>, Failure>
    readonly addSource: (input: {
      readonly namespace: string
      readonly pluginId: string
      readonly config: unknown
    }) => Effect.Effect<Source, Failure>
    readonly removeSource: (namespace: string) => Effect.Effect<void, Failure>
    readonly refreshSource: (namespace: string) => Effect.Effect<Source, Failure>
    readonly listExecutions: (options: ListExecutionsOptions) => Effect.Effect<Page, Failure>
    readonly getExecution: (id: ExecutionId) => Effect.Effect<ExecutionEntry, Failure>
    readonly listToolCalls: (id: ExecutionId) => Effect.Effect<ReadonlyArray<ExecutionToolCall>, Failure>
    /** The history under the filters as the bytes of a file, as it is read. */
    readonly exportExecutions: (filters: ExportOptions, format: "jsonl" | "csv") => Stream.Stream<Uint8Array, Failure>
    readonly listInteractions: (id: ExecutionId) => Effect.Effect<ReadonlyArray<Interaction>, Failure>
  }
>()("@executor/host-cli/Backend") {}
