/**
 * What `run`, `call` and `resume` say at the end: one JSON object for programs; the result, the program's console output and
 * what went wrong for people. The exit code follows from the same outcome.
 */
import { readJson } from "@executor/kernel"
import type { ElicitationRequest } from "@executor/sdk"
import { Effect, Predicate } from "effect"
import type { Outcome } from "./Backend.ts"
import { exitCodes, ExitStatus } from "./Failure.ts"
import * as Output from "./Output.ts"
import { envName, fileName, limitSettings } from "./Settings.ts"
import { neutralise } from "./Text.ts"
import { formatDuration } from "./Units.ts"

/** The code that the process ends with after an outcome. */
export const exitCodeOf = (outcome: Outcome): number => {
  if (outcome._tag === "Paused") return exitCodes.waiting
  return outcome.execution.status === "completed" ? exitCodes.completed : exitCodes.failed
}

const historyOf = ({ historyProblem }: Outcome["execution"]) => (historyProblem === undefined ? {} : { historyProblem })

/**
 * The outcome as one JSON object. The result is spliced in as the program wrote it, so that nothing is lost by parsing it;
 * `waitedMs` stands in for the duration of an execution that has not ended.
 */
export const outcomeJson = (outcome: Outcome, waitedMs: number, more: object = {}): string => {
  if (outcome._tag === "Paused") {
    const { execution } = outcome
    return JSON.stringify({
      executionId: execution.id,
      status: "waiting_for_interaction",
      logs: [],
      toolCallCount: execution.toolCallCount,
      durationMs: Math.round(waitedMs),
      ...historyOf(execution),
      interaction: execution.interaction,
      ...more
    })
  }
  const { execution } = outcome
  const rest = JSON.stringify({
    ...(execution.error === undefined ? {} : { error: execution.error }),
    logs: execution.logs,
    toolCallCount: execution.toolCallCount,
    durationMs: execution.durationMs,
    ...historyOf(execution),
    ...more
  })
  const head = JSON.stringify({ executionId: execution.executionId, status: execution.status })
  const result = execution.resultJson === undefined ? "" : `"result":${execution.resultJson},`
  return `${head.slice(0, -1)},${result}${rest.slice(1)}`
}

/** A value for people: text as it is, anything else as indented JSON. */
export const valueText = (json: string): string => {
  const value = readJson(json)
  return typeof value === "string" ? value : JSON.stringify(value, null, 2)
}

/** What a question asks, in a line or several. */
export const questionText = (request: ElicitationRequest): string => {
  const lines = [request.message]
  const args = request.args === undefined ? "" : JSON.stringify(request.args)
  // Most approvals name the tool and the arguments themselves, but long arguments only in part.
  if (request.kind === "approval" && request.toolPath !== undefined && !request.message.includes(args)) {
    lines.push(`  ${request.toolPath}(${args})`)
  }
  if (request.url !== undefined) lines.push(`  ${request.url}`)
  if (request.kind === "form" && request.requestedSchema !== undefined) {
    lines.push(`  wants: ${JSON.stringify(request.requestedSchema)}`)
  }
  return lines.join("\n")
}

/** An answer to a form, as far as its schema says what it must have. */
const exampleOf = ({ requestedSchema }: ElicitationRequest): string => {
  if (!Predicate.isObject(requestedSchema)) return "{...}"
  const { properties, required } = requestedSchema
  if (!Predicate.isObject(properties) || !Array.isArray(required)) return "{...}"
  const valueOf = (schema: unknown): unknown =>
    Predicate.hasProperty(schema, "enum") && Array.isArray(schema.enum) ? schema.enum[0] : "..."
  return JSON.stringify(Object.fromEntries(required.map((name) => [name, valueOf(properties[String(name)])])))
}

const quote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

/** Prints the outcome and sets the exit code. */
export const report = Effect.fn("Report.report")(function* (
  outcome: Outcome,
  options: {
    readonly json: boolean
    readonly waitedMs: number
    readonly server: string | undefined
    readonly dataDir: string | undefined
    readonly keepsHistory: boolean
    /** What the JSON also has. */
    readonly more: object
  }
) {
  const { stderr } = yield* Output.Output
  yield* (yield* ExitStatus).set(exitCodeOf(outcome))
  if (options.json) yield* Output.json(outcomeJson(outcome, options.waitedMs, options.more))
  if (outcome._tag === "Paused") {
    const { id, interaction, interactions } = outcome.execution
    const named = [["--server", options.server] as const, ["--data-dir", options.dataDir] as const]
    const target = named.map(([flag, value]) => (value === undefined ? "" : ` ${flag} ${quote(value)}`)).join("")
    const content = interaction.request.kind === "form" ? ` --content ${quote(exampleOf(interaction.request))}` : ""
    const others = interactions.length - 1
    const more =
      others === 0 ? "" : `\n${others} more ${others === 1 ? "question waits" : "questions wait"} after this one.`
    yield* Output.notice(
      `Waiting for an answer: ${questionText(interaction.request)}${more}\n\n` +
        `Answer it with:\n` +
        `  executor resume ${id}${target} --accept${content}\n` +
        `  executor resume ${id}${target} --decline`
    )
    return
  }
  const { execution } = outcome
  if (!options.json) {
    for (const log of execution.logs) {
      const text = neutralise(log.level === "log" ? log.message : `${log.level}: ${log.message}`)
      yield* stderr.write(`${Output.styled(stderr, "dim", text)}\n`)
    }
    if (execution.resultJson !== undefined) yield* Output.result(valueText(execution.resultJson))
  }
  if (execution.status !== "completed") {
    const { error, toolCallCount } = execution
    const place =
      error?.line === undefined
        ? ""
        : ` (line ${error.line}${error.column === undefined ? "" : `, column ${error.column}`})`
    const what = error === undefined ? "" : `: ${neutralise(`${error.name}: ${error.message}`)}${place}`
    yield* stderr.write(`${Output.styled(stderr, "red", execution.status)}${what}\n`)
    const setting = limitSettings.find(({ limit }) => limit === error?.limit)
    if (setting !== undefined) {
      yield* Output.notice(
        `The setting is --${setting.flag}, ${envName(setting.flag)}, or "${fileName(setting.flag)}" in config.json of the data folder.`
      )
    }
    const see = `See: executor executions ${toolCallCount === 0 ? "get" : "tool-calls"} ${execution.executionId}`
    yield* Output.notice(
      `Execution ${execution.executionId}, ${formatDuration(execution.durationMs)}, ${toolCallCount} tool call${toolCallCount === 1 ? "" : "s"}. ` +
        (options.keepsHistory ? see : "It is not in the history.")
    )
  }
})
