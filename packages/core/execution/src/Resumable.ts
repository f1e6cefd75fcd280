/**
 * Whether a journal can be run again: all of it was written, in the sandbox that is here.
 */
import { type ExecutionJournal, isTerminal } from "@executor/sdk"
import { ExecutionNotResumable } from "./ExecutionEngine.ts"

/** Why a journal cannot be run again, if it cannot. */
export const whyNotResumable = (
  { execution, sandboxBuild }: ExecutionJournal,
  build: string,
  anyBuild = false
): ExecutionNotResumable | undefined => {
  const { id: executionId, journalComplete } = execution
  if (!journalComplete) {
    const message = `Execution ${executionId} cannot be run from its journal: a part of it could not be written. Look at what it did, and send the code again.`
    return new ExecutionNotResumable({ executionId, reason: "journal_incomplete", message })
  }
  if (anyBuild || sandboxBuild === build) return undefined
  const made =
    sandboxBuild === null
      ? "in a sandbox that is not recorded, as where it was imported"
      : `with another build of the sandbox (${sandboxBuild}) than this one (${build})`
  const message = `The journal of execution ${executionId} was made ${made}, so the same code may take another way. An answer, a fork and a replay try it all the same with anyBuild (--any-build).`
  return new ExecutionNotResumable({ executionId, reason: "other_build", message })
}

/** Why a journal is not all there yet, if it is not. */
export const whyNotEnded = ({ execution: { id, status } }: ExecutionJournal): ExecutionNotResumable | undefined =>
  isTerminal(status)
    ? undefined
    : new ExecutionNotResumable({
        executionId: id,
        reason: "not_ended",
        message: `Execution ${id} is ${status}: its journal is not at its end. Wait until it has ended, or cancel it.`
      })
