/**
 * An execution from its submission to its end, with the questions it asks on the way.
 *
 * At a terminal each question is put to the person there and then. Elsewhere an execution is left waiting and the caller told how to
 * go on. Where it would end with this process (a tool that has begun asks, or nothing is kept as the database cannot be used), the
 * question is answered `cancel`, and the person told what to do instead.
 */
import type { InteractionAnswer, PausedExecution } from "@executor/execution"
import { Effect } from "effect"
import { Prompt } from "effect/cli"
import { Backend, type Outcome } from "./Backend.ts"
import type { Failure } from "./Failure.ts"
import * as Output from "./Output.ts"
import { withProgress } from "./Progress.ts"
import { ask } from "./Questions.ts"
import { questionText } from "./Report.ts"

const nobodyToAsk = (execution: PausedExecution): string => {
  const { request } = execution.interaction
  const advice =
    request.kind === "approval" && request.toolPath !== undefined
      ? `Grant it beforehand with --approve '${request.toolPath}', or keep standard input and stderr at a terminal to be asked.`
      : "Keep standard input and stderr at a terminal to be asked."
  return `There is nobody to ask, so this question was answered with cancel: ${questionText(request)}\n${advice}`
}

/** Runs to the end, or to a question that has to wait. */
export const converse = Effect.fn("Conversation.converse")(function* (first: Effect.Effect<Outcome, Failure>) {
  const backend = yield* Backend
  const { canAsk, stderr } = yield* Output.Output
  const progress = withProgress(backend.activity)
  let outcome = yield* progress(first)
  while (outcome._tag === "Paused") {
    if (!canAsk && backend.survives && outcome.execution.survives) return outcome
    const { id, interaction } = outcome.execution
    const answered = (answer: InteractionAnswer) =>
      progress(backend.resume(id, { ...answer, interactionId: interaction.id }))
    if (!canAsk) {
      yield* Output.notice(nobodyToAsk(outcome.execution))
      outcome = yield* answered({ action: "cancel" })
      continue
    }
    // Whoever leaves a question open has left the execution: nothing else would ever end it.
    const abandon = Effect.ignore(backend.cancel(id))
    outcome = yield* ask(interaction.request).pipe(
      Effect.provideService(Prompt.Theme, Prompt.makeTheme({ colors: stderr.color })),
      Effect.onInterrupt(() => abandon),
      Effect.catchTag("QuitError", () =>
        abandon.pipe(
          Effect.andThen(Output.notice(`\nThe question was left open, so execution ${id} was cancelled.`)),
          Effect.andThen(Effect.interrupt)
        )
      ),
      Effect.flatMap(answered),
      // An answer that does not fit changes nothing, so the question is put again.
      Effect.catchTag("UsageError", (error) => Effect.as(Output.notice(error.message), outcome))
    )
  }
  return outcome
})
