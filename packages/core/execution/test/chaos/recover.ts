/**
 * What follows a crash: another engine takes the execution over, and a person answers its questions truly.
 */
import type { ExecutionEngine, InteractionAnswer } from "@executor/execution"
import type { LogEntry } from "@executor/kernel"
import { type Execution, type ExecutionInteraction, type ExecutionStore, isTerminal, type ScopeId } from "@executor/sdk"
import { Effect, Schedule } from "effect"
import { attempt, readEffects } from "./tools.ts"

/** How an execution ended, as its row says it. */
export interface End {
  readonly status: Execution["status"]
  readonly resultJson: string | null
  readonly errorText: string | null
  /** What the code wrote, without times. Which of its calls were under way at its end, and are warned of, depends on who was quicker. */
  readonly logs: ReadonlyArray<string>
}

/** The end of a row. */
export const endOf = ({ errorText, logsJson, resultJson, status }: Execution): End => ({
  status,
  resultJson,
  errorText,
  logs: (JSON.parse(logsJson ?? "[]") as ReadonlyArray<LogEntry>).flatMap(({ level, message }) =>
    level === "warn" ? [] : [message]
  )
})

/** What is left of an execution. */
export interface Left {
  readonly execution: Execution
  readonly end: End
  readonly calls: number
  readonly openCalls: number
  readonly openQuestions: number
}

/** A person looks whether the call had its effect. */
export const answerOf = (interaction: ExecutionInteraction, effects: string): InteractionAnswer => {
  if (interaction.purpose !== "in_doubt") return { action: "accept", interactionId: interaction.id }
  const seen = readEffects(effects).find(({ key, tool }) => key === interaction.toolCallId && tool !== attempt)
  const content = seen === undefined ? { outcome: "did_not_happen" } : { outcome: "happened", result: seen.resultJson }
  return { action: "accept", content, interactionId: interaction.id }
}

/** Recovers what is in the scope to its end; nothing if the process was killed before it wrote anything. */
export const recoverAll = Effect.fnUntraced(function* (
  { engine, scopeId, store }: { engine: ExecutionEngine; scopeId: ScopeId; store: ExecutionStore["Service"] },
  effects: string
) {
  // Again and again as in a host: a look at the database, or a write to it, may fail on a busy machine.
  yield* Effect.forkScoped(Effect.repeat(Effect.ignore(engine.recover), Schedule.spaced("31 seconds")))
  for (;;) {
    const { executions } = yield* store.list(scopeId)
    const [listed] = executions
    if (listed === undefined) return undefined
    const { id, status } = listed.execution
    const { interactions: pending } = yield* store.inbox(scopeId)
    if (isTerminal(status)) {
      const { execution } = yield* store.get(scopeId, id)
      const calls = yield* store.listToolCalls(scopeId, id)
      const openCalls = calls.filter((call) => call.status === "running" || call.status === "in_doubt").length
      const questions = { openQuestions: pending.length }
      return { execution, end: endOf(execution), calls: calls.length, openCalls, ...questions } satisfies Left
    }
    for (const { interaction } of pending) {
      yield* Effect.ignore(engine.resume(id, answerOf(interaction, effects)))
    }
    yield* Effect.sleep(5)
  }
})
