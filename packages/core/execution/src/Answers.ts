/**
 * Whether an answer is one, and fits the question it is given to.
 *
 * Agreeing to a form takes content that fits the form's schema, once the form's defaults stand in for what it leaves out. Every other answer takes none: content that nobody would read is
 * a mistake of the one who sent it, and is refused rather than dropped. An empty object counts as none.
 */
import { encodeJson, Limits } from "@executor/kernel"
import { type ElicitationRequest, ElicitationResponse, elicitationContentIssues, withFormDefaults } from "@executor/sdk"
import { Effect, Predicate, Schema } from "effect"
import * as InDoubt from "./InDoubt.ts"

/** The content of an answer, in bytes as JSON: it may hold the result of a call. */
export const maxContentBytes = Limits.defaults.toolResultBytes

/** Whoever answers, as it is recorded: an address or a name. */
export const maxResolvedByLength = 255

const isResponse = Schema.is(ElicitationResponse)

const notAnAnswer =
  "An answer is `{ action, content? }`, where the action is `accept`, `decline` or `cancel` and the content an object."

/** Whether it is an object as JSON has them: a `Date` has no properties either, but is not empty. */
const isPlain = (value: unknown): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** What is wrong with an answer whatever it is given to: it may come from a program without types. */
export const shapeProblem = (answer: unknown): string | undefined => {
  if (!Predicate.isObject(answer)) return notAnAnswer
  const { action, anyBuild, content, interactionId, resolvedBy } = answer as Record<string, unknown>
  if (!isResponse(content === undefined ? { action } : { action, content })) return notAnAnswer
  if (content !== undefined && !isPlain(content)) return notAnAnswer
  if (interactionId !== undefined && typeof interactionId !== "string") return "`interactionId` must be a string."
  if (anyBuild !== undefined && typeof anyBuild !== "boolean") return "`anyBuild` must be true or false."
  const isName = typeof resolvedBy === "string" && resolvedBy.length <= maxResolvedByLength
  return resolvedBy === undefined || isName
    ? undefined
    : `\`resolvedBy\` must be a text of at most ${maxResolvedByLength} characters.`
}

/**
 * The answer as the question takes it, with the defaults of its form; fails with the fault of it, for the person who gave it.
 */
export const acceptAnswer = Effect.fnUntraced(function* (
  request: ElicitationRequest,
  given: ElicitationResponse,
  purpose: string
): Effect.fn.Return<ElicitationResponse, string> {
  if (!isResponse(given)) return yield* Effect.fail(notAnAnswer)
  const response = withFormDefaults(request, given)
  const problem = yield* answerProblem(request, response, purpose)
  return problem === undefined ? response : yield* Effect.fail(problem)
})

const answerProblem = Effect.fnUntraced(function* (
  request: ElicitationRequest,
  response: ElicitationResponse,
  purpose: string
): Effect.fn.Return<string | undefined> {
  const { action, content } = response
  if (content === undefined || Object.keys(content).length === 0) {
    return request.kind === "form" && action === "accept" ? yield* formProblem(request, response, purpose) : undefined
  }
  if (request.kind !== "form" || action !== "accept") {
    const why =
      request.kind === "form"
        ? `\`${action}\` gives no content`
        : `a question of kind \`${request.kind}\` asks for none`
    return `The answer has a \`content\`, but ${why}: leave it out. The question still waits.`
  }
  const changed = changedNumber(content)
  if (changed !== undefined) {
    return `\`content.${changed}\` is a number of more digits than an answer can carry unchanged: round it. The question still waits.`
  }
  const limit = { name: "toolResultBytes", bytes: maxContentBytes } as const
  const unfit = yield* encodeJson(content, { root: "content", limit }).pipe(
    Effect.as(undefined),
    Effect.catchTag("LimitExceeded", () => Effect.succeed(`it is larger than ${maxContentBytes} bytes as JSON`)),
    Effect.catchTag("UnserializableValue", ({ message }) => Effect.succeed(message))
  )
  if (unfit !== undefined) return `The \`content\` of the answer cannot be kept: ${unfit}. The question still waits.`
  return yield* formProblem(request, response, purpose)
})

/** The field of a number that may have been changed on its way, or would be on the next. The content of a form is flat. */
const changedNumber = (content: Readonly<Record<string, unknown>>): string | undefined =>
  Object.keys(content).find((field) =>
    [content[field]]
      .flat()
      .some(
        (value) =>
          typeof value === "bigint" ||
          JSON.isRawJSON(value) ||
          (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value))
      )
  )

const formProblem = Effect.fnUntraced(function* (
  { requestedSchema }: ElicitationRequest,
  response: ElicitationResponse,
  purpose: string
): Effect.fn.Return<string | undefined> {
  const issues = yield* elicitationContentIssues(requestedSchema, response.content ?? {})
  if (issues.length === 0) return purpose === InDoubt.inDoubtPurpose ? InDoubt.answerProblem(response) : undefined
  const described = issues.map(({ field, message }) => `${field === "" ? "content" : `content.${field}`} ${message}`)
  return `The answer does not fit the form: ${described.join("; ")}. The question still waits.`
})
