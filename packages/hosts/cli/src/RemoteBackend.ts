/**
 * The backend of a server: every command as a request, with the trigger `cli`.
 *
 * A server does not end an execution when its caller goes away, so Ctrl-C has to say so. The id of an execution is only known
 * from the answer; until then it is recognised in the history by the `traceparent` that this command gave it.
 */
import {
  type DivergenceRecord,
  type ExecutionOutcomeRecord,
  ExecutionWithInteractionRecord,
  type ExecutorClient,
  type ForkReportRecord,
  makeClient,
  userName
} from "@executor/api"
import type { Divergence, FinishedExecution, ForkReport } from "@executor/execution"
import { readJson } from "@executor/kernel"
import { ExecutionId, type ExportOptions } from "@executor/sdk"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Predicate, Schedule, Schema, Stream } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import { randomBytes } from "node:crypto"
import type { Backend, Outcome, SubmitOptions } from "./Backend.ts"
import { CommandFailed, type Failure, UsageError } from "./Failure.ts"
import type { Caller } from "./LocalBackend.ts"
import { admissionSettings } from "./Settings.ts"

/** How to reach the server. */
export interface RemoteOptions {
  readonly url: string
  readonly token: string | undefined
  readonly caller: Caller
}

/** How long Ctrl-C waits for the server to end the execution. */
const cancelTimeout = "5 seconds"

const usageTags: ReadonlySet<string> = new Set(["ExecutionRefused", "AnswerInvalid", "BadRequest"])

const issueText = (issue: unknown): string | undefined => {
  if (!Predicate.isObject(issue)) return undefined
  const path = Array.isArray(issue["path"]) ? issue["path"].slice(1).map(String).join(".") : ""
  return `  ${path === "" ? "" : `${path}: `}${String(issue["message"])}`
}

/** Problems of the contract carry a message for people; all else is between this command and the server. */
const toFailure =
  (options: RemoteOptions) =>
  (error: unknown): Failure => {
    const tag = Predicate.hasProperty(error, "_tag") ? String(error._tag) : ""
    const message = error instanceof Error ? error.message : String(error)
    if (tag === "HttpClientError") {
      const refused = Predicate.hasProperty(error, "reason") && Predicate.isTagged(error.reason, "TransportError")
      return new CommandFailed({
        message: refused
          ? `The server ${options.url} cannot be reached. Does it run there?`
          : `The server ${options.url} does not answer as an Executor server does: ${message}`
      })
    }
    if (tag === "SchemaError") {
      return new CommandFailed({
        message: `The server ${options.url} answered what this version of the command (${options.caller.version}) does not understand. Use the version of the server.`
      })
    }
    if (tag === "Unauthorized") {
      const advice =
        options.token === undefined
          ? "Give its token with --token or EXECUTOR_TOKEN; `executor token` prints it where the server runs."
          : "The token that was given is not the server's. `executor token` prints it where the server runs."
      return new CommandFailed({ message: `The server ${options.url} wants a token. ${advice}` })
    }
    if (tag === "TooManyExecutions") {
      const flags = admissionSettings.map(({ flag, metavar }) => `--${flag} <${metavar}>`).join(" ")
      return new CommandFailed({ message: `${message}\nThey are settings of the server: executor serve ${flags}` })
    }
    const issues = Predicate.hasProperty(error, "errors") && Array.isArray(error.errors) ? error.errors : []
    const more = issues.map(issueText).filter((line) => line !== undefined && !line.includes(message))
    const text = [message, ...more].join("\n")
    const correlation = Predicate.hasProperty(error, "correlationId") ? ` (${String(error.correlationId)})` : ""
    return usageTags.has(tag)
      ? new UsageError({ message: text })
      : new CommandFailed({ message: `${text}${correlation}` })
  }

const toOutcome = (record: ExecutionOutcomeRecord): Outcome => {
  if (record.status === "waiting_for_interaction") {
    const { executionId: id, historyProblem, interaction, interactions, toolCallCount } = record
    return {
      _tag: "Paused",
      execution: { id, interaction, interactions, toolCallCount, historyProblem, survives: true }
    }
  }
  const { resultJson } = record
  return {
    _tag: "Finished",
    execution: {
      ...record,
      error: record.error as FinishedExecution["error"],
      resultJson,
      get result(): unknown {
        return resultJson === undefined ? undefined : readJson(resultJson)
      }
    }
  }
}

const toDivergence = (record: DivergenceRecord | undefined): Divergence | undefined =>
  record && { recorded: record.recorded, made: record.made }

const toReport = ({ divergence, recorded, reused }: ForkReportRecord): ForkReport => ({
  recorded,
  reused,
  divergence: toDivergence(divergence)
})

const payloadOf = (code: string, { approve, limits }: Omit<SubmitOptions, "idempotencyKey">) => ({
  code,
  ...(approve.length === 0 ? {} : { approve }),
  ...(Object.keys(limits).length === 0 ? {} : { limits })
})

/** A trace of its own for a submission, in the form of the W3C's Trace Context. */
const makeTraceparent = (): string => `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`

const recordedTraceparent = (triggerMetaJson: string | null): unknown => {
  const meta: unknown = triggerMetaJson === null ? undefined : JSON.parse(triggerMetaJson)
  return Predicate.hasProperty(meta, "traceparent") ? meta.traceparent : undefined
}

const findByTrace = Effect.fnUntraced(function* (client: ExecutorClient, traceparent: string) {
  const { executions } = yield* client.executions.list({
    query: { status: ["pending", "running", "waiting_for_interaction"], trigger: ["cli"], limit: 100 }
  })
  return executions.find(({ execution }) => recordedTraceparent(execution.triggerMetaJson) === traceparent)
})

/** A submission that has just been sent may not be in the history yet, so it is looked for a few times. */
const cancelByTrace = Effect.fnUntraced(function* (client: ExecutorClient, traceparent: string) {
  const found = yield* findByTrace(client, traceparent).pipe(
    Effect.repeat({ until: Predicate.isNotUndefined, schedule: Schedule.spaced("100 millis"), times: 5 })
  )
  if (found !== undefined) yield* client.executions.cancel({ params: { id: found.execution.id } })
})

/** The user, if a header can carry the name: going without one is better than not going. */
const headerUser = (user: string | undefined): string | undefined =>
  user !== undefined && Schema.is(userName)(user) ? user : undefined

/** Makes the backend of a server. Nothing is sent before its first use. */
export const make = Effect.fn("RemoteBackend.make")(function* (options: RemoteOptions) {
  const client = yield* makeClient({
    baseUrl: options.url,
    token: options.token,
    trigger: "cli",
    client: { name: "executor", version: options.caller.version },
    user: headerUser(options.caller.user)
  }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  const fail = toFailure(options)
  const mapped = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, Failure> => Effect.mapError(effect, fail)
  const giveUp = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<void> =>
    effect.pipe(Effect.timeout(cancelTimeout), Effect.ignore)

  /** Runs something new, which is cancelled with the command. */
  const running = <A, E>(send: (traceparent: string) => Effect.Effect<A, E>): Effect.Effect<A, Failure> =>
    Effect.suspend(() => {
      const traceparent = makeTraceparent()
      return send(traceparent).pipe(
        mapped,
        // The client would put a trace of its own in the place of this one.
        Effect.provideService(HttpClient.TracerPropagationEnabled, false),
        Effect.onInterrupt(() => giveUp(cancelByTrace(client, traceparent)))
      )
    })

  const backend: Backend["Service"] = {
    survives: true,
    droppedWrites: Effect.succeed(0),
    submit: (code, { idempotencyKey, ...options }) =>
      running((traceparent) =>
        Effect.map(
          client.executions.create({
            headers: clean({ traceparent, "idempotency-key": idempotencyKey }),
            payload: payloadOf(code, options)
          }),
          toOutcome
        )
      ),
    resume: (id, answer) =>
      client.executions
        .resume({
          params: { id },
          headers: {},
          payload: {
            action: answer.action,
            ...(answer.content === undefined
              ? {}
              : { content: answer.content as { readonly [key: string]: Schema.Json } }),
            ...(answer.interactionId === undefined ? {} : { interactionId: answer.interactionId }),
            ...(answer.anyBuild === true ? { anyBuild: true } : {})
          }
        })
        .pipe(
          Effect.map(toOutcome),
          mapped,
          Effect.onInterrupt(() => giveUp(client.executions.cancel({ params: { id } })))
        ),
    fork: (id, code, { anyBuild = false, idempotencyKey, ...options }) =>
      running((traceparent) =>
        Effect.flatMap(
          client.journals.fork({
            params: { id },
            headers: clean({ traceparent, "idempotency-key": idempotencyKey }),
            payload: { ...payloadOf(code, options), anyBuild }
          }),
          ({ outcome, report }) =>
            outcome === undefined
              ? Effect.die("a fork without an outcome")
              : Effect.succeed({ report: toReport(report), outcome: toOutcome(outcome) })
        )
      ),
    previewFork: (id, code, { anyBuild = false, ...options }) =>
      mapped(
        Effect.map(
          client.journals.fork({
            params: { id },
            headers: {},
            payload: { ...payloadOf(code, options), anyBuild, dryRun: true }
          }),
          ({ report }) => toReport(report)
        )
      ),
    replay: (id, options) =>
      mapped(
        Effect.map(
          client.journals.replay({ params: { id }, payload: { anyBuild: options.anyBuild === true } }),
          (replayed) => ({
            ...replayed,
            divergence: toDivergence(replayed.divergence)
          })
        )
      ),
    inbox: (options) => mapped(client.journals.inbox({ query: clean({ ...options }) })),
    cancel: (id) => mapped(client.executions.cancel({ params: { id } })),
    activity: Stream.empty,
    searchTools: (query) =>
      mapped(Effect.map(client.tools.search({ query: clean(query) }), (matches) => matches.map((match) => match.tool))),
    describeTool: (path) => mapped(client.tools.get({ params: { path } })),
    listSources: mapped(client.sources.list()),
    addSource: ({ config, ...source }) =>
      mapped(client.sources.add({ payload: { ...source, config: config as Schema.Json } })),
    removeSource: (namespace) => mapped(client.sources.remove({ params: { namespace } })),
    refreshSource: (namespace) => mapped(client.sources.refresh({ params: { namespace } })),
    listExecutions: (list) =>
      mapped(
        client.executions.list({
          query: clean({
            limit: list.limit,
            cursor: list.cursor,
            ...filterQuery(list),
            sort: list.sort
          })
        })
      ),
    getExecution: (id) =>
      mapped(
        Effect.flatMap(client.executions.get({ params: { id: ExecutionId.make(id) }, query: {} }), (entry) =>
          Schema.decodeUnknownEffect(ExecutionWithInteractionRecord)(entry)
        )
      ),
    exportExecutions: (filters, format) =>
      Stream.unwrap(client.executions.export({ query: clean({ format, ...filterQuery(filters) }) })).pipe(
        Stream.mapError(fail)
      ),
    listToolCalls: (id) => mapped(client.executions.toolCalls({ params: { id } })),
    listInteractions: (id) => mapped(client.executions.interactions({ params: { id } }))
  }
  return backend
})

const filterQuery = (filters: ExportOptions) => ({
  status: filters.statusFilter,
  trigger: filters.triggerFilter,
  tool: filters.toolPathFilter,
  from: filters.timeRange?.from,
  to: filters.timeRange?.to,
  after: filters.after,
  code: filters.codeQuery,
  q: filters.query,
  elicitation: filters.hadElicitation
})

/** Leaves out what is undefined: the contract refuses a parameter without a value. */
const clean = <A extends { readonly [key: string]: unknown }>(
  query: A
): { [key in keyof A]: Exclude<A[key], undefined> } =>
  Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as {
    [key in keyof A]: Exclude<A[key], undefined>
  }
