/**
 * Watches the execution of one request: knows its id from the moment it has one, so that a request that is given up can leave it, and
 * tells a client that wants progress what goes on.
 *
 * The protocol wants each progress number to be larger than the one before and none after the answer: the number counts the
 * notifications. One is sent when something has changed, at most once per {@link progressInterval}, and one after
 * {@link heartbeatInterval} without any, also while the execution waits in line or for a person: clients that give up after
 * a time begin to count anew at each.
 */
import type { ExecutionEngine, ExecutionEvent, PendingInteraction } from "@executor/execution"
import type { ExecutionId } from "@executor/sdk"
import type { ServerContext } from "@modelcontextprotocol/server"
import { Duration, Effect, Queue, Stream } from "effect"
import { cut } from "./Text.ts"

/** Time between two notifications: what a person still sees as live. */
export const progressInterval = Duration.millis(250)

/** A client may count on one every 5 seconds; a busy machine may be late with one. */
export const heartbeatInterval = Duration.seconds(3)

/** A line of a client's display. */
const maxQuestionLength = 200

/** An execution there is, as far as the request knows it. */
export interface Known {
  readonly executionId: ExecutionId
  readonly toolCallCount: number
  readonly interactions: ReadonlyArray<PendingInteraction>
}

/** The execution of one request. */
export interface Watch {
  /** To be told when the request starts its execution. */
  readonly onStart: (executionId: ExecutionId) => void
  /** `undefined` until it has started. */
  readonly executionId: () => ExecutionId | undefined
}

/** What goes on in an execution, in words. */
class Activity {
  readonly #running = new Map<number, string>()
  readonly #questions: Map<string, string>
  #calls: number

  constructor(known: Known | undefined) {
    this.#calls = known?.toolCallCount ?? 0
    this.#questions = new Map(known?.interactions.map(({ id, request }) => [id, request.message]))
  }

  /** Whether the event changes the message of the progress. */
  see(event: ExecutionEvent): boolean {
    switch (event._tag) {
      case "ToolCallStarted":
        this.#running.set(event.seq, event.toolPath)
        this.#calls = Math.max(this.#calls, event.seq + 1)
        return true
      case "ToolCallFinished":
        this.#running.delete(event.seq)
        return false
      case "InteractionRequested":
        this.#questions.set(event.interaction.id, event.interaction.request.message)
        return true
      case "InteractionResolved":
        this.#questions.delete(event.interactionId)
        return true
      default:
        return false
    }
  }

  describe(hasStarted: boolean): string {
    if (!hasStarted) return "Waits in line: nothing has run yet"
    const calls = `${this.#calls} tool call${this.#calls === 1 ? "" : "s"} so far`
    return `${this.#current()}; ${calls}`
  }

  #current(): string {
    const [question] = this.#questions.values()
    if (question !== undefined) {
      const others = this.#questions.size === 1 ? "" : ` and ${this.#questions.size - 1} more questions`
      return `Waits for a person to answer: ${cut(question, maxQuestionLength)}${others}`
    }
    const paths = Array.from(this.#running.values())
    const last = paths.at(-1)
    if (last === undefined) return "Runs the code"
    return `Runs ${last}${paths.length === 1 ? "" : ` and ${paths.length - 1} more`}`
  }
}

/** Watches until the scope closes. Without `known`, the execution is the one that the request is about to start. */
export const make = Effect.fnUntraced(function* (
  engine: Pick<ExecutionEngine, "events">,
  context: ServerContext,
  known: Known | undefined
) {
  let executionId = known?.executionId
  const watch: Watch = {
    onStart: (id) => {
      executionId = id
    },
    executionId: () => executionId
  }
  const progressToken = context.mcpReq._meta?.progressToken
  if (progressToken === undefined) return watch

  const changed = yield* Queue.sliding<void>(1)
  const activity = new Activity(known)
  const see = (event: ExecutionEvent) =>
    event.executionId === executionId && activity.see(event) ? Queue.offer(changed, undefined) : Effect.void
  yield* engine.events.pipe(Stream.runForEach(see), Effect.forkScoped({ startImmediately: true }))
  let progress = 0
  const tell = Effect.ignore(
    Effect.tryPromise(() => {
      const message = activity.describe(executionId !== undefined)
      return context.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress: ++progress, message }
      })
    })
  )
  yield* Queue.take(changed).pipe(
    Effect.timeoutOption(heartbeatInterval),
    Effect.andThen(tell),
    Effect.andThen(Effect.sleep(progressInterval)),
    Effect.forever,
    Effect.forkScoped
  )
  return watch
})
