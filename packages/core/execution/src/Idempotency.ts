/**
 * Submissions that are only done once: the row with the key is written before anything runs, and the database lets one have it.
 *
 * Unlike other bookkeeping this write is waited for, and a submission whose key cannot be written does not run: its sender would send
 * it again, and have it done twice.
 */
import type { DBError, Execution, ExecutionId, ExecutionNotFound, ExecutionStore } from "@executor/sdk"
import { Clock, Effect } from "effect"
import { ExecutionRefused, IdempotencyConflict } from "./ExecutionEngine.ts"
import * as ForkMark from "./ForkMark.ts"
import { type EngineParts, type Identity, type LiveExecution, rowOf } from "./LiveExecution.ts"
import type { Submission } from "./Submission.ts"

/** A new execution, or the one that has the key. */
export type Started =
  | { readonly _tag: "New"; readonly execution: LiveExecution }
  | { readonly _tag: "Existing"; readonly id: ExecutionId }

/** Lives a submission, unless its key was used. */
export const once = Effect.fnUntraced(function* (
  parts: EngineParts,
  identity: Identity,
  submission: Submission,
  live: (identity: Identity) => Effect.Effect<LiveExecution>
): Effect.fn.Return<Started, IdempotencyConflict | ExecutionRefused> {
  const { idempotencyKey } = submission
  if (idempotencyKey === undefined) return { _tag: "New", execution: yield* live(identity) }
  const store = parts.executor.executions
  const scopeId = parts.executor.scopes[0]
  const create = Effect.as(store.create(rowOf(parts, identity, submission)), undefined)
  const written = yield* create.pipe(
    Effect.catchTag("DBError", (error) =>
      error.reason === "unique"
        ? Effect.flatMap(store.findByIdempotencyKey(scopeId, idempotencyKey), (existing) =>
            existing === undefined ? Effect.fail(error) : Effect.succeed(existing)
          )
        : Effect.fail(error)
    ),
    Effect.mapError((error) =>
      error._tag === "PayloadTooLarge"
        ? new ExecutionRefused({ field: error.field, message: error.message })
        : notWritten(error)
    )
  )
  if (written !== undefined) return yield* sameOrConflict(parts, written, identity, submission, idempotencyKey)
  const notStarted = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    store.update(scopeId, identity.id, {
      status: "failed",
      errorText: "NotStarted: The host that submitted it failed before anything ran.",
      completedAt: now,
      durationMs: Math.max(0, now - identity.startedAt)
    })
  )
  const execution = yield* Effect.onError(live({ ...identity, isRowWritten: true }), () => Effect.ignore(notStarted))
  return { _tag: "New", execution }
})

/** The execution that has the key of a submission already: a submission that is sent again need not wait for a place. */
export const existing = Effect.fnUntraced(function* (
  parts: EngineParts,
  origin: Origin,
  submission: Submission
): Effect.fn.Return<Started | undefined, IdempotencyConflict | ExecutionRefused> {
  const { idempotencyKey } = submission
  if (idempotencyKey === undefined) return undefined
  const find = parts.executor.executions.findByIdempotencyKey(parts.executor.scopes[0], idempotencyKey)
  const found = yield* Effect.mapError(find, notWritten)
  return found && (yield* sameOrConflict(parts, found, origin, submission, idempotencyKey))
})

const sameOrConflict = (parts: EngineParts, found: Execution, origin: Origin, submission: Submission, key: string) =>
  Effect.catchTag(
    theSame(parts.executor.executions, found, origin, submission, key),
    ["DBError", "ExecutionNotFound"],
    (cause) => notRead(found.id, cause)
  )

/** What a submission is a fork of, if it is one. */
type Origin = Pick<Identity, "fork" | "parentExecutionId">

const sendAgain = "Send the same code with the same key again: it runs once."

/** A commit whose answer was lost has a row nevertheless, which is taken up in time. */
const notWritten = (cause: DBError) =>
  new ExecutionRefused({
    field: "history",
    message: `The history failed, and it is not known whether it has the idempotency key. ${sendAgain}`,
    cause
  })

/** The execution that has a key cannot be asked about. */
export const notRead = (id: ExecutionId, cause: DBError | ExecutionNotFound) =>
  new ExecutionRefused({
    field: "history",
    message: `The idempotency key is of execution ${id}, which the history could not be asked about. ${sendAgain}`,
    cause
  })

/** The execution that has the key, if it is of the same code, and of the same journal if it or this one is a fork. */
const theSame = Effect.fnUntraced(function* (
  store: ExecutionStore["Service"],
  existing: Execution,
  { fork, parentExecutionId }: Origin,
  { code }: Submission,
  key: string
): Effect.fn.Return<Started, IdempotencyConflict | DBError | ExecutionNotFound> {
  const conflict = (what: string) =>
    new IdempotencyConflict({
      executionId: existing.id,
      message: `The idempotency key ${JSON.stringify(key)} was used for ${what}, by execution ${existing.id}. Use a new key for a new submission.`
    })
  if (existing.code !== code) return yield* conflict("other code")
  // Whoever submits may name a parent as well, of which nothing is taken.
  const mayBeFork = fork !== undefined || existing.parentExecutionId !== null
  const isFork = mayBeFork && ForkMark.isMarked((yield* store.readJournal(existing.scopeId, existing.id)).optionsJson)
  const from = isFork ? existing.parentExecutionId : undefined
  if (from !== (fork === undefined ? undefined : parentExecutionId)) {
    return yield* conflict(`the same code on another journal (${from ?? "none"})`)
  }
  return { _tag: "Existing", id: existing.id }
})
