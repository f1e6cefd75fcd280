/**
 * The backend of this process: the executor and the engine over the data folder.
 */
import type { ExecutionEngine, ExecutionOutcome } from "@executor/execution"
import {
  type ArchiveRecord,
  csvHeader,
  csvLine,
  type DBAdapter,
  type ExecutionId,
  type ExecutionInteraction,
  type Executor
} from "@executor/sdk"
import { Effect, Result, Stream, Struct } from "effect"
import type { Backend, Interaction, Outcome } from "./Backend.ts"
import { CommandFailed, type Failure, UsageError } from "./Failure.ts"

/** What a data folder is opened into. */
export interface LocalParts {
  readonly adapter: DBAdapter["Service"]
  readonly executor: Executor
  /** `false` where everything is in memory, since the storage of the database could not be used. */
  readonly keepsHistory: boolean
  /** Made on first use: reading history needs no sandbox. */
  readonly engine: Effect.Effect<ExecutionEngine, Failure>
}

/** The typed errors of the contracts that mean that the command was called wrongly. */
const usageTags: ReadonlySet<string> = new Set(["ExecutionRefused", "ListOptionsInvalid", "AnswerInvalid"])

/** Every typed error of the contracts has a message for its reader. */
const toFailure = (error: {
  readonly _tag: string
  readonly message: string
  readonly field?: string | undefined
  readonly cause?: unknown
}): Failure => {
  if (error.field === "history" && error.cause instanceof Error) {
    return new CommandFailed({ message: `${error.message} ${error.cause.message}` })
  }
  return usageTags.has(error._tag) && error.field !== "engine" && error.field !== "history"
    ? new UsageError({ message: error.message })
    : new CommandFailed({ message: error.message })
}

/** An error of several lines has the last that the program of a source printed. The log then has more of it. */
const toSourceFailure =
  (logFile: string) =>
  (error: { readonly _tag: string; readonly message: string }): Failure =>
    error._tag === "SourceUnavailable" && error.message.includes("\n")
      ? new CommandFailed({ message: `${error.message}\nMore of what it printed may be in ${logFile}` })
      : toFailure(error)

const toOutcome = (outcome: ExecutionOutcome): Outcome =>
  outcome.status === "paused"
    ? { _tag: "Paused", execution: outcome.execution }
    : { _tag: "Finished", execution: outcome }

const withoutPrivate = (interaction: ExecutionInteraction): Interaction =>
  Struct.omit(interaction, ["responsePrivateJson"])

const toEntry = <E>({
  execution,
  pendingInteraction
}: {
  readonly execution: E
  readonly pendingInteraction: ExecutionInteraction | null
}) => ({
  execution,
  pendingInteraction: pendingInteraction === null ? null : withoutPrivate(pendingInteraction)
})

const jsonText = (record: ArchiveRecord): string => `${JSON.stringify(record)}\n`

const csvText = (record: ArchiveRecord): string => (record.type === "execution" ? [...csvLine(record)].join("") : "")

/** The process that calls: what executions record of it, and where it logs. */
export interface Caller {
  readonly version: string
  /** The user of the operating system. */
  readonly user: string | undefined
  /** The log of the data folder. */
  readonly logFile: string
}

/**
 * Makes the backend over opened parts. Interrupting a submission or an answer cancels the execution, so that its row says that it was
 * stopped by whoever ran it, not by the end of this process.
 */
export const make = ({ engine, executor, keepsHistory }: LocalParts, caller: Caller): Backend["Service"] => {
  const scope = executor.scopes[0]
  const trigger = {
    kind: "cli",
    meta: {
      client: { name: "executor", version: caller.version },
      ...(caller.user === undefined ? {} : { user: caller.user })
    }
  }
  /** Runs something new, which is cancelled with the command. */
  const running = <A, E extends { readonly _tag: string; readonly message: string }>(
    run: (engine: ExecutionEngine, onStart: (id: ExecutionId) => void) => Effect.Effect<A, E>
  ): Effect.Effect<A, Failure> =>
    Effect.flatMap(engine, (engine) =>
      Effect.suspend(() => {
        let started: ExecutionId | undefined
        return run(engine, (id) => void (started = id)).pipe(
          Effect.mapError(toFailure),
          Effect.onInterrupt(() => (started === undefined ? Effect.void : Effect.ignore(engine.cancel(started))))
        )
      })
    )
  return {
    survives: keepsHistory,
    submit: (code, options) =>
      running((engine, onStart) =>
        Effect.map(engine.executeWithPause(code, { ...options, trigger, onStart }), toOutcome)
      ),
    fork: (id, code, options) =>
      running((engine, onStart) =>
        Effect.map(engine.fork(id, code, { ...options, trigger, onStart }), ({ outcome, report }) => ({
          report,
          outcome: toOutcome(outcome)
        }))
      ),
    previewFork: (id, code, { anyBuild, limits }) =>
      Effect.flatMap(engine, (engine) =>
        Effect.mapError(engine.previewFork(id, code, { anyBuild, limits }), toFailure)
      ),
    replay: (id, options) => Effect.flatMap(engine, (engine) => Effect.mapError(engine.replay(id, options), toFailure)),
    inbox: (options) =>
      Effect.mapBoth(executor.executions.inbox(scope, options), {
        onFailure: toFailure,
        onSuccess: ({ interactions, ...page }) => ({
          ...page,
          interactions: interactions.map(({ execution, interaction }) => ({
            interaction: withoutPrivate(interaction),
            execution: Struct.pick(execution, ["id", "codePreview", "triggerKind", "createdAt"])
          }))
        })
      }),
    resume: (id, answer) =>
      Effect.flatMap(engine, (engine) =>
        engine.resume(id, { ...answer, resolvedBy: caller.user ?? "cli" }).pipe(
          Effect.mapBoth({ onSuccess: toOutcome, onFailure: toFailure }),
          Effect.onInterrupt(() => Effect.ignore(engine.cancel(id)))
        )
      ),
    droppedWrites: Effect.flatMap(engine, (engine) => engine.droppedWrites),
    cancel: (id) => Effect.flatMap(engine, (engine) => engine.cancel(id).pipe(Effect.mapError(toFailure))),
    activity: Stream.unwrap(
      Effect.map(engine, (engine) =>
        Stream.filterMap(engine.events, (event) =>
          event._tag === "ToolCallStarted" ? Result.succeed({ toolPath: event.toolPath }) : Result.fail(event)
        )
      ).pipe(Effect.orElseSucceed(() => Stream.empty))
    ),
    searchTools: (options) =>
      executor.tools.search(options).pipe(
        Effect.map((matches) => matches.map((match) => match.tool)),
        Effect.mapError(toFailure)
      ),
    describeTool: (path) => Effect.mapError(executor.tools.schema(path), toFailure),
    listSources: Effect.mapError(executor.sources.list(), toFailure),
    addSource: (input) => Effect.mapError(executor.sources.add(input), toSourceFailure(caller.logFile)),
    removeSource: (namespace) => Effect.mapError(executor.sources.remove(namespace), toFailure),
    refreshSource: (namespace) => Effect.mapError(executor.sources.refresh(namespace), toSourceFailure(caller.logFile)),
    listExecutions: (options) =>
      executor.executions.list(scope, options).pipe(
        Effect.map((page) => ({ ...page, executions: page.executions.map(toEntry) })),
        Effect.mapError(toFailure)
      ),
    getExecution: (id) =>
      executor.executions.get(scope, id).pipe(Effect.mapBoth({ onSuccess: toEntry, onFailure: toFailure })),
    exportExecutions: (filters, format) => {
      const isCsv = format === "csv"
      const lines = executor.executions.exportRecords(scope, { ...filters, executionsOnly: isCsv }).pipe(
        Stream.chunks,
        Stream.map((records) => records.map(isCsv ? csvText : jsonText).join("")),
        Stream.mapError(toFailure)
      )
      return Stream.encodeText(isCsv ? Stream.concat(Stream.make(csvHeader), lines) : lines)
    },
    listToolCalls: (id) => Effect.mapError(executor.executions.listToolCalls(scope, id), toFailure),
    listInteractions: (id) =>
      executor.executions.listInteractions(scope, id).pipe(
        Effect.map((interactions) => interactions.map(withoutPrivate)),
        Effect.mapError(toFailure)
      )
  }
}
