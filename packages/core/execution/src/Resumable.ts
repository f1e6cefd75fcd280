/**
 * Whether a journal can be run again: all of it was written, in the sandbox that is here.
 *
 * That all was written must be seen from the journal itself, as a process that was lost may not have been able to say what it left out:
 *
 * - A number is missing among its calls: a call was made whose note was lost. In a fork it need not have been made, as calls
 *   are noted there in the order in which they have their turn.
 * - It was run, was not given up by its process, and has no call at all: it may have made calls of which no note arrived.
 */
import { type ExecutionJournal, isTerminal } from "@executor/sdk"
import { ExecutionNotResumable } from "./ExecutionEngine.ts"
import { isMarked } from "./ForkMark.ts"

/** Why a journal cannot be run again, if it cannot. */
export const whyNotResumable = (
  journal: ExecutionJournal,
  build: string,
  anyBuild = false
): ExecutionNotResumable | undefined => {
  const { execution, sandboxBuild } = journal
  const executionId = execution.id
  const gap = gapOf(journal)
  if (gap !== undefined) {
    const message = `Execution ${executionId} cannot be run from its journal: ${gap}. Look at what it did, and send the code again.`
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

/** What shows that a part of a journal is missing, if anything does. */
const gapOf = ({ calls, execution, optionsJson }: ExecutionJournal): string | undefined => {
  if (!execution.journalComplete) return "a part of it could not be written"
  const missing = calls.findIndex(({ call }, index) => call.seq !== index)
  if (missing !== -1 && !isMarked(optionsJson)) return `its call ${missing} is not recorded, though a later one is`
  const wasLost = execution.status === "running" && execution.owner !== null
  if (calls.length === 0 && wasLost) {
    return "its process was lost before a call was recorded, so it is not known whether one was made"
  }
  return undefined
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
