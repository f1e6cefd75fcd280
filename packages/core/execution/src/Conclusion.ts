/**
 * How an execution ended: what its caller gets, what its row says, and what the row says of it later.
 */
import { type ExecuteResult, type ExecutionFailure, LimitExceeded, type LogEntry, readJson } from "@executor/kernel"
import type { CodeExecutionError } from "@executor/kernel"
import type { Execution, ExecutionId, UpdateExecution } from "@executor/sdk"
import { Cause, Effect, type Exit } from "effect"
import type { ExecutionOutcome, FinishedExecution } from "./ExecutionEngine.ts"

/** Why an execution was stopped before its program ended. */
export type StopReason =
  | { readonly _tag: "Cancelled"; readonly name?: string; readonly message: string }
  | { readonly _tag: "WallTime"; readonly limitMs: number }
  | { readonly _tag: "Failed"; readonly name: string; readonly message: string }

/** What is concluded from. */
export interface ConclusionInput {
  readonly executionId: ExecutionId
  readonly exit: Exit.Exit<ExecuteResult, CodeExecutionError>
  readonly stopped: StopReason | undefined
  /** What a program that was stopped had logged. */
  readonly stoppedLogs: ReadonlyArray<LogEntry>
  readonly toolCallCount: number
  readonly startedAt: number
  readonly completedAt: number
}

/** The end of an execution, for its caller and for its row. */
export interface Conclusion {
  readonly finished: FinishedExecution
  readonly row: UpdateExecution
}

/** Concludes. A program that came to its end before it was stopped has ended that way. */
export const conclude = Effect.fnUntraced(function* (input: ConclusionInput): Effect.fn.Return<Conclusion> {
  const { exit, stopped, stoppedLogs } = input
  if (exit._tag === "Success") {
    const { error, logs = [] } = exit.value
    const status = error === undefined ? "completed" : "failed"
    return conclusion(input, status, error, logs, exit.value)
  }
  if (stopped?._tag === "Cancelled") {
    return conclusion(input, "cancelled", { name: stopped.name ?? "Cancelled", message: stopped.message }, stoppedLogs)
  }
  if (stopped?._tag === "WallTime") {
    const { message } = LimitExceeded.of("wallTimeMs", stopped.limitMs)
    return conclusion(input, "failed", { name: "LimitExceeded", message, limit: "wallTimeMs" }, stoppedLogs)
  }
  if (stopped?._tag === "Failed") {
    return conclusion(input, "failed", { name: stopped.name, message: stopped.message }, stoppedLogs)
  }
  const expected = Cause.findErrorOption(exit.cause)
  if (expected._tag === "Some") {
    return conclusion(input, "failed", { name: "CodeExecutionError", message: expected.value.message })
  }
  yield* Effect.logError(`The sandbox of execution ${input.executionId} died`, exit.cause)
  return conclusion(input, "failed", {
    name: "InternalError",
    message: `The sandbox failed for a reason that is not the program's. The host's log has the cause under "${input.executionId}".`
  })
})

const conclusion = (
  { completedAt, executionId, startedAt, toolCallCount }: ConclusionInput,
  status: FinishedExecution["status"],
  error: ExecutionFailure | undefined,
  logs: ReadonlyArray<LogEntry> = [],
  executed?: ExecuteResult
): Conclusion => {
  const resultJson = error === undefined ? executed?.resultJson : undefined
  const durationMs = completedAt - startedAt
  return {
    finished: {
      status,
      executionId,
      get result() {
        return resultJson === undefined ? undefined : executed?.result
      },
      resultJson,
      error,
      logs,
      toolCallCount,
      durationMs
    },
    row: {
      status,
      resultJson: resultJson ?? null,
      errorText: error === undefined ? null : errorText(error),
      logsJson: logs.length === 0 ? null : JSON.stringify(logs),
      completedAt,
      durationMs
    }
  }
}

/** An error as the row of its execution tells it. */
export const errorText = ({ column, line, message, name }: ExecutionFailure): string => {
  const place = line === undefined ? "" : ` (line ${line}${column === undefined ? "" : `, column ${column}`})`
  return `${name}: ${message}${place}`
}

/** What a caller is told whose execution is not in the history, or not all of it. */
export const historyProblem = {
  incomplete:
    "The history does not have all of this execution, as the database did not take what was written. Keep what you need of it; " +
    "executor doctor and the health of the server tell why.",
  notKept:
    "The history of this execution is in memory only, and is lost when its process ends, as the database could not be opened. Keep what " +
    "you need of it."
}

/** The end that a row tells. */
export const finishedOf = (execution: Execution): ExecutionOutcome & FinishedExecution => {
  const { durationMs, errorText, id, journalComplete, logsJson, resultJson, status, toolCallCount } = execution
  const error = status === "completed" ? undefined : errorOf(errorText ?? "")
  return {
    status: status === "completed" || status === "cancelled" ? status : "failed",
    executionId: id,
    get result() {
      return resultJson === null ? undefined : readJson(resultJson)
    },
    resultJson: resultJson ?? undefined,
    error,
    logs: logsJson === null ? [] : (JSON.parse(logsJson) as FinishedExecution["logs"]),
    toolCallCount,
    durationMs: durationMs ?? 0,
    ...(!journalComplete && { historyProblem: historyProblem.incomplete })
  }
}

const errorLine = /^([^:\n]*): ([^]*?)(?: \(line (\d+)(?:, column (\d+))?\))?$/

/** The error of a row: what {@link errorText} wrote. */
const errorOf = (text: string): ExecutionFailure => {
  const [, name = "Error", message = text, line, column] = errorLine.exec(text) ?? []
  return {
    name,
    message,
    ...(line === undefined ? {} : { line: Number(line) }),
    ...(column === undefined ? {} : { column: Number(column) })
  }
}
