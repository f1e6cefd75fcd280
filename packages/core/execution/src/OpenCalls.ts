/**
 * Calls without an outcome that nobody goes on with: how each is closed in the journal of an execution that ends.
 */
import type { ExecutionInteraction, ExecutionToolCallId, FinishToolCall, JournaledCall } from "@executor/sdk"
import * as InDoubt from "./InDoubt.ts"
import * as Recorded from "./Recorded.ts"
import * as RecordedQuestions from "./RecordedQuestions.ts"

/** What is closed, and why. */
export interface OpenCallsInput {
  readonly calls: ReadonlyArray<JournaledCall>
  readonly interactions: ReadonlyArray<ExecutionInteraction>
  /** Whether the engine itself serves the tool: what it does has no effect. */
  readonly isBuiltin: (path: string) => boolean
  readonly why: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** The status and the error of a call that is closed. */
export const closed = (why: string, inDoubt: boolean) =>
  ({
    status: inDoubt ? "in_doubt" : "failed",
    errorText: JSON.stringify({
      name: "Interrupted",
      message: `${why} ${inDoubt ? "Whether the call took effect is not known." : "The call took no effect."}`
    })
  }) as const

/** The outcomes of the calls that have none. */
export const closings = ({
  at,
  calls,
  interactions,
  isBuiltin,
  why
}: OpenCallsInput): ReadonlyArray<{ readonly id: ExecutionToolCallId; readonly outcome: FinishToolCall }> => {
  const questions = RecordedQuestions.make(interactions)
  return calls
    .filter((journaled) => Recorded.outcomeOf(journaled) === undefined)
    .map(({ answersSeen, call }) => {
      const begun = call.status === "in_doubt" || InDoubt.mayHaveBegun(answersSeen, questions.gatesOf(call))
      const times = { completedAt: at, durationMs: Math.max(0, at - call.startedAt) }
      return {
        id: call.id,
        outcome: { ...closed(why, begun && !isBuiltin(call.toolPath)), settleSeq: null, ...times }
      }
    })
}
