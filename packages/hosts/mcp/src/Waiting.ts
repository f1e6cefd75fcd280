/**
 * Executions that wait for a person, and outlive the request that started them.
 *
 * A client that gives up (it cancels its request, or closes) takes nothing from the person who is asked: an execution with an open
 * question is kept where the history has it, as it can be found again there, and answered by `resume` or any other surface. Every
 * other execution that a client gives up is cancelled, and so is all with `whenClientLeaves: "cancel"`. What was kept is told to the
 * same client (by its name) with its next result, also by a later process.
 */
import type { ExecutionEngine } from "@executor/execution"
import type { ExecutionId, ExecutionSummary, Executor } from "@executor/sdk"
import { Effect, Option, Schema } from "effect"
import type { Caller } from "./Caller.ts"

/** What becomes of an execution with an open question whose client gives up. */
export type WhenClientLeaves = "keep" | "cancel"

/**
 * How long a client that gives up holds on to its execution, for it to be looked at and written down as cancelled, and a closing
 * process with it.
 */
const leaveTimeout = "5 seconds"

/** The executions that wait for a person. */
export interface Waiting {
  /** The client gives up on an execution. */
  readonly leave: (id: ExecutionId, clientName: string | undefined) => Effect.Effect<void>
  /** What this client has left and still waits; each is told once, and `except` not at all. */
  readonly news: (clientName: string | undefined, except: unknown) => Effect.Effect<ReadonlyArray<ExecutionId>>
}

const TriggerMeta = Schema.fromJsonString(Schema.Struct({ client: Schema.Struct({ name: Schema.String }) }))
const readTriggerMeta = Schema.decodeUnknownOption(TriggerMeta)

/** The name of the client that an execution was started by. */
export const clientNameOf = ({ triggerMetaJson }: Pick<ExecutionSummary, "triggerMetaJson">): string | undefined =>
  Option.getOrUndefined(Option.map(readTriggerMeta(triggerMetaJson), ({ client }) => client.name))

/** The name that the client of a request gives itself. */
export const nameOfCaller = ({ trigger }: Pick<Caller, "trigger">): string | undefined => trigger.meta?.client?.name

/** Makes it, with what earlier processes left. */
export const make = Effect.fnUntraced(function* (options: {
  readonly engine: Pick<ExecutionEngine, "cancel">
  readonly executor: Pick<Executor, "executions" | "scopes">
  readonly whenClientLeaves: WhenClientLeaves
}) {
  const { engine, whenClientLeaves } = options
  const { executions, scopes } = options.executor
  const left = new Map<ExecutionId, string | undefined>()

  const isWaiting = (id: ExecutionId): Effect.Effect<boolean> =>
    executions.get(scopes[0], id).pipe(
      Effect.map(({ pendingInteraction }) => pendingInteraction !== null),
      Effect.orElseSucceed(() => false)
    )

  if (whenClientLeaves === "keep") {
    const page = yield* Effect.option(executions.inbox(scopes[0]))
    for (const { execution } of Option.match(page, { onNone: () => [], onSome: ({ interactions }) => interactions })) {
      if (execution.triggerKind === "mcp") left.set(execution.id, clientNameOf(execution))
    }
  }

  const waiting: Waiting = {
    leave: (id, clientName) =>
      Effect.suspend(() => (whenClientLeaves === "keep" ? isWaiting(id) : Effect.succeed(false))).pipe(
        Effect.flatMap((keeps) => (keeps ? Effect.sync(() => void left.set(id, clientName)) : engine.cancel(id))),
        Effect.timeout(leaveTimeout),
        Effect.ignore
      ),
    news: (clientName, except) =>
      Effect.suspend(() => {
        const ids = Array.from(left).flatMap(([id, name]) => (name === clientName ? [id] : []))
        for (const id of ids) left.delete(id)
        return Effect.filter(
          ids.filter((id) => id !== except),
          isWaiting,
          { concurrency: 4 }
        )
      })
  }
  return waiting
})
