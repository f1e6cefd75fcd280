/**
 * One `tools/call`: from what starts or resumes an execution to the answer for the client, with the questions in
 * between.
 *
 * ## How a person is asked
 *
 * The engine stops an execution when nothing goes on in it but waiting for a person, and says which questions wait.
 * What then happens depends on the client of the request:
 *
 * - **It can be asked, legacy era.** Each question goes to the client as `elicitation/create` while the call is still
 *   open, all at once, without a time limit. Each answer is handed to the engine as it comes; what the engine says next
 *   may bring more questions, which are asked beside those still open. When the execution ends early, the client is
 *   told to drop the questions left.
 * - **It can be asked, modern era.** A server cannot send requests there: the call is answered `input_required` with
 *   the questions, the client asks its user and sends the call again with the answers. The execution waits in the
 *   engine meanwhile, and is remembered in {@link Asked}; the state that travels through the client is the execution's
 *   id, and means nothing unless this host has asked that client's questions about it and waits for the answers.
 *   Clients give up after some rounds, so before that the last resort takes over.
 * - **It cannot be asked**, or not this question (a page, and the client opens none), or asking failed, or its answer
 *   was refused: the call is answered with the paused execution, and the tool `resume` brings the answer.
 *
 * ## Who goes away
 *
 * A request that is cancelled, or whose connection ends, leaves its execution, and so does the connection those that are in
 * {@link Asked} when it ends: `Waiting` says which of them are kept. One whose paused result was handed out is left to the engine.
 */
import type {
  ExecutionEngine,
  ExecutionOutcome,
  InteractionAnswer,
  PausedExecution,
  PendingInteraction
} from "@executor/execution"
import type { ElicitationAction, ExecutionId, ExecutionInteractionId } from "@executor/sdk"
import {
  type CallToolResult,
  inputRequired,
  type InputRequiredResult,
  inputResponse,
  type ServerContext
} from "@modelcontextprotocol/server"
import { Deferred, Effect, Option, Schema } from "effect"
import type { Caller } from "./Caller.ts"
import * as Question from "./Question.ts"
import * as ToolResult from "./ToolResult.ts"
import * as Waiting from "./Waiting.ts"
import * as Watch from "./Watch.ts"

/**
 * Rounds of `input_required` for one call. Clients stop at 10 by default and would then leave the execution waiting
 * unseen; this leaves them room.
 */
export const maxInlineRounds = 8

/** A person may think for as long as they like; this is the longest time a timer can run (24 days). */
const askTimeoutMs = 2 ** 31 - 1

/** Executions whose questions are with a modern client, by id. */
export type Asked = Map<
  ExecutionId,
  {
    readonly execution: PausedExecution
    readonly rounds: number
    readonly refusals: Refusals
    readonly clientName: string | undefined
  }
>

type Refusals = Map<ExecutionInteractionId, string>

/** One call of a tool. */
export interface Exchange {
  readonly engine: ExecutionEngine
  readonly asked: Asked
  readonly waiting: Waiting.Waiting
  readonly caller: Caller
  readonly context: ServerContext
}

type Answer = Omit<InteractionAnswer, "interactionId">

/** An error of ours or of the engine: all have a message for the reader. */
interface Refusal {
  readonly message: string
}

/** The client could not ask its user. */
class AskFailed extends Schema.TaggedError<AskFailed>()("AskFailed", { message: Schema.String }) {}

const toAnswer = (
  interaction: PendingInteraction,
  action: ElicitationAction,
  content: { readonly [key: string]: unknown } | undefined
): Answer => ({
  action,
  resolvedBy: "mcp",
  ...(interaction.request.kind === "form" && action === "accept" ? { content: content ?? {} } : {})
})

/** Asks a legacy client, and withdraws the question when interrupted. */
const elicit = ({ caller, context }: Exchange, interaction: PendingInteraction) =>
  Option.map(Question.toElicitation(interaction, caller), (params) =>
    Effect.tryPromise({
      try: (signal) =>
        context.mcpReq.send(
          { method: "elicitation/create", params: { ...params } },
          { signal, timeout: askTimeoutMs, relatedRequestId: context.mcpReq.id }
        ),
      catch: (cause) => new AskFailed({ message: cause instanceof Error ? cause.message : "the client gave no answer" })
    }).pipe(Effect.map(({ action, content }) => toAnswer(interaction, action, content)))
  )

/** Reads the answer that a modern client sent along, if there is one for this question. */
const received = ({ context }: Exchange, interaction: PendingInteraction) => {
  const response = inputResponse(context.mcpReq.inputResponses, interaction.id)
  return response.kind === "elicit"
    ? Option.some(Effect.succeed(toAnswer(interaction, response.action, response.content)))
    : Option.none()
}

/**
 * Hands answers to the engine until the execution has ended or no question is left that `answer` has something for.
 * Each question is answered by a fiber of its own, and each outcome that comes back is looked through for further
 * questions.
 */
const answerQuestions = Effect.fnUntraced(function* (
  engine: ExecutionEngine,
  first: ExecutionOutcome,
  answer: (interaction: PendingInteraction) => Option.Option<Effect.Effect<Answer, AskFailed>>,
  refusals: Refusals
) {
  if (first.status !== "paused") return first
  const { id } = first.execution
  const scope = yield* Effect.scope
  const last = yield* Deferred.make<ExecutionOutcome>()
  const taken = new Set<ExecutionInteractionId>()
  let open = 0
  let current: ExecutionOutcome = first

  const proceed: (outcome: ExecutionOutcome) => Effect.Effect<void> = Effect.fnUntraced(function* (outcome) {
    current = outcome
    if (outcome.status === "paused") {
      for (const interaction of outcome.execution.interactions) {
        if (taken.has(interaction.id) || refusals.has(interaction.id)) continue
        const answering = answer(interaction)
        if (Option.isNone(answering)) continue
        taken.add(interaction.id)
        open++
        yield* Effect.forkIn(settle(interaction, answering.value), scope)
      }
      if (open > 0) return
    }
    yield* Deferred.succeed(last, outcome)
  })

  const settle = (interaction: PendingInteraction, answering: Effect.Effect<Answer, AskFailed>): Effect.Effect<void> =>
    answering.pipe(
      Effect.flatMap((given) => engine.resume(id, { ...given, interactionId: interaction.id })),
      Effect.matchEffect({
        onSuccess: (outcome) => {
          open--
          return proceed(outcome)
        },
        onFailure: (error: Refusal) => {
          open--
          refusals.set(interaction.id, error.message)
          return proceed(current)
        }
      }),
      Effect.catchCause((cause) => Deferred.failCause(last, cause))
    )

  yield* proceed(first)
  return yield* Deferred.await(last)
}, Effect.scoped)

/** The answer to the client: the result, the questions for a modern client, or the paused execution. */
const conclude = (
  { asked, caller }: Exchange,
  outcome: ExecutionOutcome,
  rounds: number,
  refusals: Refusals
): CallToolResult | InputRequiredResult => {
  if (outcome.status !== "paused") return ToolResult.finished(outcome)
  const { execution } = outcome
  if (caller.era === "modern" && rounds < maxInlineRounds) {
    const questions = execution.interactions.flatMap((interaction) =>
      refusals.has(interaction.id)
        ? []
        : Option.match(Question.toElicitation(interaction, caller), {
            onNone: () => [],
            onSome: (params) => [
              [
                interaction.id,
                params.mode === "url"
                  ? inputRequired.elicitUrl({ message: params.message, url: params.url })
                  : inputRequired.elicit(params)
              ] as const
            ]
          })
    )
    if (questions.length > 0) {
      const clientName = Waiting.nameOfCaller(caller)
      asked.set(execution.id, { execution, rounds: rounds + 1, refusals, clientName })
      return inputRequired({ inputRequests: Object.fromEntries(questions), requestState: execution.id })
    }
  }
  return ToolResult.paused(execution, refusals)
}

/**
 * Runs what starts or resumes an execution, and sees to its questions. Interrupted, it leaves the execution.
 */
const run = <E>(
  exchange: Exchange,
  begin: (watch: Watch.Watch) => Effect.Effect<ExecutionOutcome, E>,
  options: {
    readonly known?: Watch.Known | undefined
    readonly rounds?: number | undefined
    readonly refusals?: Refusals | undefined
    readonly answer: (interaction: PendingInteraction) => Option.Option<Effect.Effect<Answer, AskFailed>>
  }
): Effect.Effect<CallToolResult | InputRequiredResult, E> => {
  const { caller, context, engine, waiting } = exchange
  const refusals = options.refusals ?? new Map<ExecutionInteractionId, string>()
  return Watch.make(engine, context, options.known).pipe(
    Effect.flatMap((watch) =>
      begin(watch).pipe(
        Effect.flatMap((outcome) => answerQuestions(engine, outcome, options.answer, refusals)),
        Effect.map((outcome) => conclude(exchange, outcome, options.rounds ?? 0, refusals)),
        Effect.onInterrupt(() => {
          const executionId = watch.executionId()
          if (executionId === undefined) return Effect.void
          return waiting.leave(executionId, Waiting.nameOfCaller(caller))
        })
      )
    ),
    Effect.scoped
  )
}

const askLegacy = (exchange: Exchange) => (interaction: PendingInteraction) =>
  exchange.caller.era === "legacy" ? elicit(exchange, interaction) : Option.none()

/** Runs code. */
export const execute = (exchange: Exchange, code: string, idempotencyKey: string | undefined) =>
  run(
    exchange,
    ({ onStart }) =>
      exchange.engine.executeWithPause(code, { trigger: exchange.caller.trigger, idempotencyKey, onStart }),
    { answer: askLegacy(exchange) }
  )

/** Answers a question of an execution that waits. */
export const resume = (exchange: Exchange, executionId: ExecutionId, answer: InteractionAnswer) =>
  run(exchange, () => exchange.engine.resume(executionId, { ...answer, resolvedBy: "mcp" }), {
    known: { executionId, toolCallCount: 0, interactions: [] },
    answer: askLegacy(exchange)
  })

/**
 * Goes on with a call that was answered `input_required`, with the answers that came; what is still open is asked
 * again. `undefined` when no questions about this execution are with a client.
 */
export const proceed = (exchange: Exchange, executionId: ExecutionId) => {
  const waiting = exchange.asked.get(executionId)
  if (waiting === undefined) return undefined
  exchange.asked.delete(executionId)
  const { execution, rounds, refusals } = waiting
  return run(exchange, () => Effect.succeed<ExecutionOutcome>({ status: "paused", execution }), {
    known: { executionId, toolCallCount: execution.toolCallCount, interactions: execution.interactions },
    rounds,
    refusals,
    answer: (interaction) => received(exchange, interaction)
  })
}

/** Leaves every execution whose questions are with a client that is gone. */
export const abandon = (waiting: Waiting.Waiting, asked: Asked): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = Array.from(asked, ([id, { clientName }]) => waiting.leave(id, clientName))
    asked.clear()
    return Effect.all(left, { concurrency: "unbounded", discard: true })
  })
