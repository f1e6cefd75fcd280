/**
 * One call of a tool, through all rounds of questions.
 *
 * A server of protocol 2026-07-28 answers a call that it has questions about with `input_required`; the call is made again with
 * the answers, until a result comes. One of an older protocol asks by requests of its own meanwhile (see `Questions.ts`), or
 * refuses the call until pages have been visited.
 */
import type { ElicitationRequest, ElicitationResponse, ToolContext } from "@executor/sdk"
import type { Client, ElicitRequestParams, ElicitResult, InputResponses } from "@modelcontextprotocol/client"
import { Effect, Option, Predicate, Schema } from "effect"
import { readRequest, takeAnswer, unreadable } from "./Answers.ts"
import { Delivery } from "./Delivery.ts"
import type { Call } from "./Questions.ts"
import { type CallResult, readResult } from "./Results.ts"

/** The key of `_meta` that carries the idempotency key of a call. */
export const idempotencyMetaKey = "executor/idempotencyKey"

/** Times that one call may come back with more questions. */
const maxQuestionRounds = 20

/** The client's own timeouts are out of the way: a person's thinking time must not count, and ours know about that. */
export const noTimeout = 2_147_483_647

/** The error code of a call that is refused until pages have been visited. */
const urlElicitationRequired = -32_042

/** A call with MCP's questions and answers. */
export interface AnyCall extends Call<ElicitRequestParams, ElicitResult> {
  /** The request under way. The server has answered all that it was sent if absent. */
  delivery: Delivery | undefined
}

type Answerer = (question: ElicitRequestParams) => Effect.Effect<ElicitResult>

/** Sends a request that can be interrupted. */
export const request = <A>(f: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: f, catch: (error) => error })

/** Calls a tool until a result comes. */
export const callTool = Effect.fnUntraced(function* (
  client: Client,
  call: AnyCall,
  answerer: Answerer,
  params: { readonly name: string; readonly arguments: Record<string, unknown> }
): Effect.fn.Return<CallResult, unknown> {
  let answers: { readonly inputResponses?: InputResponses; readonly requestState?: string } = {}
  for (let round = 0; round < maxQuestionRounds; round++) {
    const delivery = new Delivery()
    const sent = delivery.attach({ ...params, ...answers })
    call.delivery = delivery
    const result = yield* request((signal) =>
      client.request({ method: "tools/call", params: sent }, { signal, timeout: noTimeout })
    ).pipe(
      Effect.onInterrupt(() => Effect.sync(() => delivery.withdraw())),
      Effect.flatMap(takeAnswer),
      Effect.catch((error) => visitPages(call, answerer, error))
    )
    if (result === "visited") continue
    const type = Predicate.isObject(result) ? (result["resultType"] ?? "complete") : "complete"
    if (type === "complete") return yield* readResult(result)
    if (type !== "input_required") {
      return yield* unreadable(
        "tools/call",
        `has the result type ${JSON.stringify(type).slice(0, 80)}, which is not known here`
      )
    }
    call.delivery = undefined
    const { inputRequests, requestState } = result as Readonly<Record<string, unknown>>
    answers = {
      inputResponses: yield* answerAll(call, answerer, inputRequests ?? {}),
      ...(typeof requestState === "string" ? { requestState } : {})
    }
  }
  return yield* Effect.fail(new Error(`asked more than ${maxQuestionRounds} times`))
})

/** Before 2026-07-28 a server refuses a call with this error until pages have been visited; the call was not made. */
const visitPages = Effect.fnUntraced(function* (
  call: AnyCall,
  answerer: Answerer,
  error: unknown
): Effect.fn.Return<"visited", unknown> {
  const pages = decodePages(error)
  if (Option.isNone(pages)) return yield* Effect.fail(error)
  call.delivery = undefined
  for (const page of pages.value.data.elicitations) {
    const { action } = yield* askFor(call, answerer({ ...page, mode: "url" }))
    if (action !== "accept") return yield* Effect.fail(new Error(`wants a page to be visited first: ${page.message}`))
  }
  return "visited"
})

const decodePages = Schema.decodeUnknownOption(
  Schema.Struct({
    code: Schema.Literal(urlElicitationRequired),
    data: Schema.Struct({
      elicitations: Schema.Array(
        Schema.Struct({ message: Schema.String, url: Schema.String, elicitationId: Schema.String })
      )
    })
  })
)

/** Runs a question, during which the call's time does not pass. */
const askFor = (call: AnyCall, question: Effect.Effect<ElicitResult>): Effect.Effect<ElicitResult> =>
  Effect.suspend(() => {
    call.pending++
    return Effect.ensuring(
      question,
      Effect.sync(() => call.pending--)
    )
  })

const answerAll = Effect.fnUntraced(function* (
  call: AnyCall,
  answerer: Answerer,
  requests: object
): Effect.fn.Return<InputResponses, unknown> {
  const responses: InputResponses = {}
  for (const [key, input] of Object.entries(requests) as Iterable<[string, unknown]>) {
    const asked = Predicate.isObject(input) ? readRequest(input) : undefined
    if (asked === undefined || !("method" in asked))
      return yield* unreadable("tools/call", `asks in a way that is not known here`)
    if (asked.method !== "elicitation/create") {
      return yield* Effect.fail(new Error(`wants ${asked.method}, which is not offered to servers`))
    }
    responses[key] = yield* askFor(call, answerer((asked.params ?? {}) as ElicitRequestParams))
  }
  return responses
})

/** Puts a question of the server to the person behind a call. */
export const ask = (context: ToolContext, question: ElicitRequestParams): Effect.Effect<ElicitResult> => {
  const request = toRequest(question)
  return request === undefined
    ? Effect.succeed({ action: "cancel" })
    : Effect.map(context.elicit(request), ({ action, content }: ElicitationResponse) => ({
        action,
        ...(action === "accept" && request.kind === "form" ? { content: (content ?? {}) as FormContent } : {})
      }))
}

/** A page is shown only if it is a web page. */
const toRequest = (question: ElicitRequestParams): ElicitationRequest | undefined => {
  if (question.mode !== "url") {
    return { kind: "form", message: question.message, requestedSchema: question.requestedSchema }
  }
  const url = URL.canParse(question.url) ? new URL(question.url) : undefined
  return url?.protocol === "https:" || url?.protocol === "http:"
    ? { kind: "url", message: question.message, url: url.href }
    : undefined
}

type FormContent = NonNullable<ElicitResult["content"]>
