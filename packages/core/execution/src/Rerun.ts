/**
 * Running code on a journal alone: nothing is called, and nothing is written.
 *
 * `replay` runs the code of an execution again and compares the ends, so that its history is a test of the code. `previewFork` runs
 * other code up to the first call that it would make.
 */
import {
  type CodeExecutionError,
  type CodeExecutor,
  type ExecuteResult,
  type Limits,
  Settlement
} from "@executor/kernel"
import type { Execution, ExecutionJournal } from "@executor/sdk"
import { Deferred, Effect, Exit, Option } from "effect"
import { errorText } from "./Conclusion.ts"
import {
  type Divergence,
  ExecutionNotResumable,
  ExecutionRefused,
  type ForkReport,
  type ReplayedEnd,
  type ReplayOptions,
  type ReplayReport
} from "./ExecutionEngine.ts"
import type { Fork } from "./Fork.ts"
import * as Recorded from "./Recorded.ts"
import { whyNotEnded, whyNotResumable } from "./Resumable.ts"
import * as Submission from "./Submission.ts"

type Sandbox = CodeExecutor["Service"]

/** Runs the code of an execution that has ended on its journal, and compares. */
export const replay = Effect.fnUntraced(function* (
  sandbox: Sandbox,
  journal: ExecutionJournal,
  limits: Limits,
  { anyBuild }: ReplayOptions
): Effect.fn.Return<ReplayReport, ExecutionNotResumable> {
  const { execution } = journal
  const executionId = execution.id
  const problem = whyNotEnded(journal) ?? whyNotResumable(journal, sandbox.build, anyBuild)
  if (problem !== undefined) return yield* problem
  const submission = yield* Effect.mapError(
    Submission.restore(execution, journal.optionsJson, limits),
    ({ message }) => new ExecutionNotResumable({ executionId, reason: "options_invalid", message })
  )
  const recorded = Recorded.make(journal.calls)
  const stopped = Deferred.makeUnsafe<"stopped">()
  const stop = () => Deferred.doneUnsafe(stopped, Effect.succeed("stopped"))
  let made = 0
  let divergence: Divergence | undefined

  const leave = (where: Divergence) => {
    divergence ??= where
    stop()
    return Effect.never
  }

  const run = sandbox.execute(
    submission.code,
    {
      invoke: (invocation) =>
        Effect.suspend(() => {
          const seq = made++
          const known = recorded.at(seq)
          const { argsJson = null, path } = invocation
          if (known === undefined) return leave({ recorded: undefined, made: { seq, path, argsJson } })
          const differs = Recorded.divergenceOf(known, invocation)
          if (differs !== undefined) return leave(differs)
          const told = recorded.settlementOf(known)
          return told === undefined ? Effect.never : Effect.succeed(told)
        })
    },
    {
      limits: submission.limits,
      seed: execution.seed,
      startTime: execution.startedAt ?? execution.createdAt,
      onIdle: (received) => {
        const missing = recorded.missing(made, received)
        if (missing !== undefined) leave({ recorded: missing, made: undefined })
        else if (received >= recorded.told) stop()
      }
    }
  )
  const exit = yield* Effect.exit(Effect.raceFirst(run, Deferred.await(stopped)))
  const end: ReplayedEnd = {
    status: execution.status,
    resultJson: execution.resultJson,
    errorText: execution.errorText
  }
  const ended = Exit.isSuccess(exit) && exit.value === "stopped" ? undefined : endOf(exit as ProgramExit)
  if (ended !== undefined && divergence === undefined) {
    const unmade = recorded.unmade(made)
    if (unmade !== undefined) divergence = { recorded: unmade, made: undefined }
  }
  // Code that was stopped from outside has no end of its own: it came as far as it had.
  const replayed =
    ended ?? (divergence === undefined ? end : { ...end, status: "running", resultJson: null, errorText: null })
  return {
    same:
      divergence === undefined &&
      replayed.status === end.status &&
      replayed.resultJson === end.resultJson &&
      replayed.errorText === end.errorText,
    recorded: end,
    replayed,
    divergence,
    calls: Math.min(made, journal.calls.length)
  }
})

type ProgramExit = Exit.Exit<ExecuteResult, CodeExecutionError>

const endOf = (exit: ProgramExit): ReplayedEnd => {
  if (Exit.isFailure(exit)) {
    return { status: "failed", resultJson: null, errorText: "CodeExecutionError: the sandbox could not run it" }
  }
  const { error, resultJson } = exit.value
  return error === undefined
    ? { status: "completed", resultJson: resultJson ?? null, errorText: null }
    : { status: "failed", resultJson: null, errorText: errorText(error) }
}

/** Runs other code on a journal up to the first call that is not in it. */
export const previewFork = Effect.fnUntraced(function* (
  sandbox: Sandbox,
  { seed }: Execution,
  submission: Submission.Submission,
  fork: Fork
): Effect.fn.Return<ForkReport, ExecutionRefused> {
  const live = Deferred.makeUnsafe<void>()
  let made = 0
  let settled = 0
  const goLive = Effect.suspend(() => {
    Deferred.doneUnsafe(live, Effect.void)
    return Effect.never
  })
  const run = sandbox.execute(
    submission.code,
    {
      invoke: (invocation) =>
        Effect.suspend(() => {
          const { argsJson, path } = invocation
          const taken = fork.take({ path, argsJson, seq: made++ })
          if (taken === undefined) return goLive
          return Effect.flatMap(taken.turn, () => {
            const { outcome } = taken
            if (outcome === undefined) return goLive
            taken.told()
            const place = { at: 0, settleSeq: settled++ }
            return outcome._tag === "Success"
              ? Effect.succeed(Settlement.success({ json: outcome.json, ...place }))
              : Effect.succeed(Settlement.failure({ error: outcome.error, ...place }))
          })
        })
    },
    {
      limits: submission.limits,
      seed,
      onIdle: (received) => {
        if (received >= settled) fork.codeRests()
      }
    }
  )
  const ended = yield* Effect.option(Effect.raceFirst(run, Deferred.await(live)))
  const error = Option.isSome(ended) ? ended.value?.error : undefined
  if (made === 0 && error?.name === "SyntaxError") {
    return yield* new ExecutionRefused({ field: "code", message: `The code cannot be run. ${errorText(error)}` })
  }
  return fork.report()
})
