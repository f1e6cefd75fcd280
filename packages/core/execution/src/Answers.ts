/**
 * Whether an answer fits the question it is given to.
 *
 * Agreeing to a form takes content that fits the form's schema. Every other answer takes none: content that nobody would read is
 * a mistake of the one who sent it, and is refused rather than dropped. An empty object counts as none.
 */
import { type ElicitationRequest, ElicitationResponse, elicitationContentIssues } from "@executor/sdk"
import { Effect, Schema } from "effect"
import * as InDoubt from "./InDoubt.ts"

const isResponse = Schema.is(ElicitationResponse)

const notAnAnswer =
  "An answer is `{ action, content? }`, where the action is `accept`, `decline` or `cancel` and the content an object."

/** What is wrong with the answer, for whoever gave it; `undefined` if nothing is. */
export const answerProblem = (
  request: ElicitationRequest,
  response: ElicitationResponse,
  purpose: string
): Effect.Effect<string | undefined> => {
  if (!isResponse(response)) return Effect.succeed(notAnAnswer)
  const { action, content } = response
  if (request.kind === "form" && action === "accept") {
    return Effect.map(elicitationContentIssues(request.requestedSchema, content ?? {}), (issues) =>
      issues.length === 0
        ? purpose === InDoubt.inDoubtPurpose
          ? InDoubt.answerProblem(response)
          : undefined
        : `The answer does not fit the form: ${issues.map(({ field, message }) => `${field === "" ? "content" : `content.${field}`} ${message}`).join("; ")}. The question still waits.`
    )
  }
  if (content === undefined || Object.keys(content).length === 0) return Effect.succeed(undefined)
  const why =
    request.kind === "form" ? `\`${action}\` gives no content` : `a question of kind \`${request.kind}\` asks for none`
  return Effect.succeed(`The answer has a \`content\`, but ${why}: leave it out. The question still waits.`)
}
