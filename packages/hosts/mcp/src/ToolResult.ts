/**
 * What a tool call gives back: a text that a model reads, and the same as structured content for programs.
 *
 * A model pays for all that it reads, and clients cut or refuse what is too long, so the size of an answer is bounded
 * here, whatever the code returned or printed. What is left out is named, together with how to get it.
 */
import type { FinishedExecution, PendingInteraction } from "@executor/execution"
import type { ExecutionId, ExecutionInteractionId } from "@executor/sdk"
import type { CallToolResult } from "@modelcontextprotocol/server"
import { Predicate } from "effect"
import * as Question from "./Question.ts"
import { cut } from "./Text.ts"
import type { ExecutionRecord, Outcome, QuestionRecord } from "./Tools.ts"

/** The returned value as JSON text. About 10,000 tokens; widespread clients refuse answers above 25,000. */
export const maxResultCharacters = 40_000

/** What is shown of a result that is larger: enough to see its shape. */
export const maxPreviewCharacters = 4_000

/** Console output, the newest lines first to stay: what went on before an error is what a reader looks for. */
export const maxLogCharacters = 10_000

/** An error's message, and its stack. */
export const maxErrorCharacters = 8_000

/** The length of code that is shown of an execution which is found again: enough to know it by. */
export const maxCodeCharacters = 1_000

const advice = "Return less: filter, pick fields or aggregate in the code."

type Log = Outcome["logs"][number]

const newestLogs = (logs: ReadonlyArray<Log>): ReadonlyArray<Log> => {
  const kept: Array<Log> = []
  let left = maxLogCharacters
  for (let index = logs.length - 1; index >= 0; index--) {
    const entry = logs[index]
    if (entry === undefined || left <= 0) break
    const { level, at } = entry
    kept.push({ level, message: cut(entry.message, left), at })
    left -= entry.message.length + level.length
  }
  return kept.toReversed()
}

const failureRecord = (error: NonNullable<FinishedExecution["error"]>): NonNullable<Outcome["error"]> => {
  const { name, message, line, column, stack, limit } = error
  return {
    name,
    message: cut(message, maxErrorCharacters),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
    ...(stack === undefined ? {} : { stack: cut(stack, maxErrorCharacters) }),
    ...(limit === undefined ? {} : { limit })
  }
}

const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

/** A finished execution. One that failed or was cancelled is an error to the client. */
export const finished = (execution: FinishedExecution): CallToolResult => {
  const { executionId, status, resultJson, error, toolCallCount, durationMs, historyProblem } = execution
  const isTooLarge = resultJson !== undefined && resultJson.length > maxResultCharacters
  const preview = isTooLarge ? cut(resultJson, maxPreviewCharacters) : undefined
  const logs = newestLogs(execution.logs)
  const logLines = execution.logs.length - logs.length
  const failure = error === undefined ? undefined : failureRecord(error)

  const outcome: Outcome = {
    executionId,
    status,
    ...(resultJson === undefined || isTooLarge ? {} : { result: execution.result }),
    ...(failure === undefined ? {} : { error: failure }),
    logs,
    toolCallCount,
    durationMs,
    ...(historyProblem !== undefined && { historyProblem }),
    ...(preview === undefined && logLines === 0
      ? {}
      : {
          omitted: {
            ...(preview === undefined
              ? {}
              : { result: { characters: resultJson?.length ?? 0, limit: maxResultCharacters, preview } }),
            ...(logLines === 0 ? {} : { logLines })
          }
        })
  }

  const parts: Array<string> = []
  if (failure !== undefined) {
    const place = failure.line === undefined ? "" : ` (line ${failure.line}, column ${failure.column ?? 1})`
    parts.push(`${failure.name}: ${failure.message}${place}`)
    if (failure.stack !== undefined) parts.push(failure.stack)
  } else if (preview !== undefined) {
    parts.push(
      `The result is too large to give back: ${resultJson?.length.toLocaleString("en")} characters of JSON, and the ` +
        `limit is ${maxResultCharacters.toLocaleString("en")}. ${advice} It begins:\n${preview}`
    )
  } else if (status === "completed") {
    parts.push(resultJson ?? "The code returned nothing.")
  }
  if (logs.length > 0) {
    const missing = logLines === 0 ? "" : ` (${countOf(logLines, "earlier line")} left out)`
    parts.push(`Console${missing}:\n${logs.map(({ level, message }) => `[${level}] ${message}`).join("\n")}`)
  }
  parts.push(
    `Execution ${executionId} ${status}: ${countOf(toolCallCount, "tool call")}, ${Math.round(durationMs)} ms.`
  )
  if (historyProblem !== undefined) parts.push(historyProblem)

  return {
    content: [{ type: "text", text: parts.join("\n\n") }],
    structuredContent: { ...outcome },
    isError: status !== "completed"
  }
}

const questionRecord = ({ id, request }: PendingInteraction): QuestionRecord => {
  const { kind, message, toolPath, args, requestedSchema, url } = request
  const argsJson = args === undefined ? undefined : JSON.stringify(args)
  return {
    id,
    kind,
    message,
    ...(toolPath === undefined ? {} : { toolPath }),
    ...(argsJson === undefined
      ? {}
      : {
          args: argsJson.length > Question.maxQuestionCharacters ? cut(argsJson, Question.maxQuestionCharacters) : args
        }),
    ...(requestedSchema === undefined ? {} : { requestedSchema }),
    ...(url === undefined ? {} : { url })
  }
}

const questionText = (interaction: PendingInteraction, refusal: string | undefined): string => {
  const { kind, requestedSchema, url } = interaction.request
  return [
    Question.describe(interaction),
    ...(kind === "form" ? [`A form: ${JSON.stringify(requestedSchema ?? { type: "object" })}`] : []),
    ...(kind === "url" ? [`The user must open this page: ${url ?? "(none given)"}`] : []),
    `Question id: ${interaction.id}`,
    ...(refusal === undefined ? [] : [`Asking the user did not work: ${refusal}`])
  ].join("\n")
}

/** An execution that waits, with its questions, oldest first. */
export interface WaitingExecution {
  readonly id: ExecutionId
  readonly interactions: ReadonlyArray<PendingInteraction>
  readonly toolCallCount: number
  readonly historyProblem?: string | undefined
}

/**
 * An execution that waits for a person this client cannot ask by itself: the questions, and how to bring the answers.
 * `refusals` says why asking inline, or the answer that came, did not do.
 */
export const paused = (
  execution: WaitingExecution,
  refusals: ReadonlyMap<ExecutionInteractionId, string> = new Map()
): CallToolResult => {
  const { historyProblem, id, interactions, toolCallCount } = execution
  const [interaction] = interactions
  const records = interactions.map(questionRecord)
  const [oldest] = records
  const outcome: Outcome = {
    executionId: id,
    status: "waiting_for_interaction",
    logs: [],
    toolCallCount,
    ...(oldest === undefined ? {} : { interaction: oldest }),
    interactions: records,
    ...(historyProblem !== undefined && { historyProblem })
  }
  const isForm = interactions.some(({ request }) => request.kind === "form")
  const answer = JSON.stringify({
    executionId: id,
    action: "accept",
    ...(isForm ? { content: {} } : {}),
    ...(interactions.length > 1 ? { interactionId: interaction?.id } : {})
  })
  const text = [
    `Execution ${id} is not finished: it waits for the user to answer ${countOf(interactions.length, "question")}.`,
    ...interactions.map((entry) => questionText(entry, refusals.get(entry.id))),
    `Put ${interactions.length === 1 ? "it" : "each"} to the user, do not answer yourself. Then call \`resume\` with ` +
      `${answer}, or with the action "decline" (the user said no) or "cancel" (the user walked away).` +
      (isForm ? " `content` is what the user entered in the form." : ""),
    ...(historyProblem === undefined ? [] : [historyProblem])
  ]
  return { content: [{ type: "text", text: text.join("\n\n") }], structuredContent: { ...outcome } }
}

const textOf = ({ content }: CallToolResult): string =>
  content.map((part) => (part.type === "text" ? part.text : "")).join("\n\n")

/** An execution that goes on. */
export const running = ({
  executionId,
  toolCallCount
}: Pick<Outcome, "executionId" | "toolCallCount">): CallToolResult => ({
  content: [
    {
      type: "text",
      text: `Execution ${executionId} goes on, with ${countOf(toolCallCount, "tool call")} so far. Ask again later.`
    }
  ]
})

/** One execution that was asked for, beside what its own call would have given back. */
export const shown = (record: Omit<ExecutionRecord, "logs">, result: CallToolResult): CallToolResult => ({
  content: [{ type: "text", text: describeShown(record, result) }],
  structuredContent: { executions: [mergeRecord(record, result)] }
})

const describeShown = ({ code }: Pick<ExecutionRecord, "code">, result: CallToolResult): string =>
  `${textOf(result)}\n\nIts code begins:\n${code}`

const mergeRecord = (record: Omit<ExecutionRecord, "logs">, { structuredContent }: CallToolResult) => ({
  logs: [],
  ...(Predicate.isObject(structuredContent) ? structuredContent : {}),
  ...record
})

/** Executions that wait for a person, and whether there are more. */
export const executions = (
  entries: ReadonlyArray<{ readonly record: Omit<ExecutionRecord, "logs">; readonly waiting: WaitingExecution }>,
  hasMore: boolean
): CallToolResult => {
  const results = entries.map(({ record, waiting }) => ({ record, result: paused(waiting) }))
  const texts = results.map(({ record, result }) => describeShown(record, result))
  if (texts.length === 0) texts.push("No execution waits for a person.")
  if (hasMore) texts.push("There are more: these have waited longest.")
  return {
    content: [{ type: "text", text: texts.join("\n\n---\n\n") }],
    structuredContent: { executions: results.map(({ record, result }) => mergeRecord(record, result)) }
  }
}

/** A result with what else its client should know: executions of its earlier calls that still wait. */
export const withNews = (result: CallToolResult, waiting: ReadonlyArray<ExecutionId>): CallToolResult => {
  if (waiting.length === 0) return result
  const which = `${countOf(waiting.length, "execution")} of earlier calls`
  const text =
    `${which} still ${waiting.length === 1 ? "waits" : "wait"} for the user: ${waiting.join(", ")}. ` +
    "Call `executions` for the questions, and `resume` with what the user decides."
  return {
    ...result,
    content: [...result.content, { type: "text", text }],
    ...(Predicate.isObject(result.structuredContent)
      ? { structuredContent: { ...result.structuredContent, stillWaiting: waiting } }
      : {})
  }
}

/** A request that could not be served, in words for the model: nothing else is known about an execution. */
export const refused = (message: string): CallToolResult => ({
  content: [{ type: "text", text: message }],
  isError: true
})
