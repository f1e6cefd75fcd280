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
 * An execution that is continued asks its questions again. One that was recorded is not asked twice: its answer is given at once, or
 * it goes on waiting under the same id. An answer may also be written by another process, which the holder of the lease finds from time
 * to time (`answeredElsewhere`); whichever answer is in the store first counts.
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
  type ElicitationResponse,
  type ExecutionId,
  type ExecutionInteraction,
  ExecutionInteractionId,
  InteractionAlreadyResolved,
  InteractionNotFound
} from "@executor/sdk"
import { Deferred, Effect } from "effect"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import { acceptAnswer } from "./Answers.ts"
import type { ApprovalMatcher } from "./ApprovalPatterns.ts"
import type { Events } from "./Events.ts"
import {
  AnswerInvalid,
  ExecutionNotPaused,
  type InteractionAnswer,
  type PendingInteraction
} from "./ExecutionEngine.ts"
import { inDoubtPurpose } from "./InDoubt.ts"
import type { Call } from "./Journal.ts"
import type { Progress } from "./Progress.ts"
import type { Gates, Purpose } from "./RecordedQuestions.ts"
import * as RecordedQuestions from "./RecordedQuestions.ts"
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
  /** Waits for its turn to go on after an answer. */
  readonly goOn: Effect.Effect<void>
  readonly now: () => number
  /** What the journal has, where the execution is continued; oldest first. */
  readonly recorded: ReadonlyArray<ExecutionInteraction>
}

/** The interactions of one execution. */
export interface Interactions {
  /** What a call asks through. */
  readonly handlerFor: (call: Call) => ElicitationHandler
  /** Asks what became of a call in doubt. */
  readonly askInDoubt: (call: Call, request: ElicitationRequest) => Effect.Effect<ElicitationResponse>
  readonly gatesOf: (call: Call) => Gates
  /** Whether the call does nothing but wait for an answer. */
  readonly isAsking: (call: Call) => boolean
  /** Oldest first. */
  readonly pending: () => ReadonlyArray<PendingInteraction>
  readonly answer: (
    answer: InteractionAnswer
  ) => Effect.Effect<void, ExecutionNotPaused | InteractionNotFound | InteractionAlreadyResolved | AnswerInvalid>
  /** Takes an answer that another process has written. */
  readonly answeredElsewhere: (interaction: ExecutionInteraction) => void
  /** Cancels what still waits for an answer. */
  readonly close: Effect.Effect<void>
  /** From now on nothing is cancelled: the questions wait for whoever goes on with the execution. */
  readonly detach: () => void
}

interface Question extends PendingInteraction {
  readonly call: Call
  readonly purpose: Purpose
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
  /** Calls that were approved here. When such a call is made again, nobody is asked again. */
  const approved = new Set<Call>()
  let lastAnswered: Question | undefined
  let detached = false
  const recorded = RecordedQuestions.make(options.recorded)

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

  /** Tells the answer to the call. */
  const give = (question: Question, response: ElicitationResponse) => {
    const { action } = response
    const { call, id, purpose } = question
    recorded.gatePassed(call, purpose)
    events.publish({ _tag: "InteractionResolved", executionId, interactionId: id, action, at: now() })
    Deferred.doneUnsafe(question.answered, Effect.succeed(response))
  }

  /** Writes an answer and gives it. Fails where another process has answered first, whose answer is given then. */
  const claim = (question: Question, response: ElicitationResponse, resolvedBy: string | null) => {
    end(question, "resolved", resolvedBy)
    lastAnswered = question
    const written = recorder.answered(question.id, resolutionOf(response, resolvedBy, question.purpose))
    return Effect.uninterruptible(
      Effect.flatMap(written, (first): Effect.Effect<void, InteractionAlreadyResolved> => {
        give(question, first === undefined ? response : responseOf(first))
        if (first === undefined) return Effect.void
        question.resolvedBy = first.resolvedBy
        return alreadyResolved(question)
      })
    )
  }

  const cancel = (question: Question) =>
    Effect.suspend(() => {
      if (question.status !== "pending") return Effect.void
      if (detached) return Effect.void
      end(question, "cancelled", null)
      return recorder.answered(question.id, { status: "cancelled", responseJson: null, resolvedBy: null })
    })

  const ask = Effect.fnUntraced(function* (call: Call, request: ElicitationRequest, purpose: Purpose) {
    const payloadJson = yield* payloadOf(request)
    const known = recorded.take(call, purpose, payloadJson)
    if (known?.status === "resolved") return responseOf(known)
    const id = known?.id ?? ExecutionInteractionId.make(uuidV7Unsafe())
    const createdAt = known?.createdAt ?? now()
    if (known === undefined) {
      yield* recorder.asked({ id, toolCallId: call.id, kind: request.kind, purpose, payloadJson, createdAt })
    }
    const question: Question = {
      id,
      request,
      createdAt,
      call,
      purpose,
      answered: Deferred.makeUnsafe(),
      status: "pending",
      resolvedBy: null
    }
    questions.set(id, question)
    open.add(question)
    events.publish({
      _tag: "InteractionRequested",
      executionId,
      interaction: { id, request, createdAt },
      at: createdAt
    })
    progress.questionOpens()
    rests(call)
    const answered = Deferred.await(question.answered)
    const response = yield* Effect.onInterrupt(
      inline === undefined ? answered : Effect.raceFirst(answered, askInline(question, inline)),
      () => cancel(question)
    )
    yield* options.goOn
    return response
  })

  const askInline = Effect.fnUntraced(function* (question: Question, { answeredBy, handler }: InlineHandler) {
    let request = question.request
    for (let asked = 1; asked <= maxAsks; asked++) {
      const exit = yield* Effect.exit(Effect.suspend(() => handler(request)))
      if (exit._tag === "Failure") {
        yield* Effect.logError(`The elicitation handler died on question ${question.id}`, exit.cause)
        break
      }
      const accepted = yield* Effect.result(acceptAnswer(question.request, exit.value, question.purpose))
      if (accepted._tag === "Success") {
        if (question.status === "pending") yield* Effect.ignore(claim(question, accepted.success, answeredBy))
        return yield* Deferred.await(question.answered)
      }
      request = { ...question.request, message: `${accepted.failure}\n${question.request.message}` }
    }
    if (question.status === "pending") yield* Effect.ignore(claim(question, { action: "cancel" }, null))
    return yield* Deferred.await(question.answered)
  })

  /** Takes an answer that is written, for a question that is asked here or lies ahead. */
  const take = (interaction: ExecutionInteraction) => {
    const question = questions.get(interaction.id)
    if (question?.status === "pending" && interaction.status !== "pending") {
      end(question, interaction.status, interaction.resolvedBy)
      give(question, responseOf(interaction))
    } else if (interaction.status !== "pending" && recorded.answer(interaction)) {
      const { action } = responseOf(interaction)
      events.publish({ _tag: "InteractionResolved", executionId, interactionId: interaction.id, action, at: now() })
    }
  }

  const accept = (request: ElicitationRequest, given: ElicitationResponse, purpose: string) =>
    Effect.mapError(acceptAnswer(request, given, purpose), (message) => new AnswerInvalid({ message, executionId }))

  /** Answers a question that the code has yet to come to again. */
  const answerAhead = Effect.fnUntraced(function* (
    interaction: ExecutionInteraction,
    given: ElicitationResponse,
    resolvedBy: string | null
  ) {
    const { id, payloadJson, purpose, status } = interaction
    if (status !== "pending") return yield* alreadyResolved(interaction)
    const response = yield* accept(JSON.parse(payloadJson) as ElicitationRequest, given, purpose)
    const resolution = resolutionOf(response, resolvedBy, purpose)
    const first = yield* recorder.answered(id, resolution)
    take(first ?? { ...interaction, ...resolution })
    if (first !== undefined) return yield* alreadyResolved(first)
  })

  /** What can be answered: a question that is asked here, or one of the journal that the code has yet to come to again. */
  const find = (
    interactionId: ExecutionInteractionId | undefined
  ): Effect.Effect<Question | ExecutionInteraction, InteractionNotFound | ExecutionNotPaused> => {
    if (interactionId !== undefined) {
      const question = questions.get(interactionId) ?? recorded.get(interactionId)
      if (question !== undefined) return Effect.succeed(question)
      const message = `Execution ${executionId} has asked no question ${interactionId}. Get the execution to see what it asks.`
      return Effect.fail(new InteractionNotFound({ message, interactionId }))
    }
    const [ahead] = recorded.ahead()
    const [oldest = ahead ?? lastAnswered ?? recorded.lastAnswered()] = open
    if (oldest !== undefined) return Effect.succeed(oldest)
    const message = `Execution ${executionId} is running and has asked nothing. Wait until it asks, or until it ends.`
    return Effect.fail(new ExecutionNotPaused({ message, executionId }))
  }

  return {
    handlerFor: (call) => (request) => {
      if (request.kind !== "approval") return ask(call, request, "tool_input")
      if (approved.has(call) || options.granted(call.path)) return Effect.succeed({ action: "accept" })
      return Effect.map(ask(call, request, "tool_approval"), (response) => {
        if (response.action === "accept") approved.add(call)
        return response
      })
    },
    askInDoubt: (call, request) => ask(call, request, inDoubtPurpose),
    gatesOf: recorded.gatesOf,
    answeredElsewhere: take,
    detach: () => {
      detached = true
    },
    isAsking: (call) => askingCalls.has(call),
    pending: () => Array.from(open, ({ createdAt, id, request }) => ({ id, request, createdAt })),
    close: Effect.suspend(() => {
      const unasked = recorded.ahead()
      const cancelled = { status: "cancelled", responseJson: null, resolvedBy: null } as const
      return Effect.all([...Array.from(open, cancel), ...unasked.map(({ id }) => recorder.answered(id, cancelled))], {
        concurrency: "unbounded",
        discard: true
      })
    }),
    answer: Effect.fnUntraced(function* (answer) {
      const question = yield* find(answer.interactionId)
      const { action, content } = answer
      const given: ElicitationResponse = content === undefined ? { action } : { action, content }
      if (!("answered" in question)) return yield* answerAhead(question, given, answer.resolvedBy ?? null)
      const response = question.status === "pending" ? yield* accept(question.request, given, question.purpose) : given
      if (question.status !== "pending") return yield* alreadyResolved(question)
      return yield* claim(question, response, answer.resolvedBy ?? null)
    })
  }
}

/** The answer of a record. A question that was cancelled is answered `cancel`. */
export const responseOf = ({ responseJson, responsePrivateJson }: ExecutionInteraction): ElicitationResponse => {
  if (responseJson === null) return { action: "cancel" }
  const { action } = JSON.parse(responseJson) as Pick<ElicitationResponse, "action">
  return responsePrivateJson === null
    ? { action }
    : { action, ...(JSON.parse(responsePrivateJson) as Pick<ElicitationResponse, "content">) }
}

/** An answer as it is recorded. What was filled in is kept from readers, except what a person said of a call in doubt. */
export const resolutionOf = ({ action, content }: ElicitationResponse, resolvedBy: string | null, purpose: string) => ({
  status: "resolved" as const,
  responseJson: JSON.stringify(
    purpose === "in_doubt" && content !== undefined ? { action, outcome: content["outcome"] } : { action }
  ),
  responsePrivateJson: content === undefined ? null : JSON.stringify({ content }),
  resolvedBy
})

/** A question that needs no answer any more. */
export const alreadyResolved = ({
  id,
  resolvedBy,
  status
}: Pick<ExecutionInteraction, "id" | "resolvedBy" | "status">) =>
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
