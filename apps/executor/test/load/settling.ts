/**
 * Waits until nothing is under way on a server, and answers meanwhile what it asks about calls that a crash left in doubt.
 */
import { Effect, Schedule } from "effect"
import { existsSync, readFileSync } from "node:fs"

const answersAtOnce = 8

/** The lines of a file, none if it is not there. */
export const linesOf = (file: string): ReadonlyArray<string> =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : []

/** Asks the server; what it answers is JSON. */
export const ask = <A>(url: string, path: string, body?: object): Effect.Effect<A> =>
  Effect.promise(async () => {
    const post = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
    const response = await fetch(`${url}${path}`, body === undefined ? {} : post)
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as A
  })

interface Question {
  readonly interaction: { readonly id: string; readonly purpose: string; readonly toolCallId: string }
  readonly execution: { readonly id: string }
}

/** A person looks whether the call left its trace, and says so. */
const answer = (url: string, happened: ReadonlySet<string>, { execution, interaction }: Question) =>
  interaction.purpose === "in_doubt"
    ? ask(url, `/executions/${execution.id}/resume`, {
        action: "accept",
        interactionId: interaction.id,
        content: { outcome: happened.has(interaction.toolCallId) ? "happened" : "did_not_happen" }
      })
    : Effect.die(new Error(`Execution ${execution.id} asks for "${interaction.purpose}", which was granted.`))

/** Answers all that waits, and says how much it was. */
export const answerDoubts = Effect.fnUntraced(function* (url: string, effects: string) {
  const { interactions } = yield* ask<{ interactions: ReadonlyArray<Question> }>(url, "/interactions")
  const happened = new Set(linesOf(effects))
  yield* Effect.forEach(interactions, (question) => answer(url, happened, question), { concurrency: answersAtOnce })
  return interactions.length
})

/** Whether nothing is under way, and nothing waits. */
const isQuiet = (url: string) =>
  Effect.map(
    ask<{ executions: ReadonlyArray<unknown> }>(
      url,
      "/executions?status=pending,running,waiting_for_interaction&limit=1"
    ),
    ({ executions }) => executions.length === 0
  )

/** Does `meanwhile` again and again until nothing is under way; `false` if that takes longer than `within`. */
export const untilQuiet = (url: string, within: `${number} seconds`, meanwhile: Effect.Effect<unknown> = Effect.void) =>
  Effect.andThen(meanwhile, isQuiet(url)).pipe(
    Effect.repeat({ until: (quiet) => quiet, schedule: Schedule.spaced("250 millis") }),
    Effect.timeoutOrElse({ duration: within, orElse: () => Effect.succeed(false) })
  )

/** Waits until the processes whose ids a file names are gone: till then, what they were sent may still happen. */
export const untilGone = (processes: string) =>
  Effect.sync(() =>
    linesOf(processes).every((pid) => {
      try {
        process.kill(Number(pid), 0)
        return false
      } catch {
        return true
      }
    })
  ).pipe(Effect.repeat({ until: (gone) => gone, schedule: Schedule.spaced("20 millis") }))
