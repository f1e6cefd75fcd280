/**
 * The questions that the journal of an execution has, for the code that comes to them again, and what stood before each call.
 *
 * A question is found once by the call, the purpose and the words it was asked with. Until then it lies **ahead**: it may be answered
 * meanwhile, and whoever asks it then has the answer at once.
 */
import type { ExecutionInteraction } from "@executor/sdk"
import { inDoubtPurpose } from "./InDoubt.ts"
import type { Call } from "./Journal.ts"

/** Why a person is asked: before a tool is invoked (the first two), or by the tool itself. */
export type Purpose = "tool_approval" | typeof inDoubtPurpose | "tool_input"

/** The questions that stand before the invocation of a tool. */
export interface Gates {
  /** Whether any question stood there. */
  readonly asked: boolean
  readonly answered: number
  /** Whether one of them was for its approval. */
  readonly approval: boolean
  /** The latest question whether the call happened. */
  readonly doubt: ExecutionInteraction | undefined
}

/** The questions of a journal. */
export interface RecordedQuestions {
  readonly get: (id: string) => ExecutionInteraction | undefined
  /** The question that a call asks, if it was recorded. */
  readonly take: (call: Call, purpose: Purpose, payloadJson: string) => ExecutionInteraction | undefined
  /** Those that wait for an answer, and that the code has yet to come to. */
  readonly ahead: () => ReadonlyArray<ExecutionInteraction>
  /** Notes an answer to one of these; false if it is none. */
  readonly answer: (interaction: ExecutionInteraction) => boolean
  readonly lastAnswered: () => ExecutionInteraction | undefined
  readonly gatesOf: (call: Pick<Call, "id">) => Gates
  /** Counts the answer to a question that was asked here. */
  readonly gatePassed: (call: Call, purpose: Purpose) => void
}

const isGate = (purpose: string): boolean => purpose === "tool_approval" || purpose === inDoubtPurpose

/** Reads the questions of a journal, oldest first. */
export const make = (interactions: ReadonlyArray<ExecutionInteraction>): RecordedQuestions => {
  const known = new Map<string, ExecutionInteraction>(interactions.map((each) => [each.id, each]))
  const left = new Set<string>(known.keys())
  const passed = new Map<string, number>()

  const pass = (toolCallId: string | null, purpose: string) => {
    if (toolCallId !== null && isGate(purpose)) passed.set(toolCallId, (passed.get(toolCallId) ?? 0) + 1)
  }
  for (const { purpose, status, toolCallId } of interactions) if (status === "resolved") pass(toolCallId, purpose)

  const remaining = () => Array.from(left).flatMap((id) => known.get(id) ?? [])

  return {
    get: (id) => known.get(id),
    take: (call, purpose, payloadJson) => {
      if (left.size === 0) return undefined
      const found = remaining().find(
        (each) =>
          each.toolCallId === call.id &&
          each.purpose === purpose &&
          each.payloadJson === payloadJson &&
          // An answer about one attempt says nothing of the next.
          (each.status === "pending" || (each.status === "resolved" && purpose !== inDoubtPurpose))
      )
      if (found !== undefined) left.delete(found.id)
      return found
    },
    ahead: () => remaining().filter(({ status }) => status === "pending"),
    answer: (interaction) => {
      if (!left.has(interaction.id) || known.get(interaction.id)?.status !== "pending") return false
      known.set(interaction.id, interaction)
      if (interaction.status === "resolved") pass(interaction.toolCallId, interaction.purpose)
      return true
    },
    lastAnswered: () => Array.from(known.values()).findLast(({ status }) => status === "resolved"),
    gatesOf: (call) => {
      const answered = passed.get(call.id) ?? 0
      if (known.size === 0) return { asked: answered > 0, answered, approval: false, doubt: undefined }
      const before = Array.from(known.values()).filter(
        ({ purpose, status, toolCallId }) => toolCallId === call.id && isGate(purpose) && status !== "cancelled"
      )
      return {
        asked: answered > 0 || before.length > 0,
        answered,
        approval: before.some(({ purpose }) => purpose === "tool_approval"),
        doubt: before.findLast(({ purpose }) => purpose === inDoubtPurpose)
      }
    },
    gatePassed: (call, purpose) => pass(call.id, purpose)
  }
}
