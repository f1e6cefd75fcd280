/**
 * Reads of a tool's answer that fail the test when the answer is of another kind.
 */
import { assert } from "@effect/vitest"
import type { ToolAnswer } from "./Connection.ts"

/** The text of an answer. */
export const textOf = (answer: ToolAnswer): string => answer.content.map(({ text }) => text).join("\n")

/** The structured content of an answer. */
export const outcomeOf = (answer: ToolAnswer): NonNullable<ToolAnswer["structuredContent"]> => {
  if (answer.structuredContent === undefined) return assert.fail(`no structured content: ${textOf(answer)}`)
  return answer.structuredContent
}

/** The result of an execution that completed. */
export const resultOf = (answer: ToolAnswer): unknown => {
  const { result, status } = outcomeOf(answer)
  assert.strictEqual(status, "completed", textOf(answer))
  assert.notStrictEqual(answer.isError, true)
  return result
}

/** The id of an execution that waits. */
export const waitingIdOf = (answer: ToolAnswer): string => {
  const { executionId, status } = outcomeOf(answer)
  assert.strictEqual(status, "waiting_for_interaction", textOf(answer))
  assert.notStrictEqual(answer.isError, true)
  return executionId
}
