/**
 * Turns the errors of the engine, the store and the catalog into the problems of the API, tag by tag. Their statuses are in
 * `Problems.ts` of `@executor/api`.
 *
 * What came from inside (a database's own words) is logged under a correlation id, and only the id goes out.
 */
import {
  AnswerInvalidProblem,
  BadRequestProblem,
  ExecutionInterruptedProblem,
  ExecutionNotCancellableProblem,
  ExecutionNotFoundProblem,
  ExecutionNotPausedProblem,
  ExecutionNotResumableProblem,
  ExecutionRefusedProblem,
  IdempotencyConflictProblem,
  InteractionAlreadyResolvedProblem,
  InteractionNotFoundProblem,
  ServerClosingProblem,
  SourceInvalidProblem,
  SourceNotFoundProblem,
  SourceUnavailableProblem,
  StorageUnavailableProblem,
  TooManyExecutionsProblem,
  ToolNotFoundProblem
} from "@executor/api"
import type {
  AnswerInvalid,
  ExecutionInterrupted,
  ExecutionNotCancellable,
  ExecutionNotPaused,
  ExecutionNotResumable,
  ExecutionRefused,
  IdempotencyConflict,
  TooManyExecutions
} from "@executor/execution"
import type {
  DBError,
  ExecutionNotFound,
  InteractionAlreadyResolved,
  InteractionNotFound,
  ListOptionsInvalid,
  SourceInvalid,
  SourceNotFound,
  SourceUnavailable,
  ToolNotFound
} from "@executor/sdk"
import { Cause, Effect } from "effect"

/** Logs a cause once, and gives the id that it can be found by. */
export const logWithCorrelationId = (message: string, cause: Cause.Cause<unknown>): Effect.Effect<string> =>
  Effect.suspend(() => {
    const correlationId = crypto.randomUUID()
    return Effect.logError(message, cause).pipe(Effect.annotateLogs({ correlationId }), Effect.as(correlationId))
  })

/** The query parameters of the list options that have another name. */
const parameters: { readonly [option: string]: string } = {
  statusFilter: "status",
  triggerFilter: "trigger",
  toolPathFilter: "tool",
  timeRange: "from",
  codeQuery: "code",
  query: "q",
  hadElicitation: "elicitation",
  includeMeta: "meta"
}

const problems = {
  AnswerInvalid: ({ executionId, message }: AnswerInvalid) =>
    Effect.fail(new AnswerInvalidProblem({ detail: message, executionId })),
  DBError: (error: DBError) =>
    Effect.flatMap(logWithCorrelationId("The database failed", Cause.fail(error)), (correlationId) =>
      Effect.fail(
        new StorageUnavailableProblem({
          detail: "The database failed. The server's log has the cause under this correlation id.",
          correlationId
        })
      )
    ),
  ExecutionInterrupted: ({ executionId, message, reason }: ExecutionInterrupted) =>
    Effect.fail(new ExecutionInterruptedProblem({ detail: message, executionId, reason })),
  ExecutionNotCancellable: ({ executionId, message }: ExecutionNotCancellable) =>
    Effect.fail(new ExecutionNotCancellableProblem({ detail: message, executionId })),
  ExecutionNotFound: ({ executionId, message }: ExecutionNotFound) =>
    Effect.fail(new ExecutionNotFoundProblem({ detail: message, executionId })),
  ExecutionNotPaused: ({ executionId, message }: ExecutionNotPaused) =>
    Effect.fail(new ExecutionNotPausedProblem({ detail: message, executionId })),
  ExecutionNotResumable: ({ executionId, message, reason }: ExecutionNotResumable) =>
    Effect.fail(new ExecutionNotResumableProblem({ detail: message, executionId, reason })),
  ExecutionRefused: (error: ExecutionRefused) => {
    const { field, message: detail } = error
    switch (field) {
      case "engine":
        return Effect.fail(new ServerClosingProblem({ detail }))
      case "history":
        return Effect.flatMap(logWithCorrelationId("The history failed", Cause.fail(error)), (correlationId) =>
          Effect.fail(new StorageUnavailableProblem({ detail, correlationId }))
        )
      default:
        return Effect.fail(new ExecutionRefusedProblem({ detail, field }))
    }
  },
  IdempotencyConflict: ({ executionId, message }: IdempotencyConflict) =>
    Effect.fail(new IdempotencyConflictProblem({ detail: message, executionId })),
  InteractionAlreadyResolved: ({ interactionId, message, resolvedBy, status }: InteractionAlreadyResolved) =>
    Effect.fail(
      new InteractionAlreadyResolvedProblem({ detail: message, interactionId, interactionStatus: status, resolvedBy })
    ),
  InteractionNotFound: ({ interactionId, message }: InteractionNotFound) =>
    Effect.fail(new InteractionNotFoundProblem({ detail: message, interactionId })),
  ListOptionsInvalid: ({ message: about, option }: ListOptionsInvalid) => {
    const parameter = parameters[option] ?? option
    const message = about.replace(`${option}:`, `${parameter}:`)
    return Effect.fail(new BadRequestProblem({ detail: message, errors: [{ path: ["query", parameter], message }] }))
  },
  SourceInvalid: ({ message, namespace }: SourceInvalid) =>
    Effect.fail(new SourceInvalidProblem({ detail: message, namespace })),
  SourceNotFound: ({ message, namespace }: SourceNotFound) =>
    Effect.fail(new SourceNotFoundProblem({ detail: message, namespace })),
  SourceUnavailable: ({ message, namespace }: SourceUnavailable) =>
    Effect.fail(new SourceUnavailableProblem({ detail: message, namespace })),
  TooManyExecutions: ({ limit, message, retryAfterMs, value }: TooManyExecutions) =>
    Effect.fail(new TooManyExecutionsProblem({ detail: message, limit, value, retryAfterMs })),
  ToolNotFound: ({ message, path, suggestions }: ToolNotFound) =>
    Effect.fail(new ToolNotFoundProblem({ detail: message, path, suggestions }))
}

type Tag = keyof typeof problems
type DomainError = Parameters<(typeof problems)[Tag]>[0]
type ProblemOf<E extends DomainError> = Effect.Error<ReturnType<(typeof problems)[E["_tag"]]>>

/** Replaces each domain error of an effect by its problem. */
export const asProblems = <A, E extends DomainError, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, ProblemOf<E>, R> =>
  effect.pipe(
    Effect.catch((error) => (problems[error._tag] as (error: DomainError) => Effect.Effect<never, ProblemOf<E>>)(error))
  )
