/**
 * The journal that an execution is continued from: which calls it had made, and what the code was told, in which order.
 *
 * The code runs again from its beginning, in the same loop as live: it makes its calls, and those that the journal knows are not made
 * again. What the code had been told it is told again, **in the recorded order** (`settleSeq`). Giving a recorded outcome as soon as
 * its call is made would not do: of two calls under way the later one may have been answered first, and code that races them would
 * take another way.
 *
 * Outcomes count as told up to the first gap in `settleSeq`. One behind a gap, or without a number, is known, but the code had not
 * seen it: it is numbered anew. Its old number is taken from it before the code runs: another outcome gets that number, and should this
 * process be lost as well, the journal would have two of it.
 */
import { readJson, Settlement, type ToolInvocation, type ToolRejection } from "@executor/kernel"
import type { JournaledCall } from "@executor/sdk"
import { sameJson } from "./CanonicalJson.ts"
import type { CallShape, Divergence } from "./ExecutionEngine.ts"
import type { Outcome } from "./Outcomes.ts"

/** What was recorded of an execution that is run again. */
export interface Recorded {
  readonly at: (seq: number) => JournaledCall | undefined
  /** Outcomes that the code was told. */
  readonly told: number
  /** The time of the last of them; 0 if there is none. */
  readonly toldAt: number
  /** Calls whose outcome has a number behind a gap. */
  readonly behindGap: ReadonlyArray<JournaledCall>
  /** What the code was told of a call. */
  readonly settlementOf: (call: JournaledCall) => Settlement | undefined
  /** The call whose outcome comes next, if code that rests has not made it: it has made so many, and received so many outcomes. */
  readonly missing: (made: number, received: number) => CallShape | undefined
  /** A recorded call that was not made by code that made so many. */
  readonly unmade: (made: number) => CallShape | undefined
}

/** Reads a journal. */
export const make = (calls: ReadonlyArray<JournaledCall>): Recorded => {
  const bySeq = new Map(calls.map((journaled) => [journaled.call.seq, journaled]))
  const order: Array<JournaledCall | undefined> = []
  for (const journaled of calls) {
    const { settleSeq } = journaled.call
    if (settleSeq !== null) order[settleSeq] = journaled
  }
  const gap = order.findIndex((journaled) => journaled === undefined)
  const told = gap === -1 ? order.length : gap
  return {
    at: (seq) => bySeq.get(seq),
    told,
    behindGap: calls.filter(({ call }) => call.settleSeq !== null && call.settleSeq >= told),
    toldAt: order[told - 1]?.call.completedAt ?? 0,
    settlementOf: ({ call }) => {
      const { completedAt, settleSeq } = call
      if (settleSeq === null || settleSeq >= told) return undefined
      const outcome = outcomeOf({ call, answersSeen: null })
      const place = { at: completedAt ?? 0, settleSeq }
      if (outcome === undefined) return undefined
      return outcome._tag === "Success"
        ? Settlement.success({ json: outcome.json, ...place })
        : Settlement.failure({ error: outcome.error, ...place })
    },
    missing: (made, received) => {
      const next = received < told ? order[received]?.call : undefined
      return next === undefined || next.seq < made ? undefined : shapeOf(next)
    },
    unmade: (made) => {
      const next = calls.findLast(({ call }) => call.seq >= made)?.call
      return next === undefined ? undefined : shapeOf(next)
    }
  }
}

/** The outcome of a call that has one. */
export const outcomeOf = ({ call }: JournaledCall): Outcome | undefined => {
  const { resultJson, status } = call
  if (status === "completed") return { _tag: "Success", json: resultJson ?? undefined }
  if (status === "running") return undefined
  const errorText = call.errorText ?? `{"name":"Error","message":"The call failed"}`
  const error = readJson(errorText, { wideIntegers: true }) as ToolRejection
  // One in doubt has an outcome if the code was to be told that nobody knows it.
  return status === "failed" || error.outcome === "unknown" ? { _tag: "Failure", error, errorText } : undefined
}

/** What differs between a recorded call and the one that the code makes in its place. */
export const divergenceOf = (
  { call }: JournaledCall,
  invocation: Pick<ToolInvocation, "path" | "argsJson">
): Divergence | undefined => {
  const argsJson = invocation.argsJson ?? null
  if (call.toolPath === invocation.path && sameJson(call.argsJson, argsJson)) return undefined
  return { recorded: shapeOf(call), made: { seq: call.seq, path: invocation.path, argsJson } }
}

/** A recorded call as it is shown. */
export const shapeOf = ({ argsJson, seq, toolPath }: JournaledCall["call"]): CallShape => ({
  seq,
  path: toolPath,
  argsJson
})

/** Arguments in a message; all of them are in the history. */
const maxShownArguments = 300

const show = (shape: CallShape | undefined): string => {
  if (shape === undefined) return "nothing"
  const args = shape.argsJson ?? ""
  const shown = args.length > maxShownArguments ? `${args.slice(0, maxShownArguments)}…` : args
  return `${shape.path}(${shown})`
}

/** A divergence in words. */
export const describeDivergence = ({ made, recorded }: Divergence): string =>
  `Call ${made?.seq ?? recorded?.seq ?? 0} was recorded as ${show(recorded)}, and the code made ${show(made)}.`
