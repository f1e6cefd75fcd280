/**
 * The questions of one execution to people, and their answers.
 *
 * ## The protocol
 *
 * Each call has a handler of its own, so a question knows its call, and the call waits on that very question. A question is
 * `pending` from the moment its record is written. It ends once, by whichever comes first:
 *
 * - an answer (`resolved`): from `resume`, or from the host's inline handler. The one that finds it pending claims it in one
 *   synchronous step, writes the answer, and then wakes the call; any other gets an error and changes nothing.
 * - nobody needs it any more (`cancelled`): its call was interrupted, or the execution ended.
 *
 * Approvals that were granted beforehand are no questions: nobody is asked and nothing is recorded.
 *
 * Inline handlers run concurrently, one for each question. One that answers with what the question did not ask for is asked
 * again with the reason, up to {@link maxAsks} times; then, or when it dies, the question is answered `cancel`.
 */
import { encodeJson } from "@executor/kernel"
import {
  type ElicitationHandler,
  type ElicitationRequest,
  ElicitationResponse,
  type ExecutionId,
  ExecutionInteractionId,
  InteractionAlreadyResolved,
  InteractionNotFound
} from "@executor/sdk"
import { Deferred, Effect, Schema } from "effect"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import { answerProblem } from "./Answers.ts"
import type { ApprovalMatcher } from "./ApprovalPatterns.ts"
import type { Events } from "./Events.ts"
import {
  AnswerInvalid,
  ExecutionNotPaused,
  type InteractionAnswer,
  type PendingInteraction
} from "./ExecutionEngine.ts"
import type { Call } from "./Journal.ts"
import type { Progress } from "./Progress.ts"
import type { Recorder } from "./Recorder.ts"

/** How often an inline handler is asked the same question: a person mistypes, a program repeats itself. */
export const maxAsks = 3

/** Asks in the host. */
export interface InlineHandler {
  readonly handler: ElicitationHandler
  /** Who answers through it, as recorded; `null` where nobody does. */
  readonly answeredBy: string | null
}

/** What interactions are made with. */
export interface InteractionsOptions {
  readonly executionId: ExecutionId
  readonly recorder: Recorder
  readonly events: Events
  readonly progress: Progress
  readonly granted: ApprovalMatcher
  /** Asks in the host; without one, questions wait for `answer`. */
  readonly inline: InlineHandler | undefined
  readonly now: () => number
}

/** The interactions of one execution. */
export interface Interactions {
  /** What a call asks through. */
  readonly handlerFor: (call: Call) => ElicitationHandler
  /** Whether the call does nothing but wait for an answer. */
  readonly isAsking: (call: Call) => boolean
  /** Oldest first. */
  readonly pending: () => ReadonlyArray<PendingInteraction>
  readonly answer: (
    answer: InteractionAnswer
  ) => Effect.Effect<void, ExecutionNotPaused | InteractionNotFound | InteractionAlreadyResolved | AnswerInvalid>
  /** Cancels what still waits for an answer. */
  readonly close: Effect.Effect<void>
}

interface Question extends PendingInteraction {
  readonly call: Call
  readonly answered: Deferred.Deferred<ElicitationResponse>
  status: "pending" | "resolved" | "cancelled"
  resolvedBy: string | null
}

/** Makes the interactions of an execution that is about to start. */
export const make = (options: InteractionsOptions): Interactions => {
  const { events, executionId, inline, now, progress, recorder } = options
  const questions = new Map<string, Question>()
  const open = new Set<Question>()
  const askingCalls = new Map<Call, number>()
  let lastAnswered: Question | undefined

  const rests = (call: Call) => {
    const asking = askingCalls.get(call) ?? 0
    askingCalls.set(call, asking + 1)
    if (asking === 0) progress.callRests()
  }

  const goesOn = (call: Call) => {
    const asking = (askingCalls.get(call) ?? 0) - 1
    if (asking > 0) return askingCalls.set(call, asking)
    askingCalls.delete(call)
    return progress.callGoesOn()
  }

  const end = (question: Question, status: "resolved" | "cancelled", resolvedBy: string | null) => {
    question.status = status
    question.resolvedBy = resolvedBy
    open.delete(question)
    goesOn(question.call)
    progress.questionCloses()
  }

  const claim = (question: Question, response: ElicitationResponse, resolvedBy: string | null) => {
    end(question, "resolved", resolvedBy)
    lastAnswered = question
    const recorded = recorder.answered(question.id, {
      status: "resolved",
      responseJson: JSON.stringify({ action: response.action }),
      responsePrivateJson: response.content === undefined ? null : JSON.stringify({ content: response.content }),
      resolvedBy
    })
    const { action } = response
    return Effect.uninterruptible(
      Effect.map(recorded, () => {
        events.publish({ _tag: "InteractionResolved", executionId, interactionId: question.id, action, at: now() })
        Deferred.doneUnsafe(question.answered, Effect.succeed(response))
      })
    )
  }

  const cancel = (question: Question) =>
    Effect.suspend(() => {
      if (question.status !== "pending") return Effect.void
      end(question, "cancelled", null)
      return recorder.answered(question.id, { status: "cancelled", responseJson: null, resolvedBy: null })
    })

  const ask = Effect.fnUntraced(function* (call: Call, request: ElicitationRequest) {
    const id = ExecutionInteractionId.make(uuidV7Unsafe())
    yield* recorder.asked({
      id,
      toolCallId: call.id,
      kind: request.kind,
      purpose: request.kind === "approval" ? "tool_approval" : "tool_input",
      payloadJson: yield* payloadOf(request)
    })
    const question: Question = {
      id,
      request,
      createdAt: now(),
      call,
      answered: Deferred.makeUnsafe(),
      status: "pending",
      resolvedBy: null
    }
    questions.set(id, question)
    open.add(question)
    const { createdAt } = question
    events.publish({
      _tag: "InteractionRequested",
      executionId,
      interaction: { id, request, createdAt },
      at: createdAt
    })
    progress.questionOpens()
    rests(call)
    const answered = Deferred.await(question.answered)
    return yield* Effect.onInterrupt(
      inline === undefined ? answered : Effect.raceFirst(answered, askInline(question, inline)),
      () => cancel(question)
    )
  })

  const askInline = Effect.fnUntraced(function* (question: Question, { answeredBy, handler }: InlineHandler) {
    let request = question.request
    for (let asked = 1; asked <= maxAsks; asked++) {
      const exit = yield* Effect.exit(Effect.suspend(() => handler(request)))
      if (exit._tag === "Failure") {
        yield* Effect.logError(`The elicitation handler died on question ${question.id}`, exit.cause)
        break
      }
      const decoded = decodeResponse(exit.value)
      const problem = decoded._tag === "Success" ? yield* answerProblem(question.request, decoded.value) : notAnAnswer
      if (problem === undefined && decoded._tag === "Success") {
        if (question.status === "pending") yield* claim(question, decoded.value, answeredBy)
        return yield* Deferred.await(question.answered)
      }
      request = { ...question.request, message: `${problem}\n${question.request.message}` }
    }
    if (question.status === "pending") yield* claim(question, { action: "cancel" }, null)
    return yield* Deferred.await(question.answered)
  })

  const find = (
    interactionId: ExecutionInteractionId | undefined
  ): Effect.Effect<Question, InteractionNotFound | ExecutionNotPaused> => {
    if (interactionId !== undefined) {
      const question = questions.get(interactionId)
      if (question !== undefined) return Effect.succeed(question)
      const message = `Execution ${executionId} has asked no question ${interactionId}. Get the execution to see what it asks.`
      return Effect.fail(new InteractionNotFound({ message, interactionId }))
    }
    const [oldest = lastAnswered] = open
    if (oldest !== undefined) return Effect.succeed(oldest)
    const message = `Execution ${executionId} is running and has asked nothing. Wait until it asks, or until it ends.`
    return Effect.fail(new ExecutionNotPaused({ message, executionId }))
  }

  return {
    handlerFor: (call) => (request) => {
      if (request.kind === "approval" && options.granted(call.path)) return Effect.succeed({ action: "accept" })
      return ask(call, request)
    },
    isAsking: (call) => askingCalls.has(call),
    pending: () => Array.from(open, ({ createdAt, id, request }) => ({ id, request, createdAt })),
    close: Effect.suspend(() => Effect.forEach(Array.from(open), cancel, { concurrency: "unbounded", discard: true })),
    answer: Effect.fnUntraced(function* (answer) {
      const question = yield* find(answer.interactionId)
      const { action, content } = answer
      const response: ElicitationResponse = content === undefined ? { action } : { action, content }
      if (question.status === "pending") {
        const isAnswer = decodeResponse(response)._tag === "Success"
        const problem = isAnswer ? yield* answerProblem(question.request, response) : notAnAnswer
        if (problem !== undefined) return yield* new AnswerInvalid({ message: problem, executionId })
      }
      if (question.status !== "pending") return yield* alreadyResolved(question)
      return yield* claim(question, response, answer.resolvedBy ?? null)
    })
  }
}

const decodeResponse = Schema.decodeUnknownExit(ElicitationResponse)

const notAnAnswer =
  "An answer is `{ action, content? }`, where the action is `accept`, `decline` or `cancel` and the content an object."

const alreadyResolved = ({ id, resolvedBy, status }: Question) =>
  new InteractionAlreadyResolved({
    message:
      status === "cancelled"
        ? `Question ${id} needs no answer any more: its call has ended. Nothing was changed.`
        : `Question ${id} was answered already${resolvedBy === null ? "" : ` (${resolvedBy})`}. The first answer counts; nothing was changed.`,
    interactionId: id,
    status,
    resolvedBy
  })

/** A question that a plugin built of things that are no JSON is kept without its arguments and its schema. */
const payloadOf = (request: ElicitationRequest): Effect.Effect<string> => {
  const { kind, message } = request
  return encodeJson(request, { root: "question" }).pipe(
    Effect.map((json) => json ?? "null"),
    Effect.catch(() => Effect.succeed(JSON.stringify({ kind, message })))
  )
}
