/**
 * Watches the execution of one request: knows its id from the moment it has one, so that a request that is cancelled can
 * cancel it, and reports its tool calls to a client that wants progress.
 *
 * The protocol wants each progress number to be larger than the one before and none after the answer, and a client must
 * not be flooded: so a notification is sent when the count has grown, at most once per {@link progressInterval}, and
 * only the newest.
 */
import type { ExecutionEngine, ExecutionEvent } from "@executor/execution"
import type { ExecutionId } from "@executor/sdk"
import type { ServerContext } from "@modelcontextprotocol/server"
import { Effect, Queue, Stream } from "effect"

/** Time between two notifications: what a person still sees as live. */
export const progressInterval = "250 millis"

/** An execution there is, with the calls it has made. */
export interface Known {
  readonly executionId: ExecutionId
  readonly toolCallCount: number
}

/** The execution of one request. */
export interface Watch {
  /** To be told when the request starts its execution. */
  readonly onStart: (executionId: ExecutionId) => void
  /** `undefined` until it has started. */
  readonly executionId: () => ExecutionId | undefined
}

/** Watches until the scope closes. Without `known`, the execution is the one that the request is about to start. */
export const make = Effect.fnUntraced(function* (
  engine: ExecutionEngine,
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

  const calls = yield* Queue.sliding<{ readonly count: number; readonly toolPath: string }>(1)
  let count = known?.toolCallCount ?? 0
  const see = (event: ExecutionEvent) =>
    event._tag === "ToolCallStarted" && event.executionId === executionId
      ? Queue.offer(calls, { count: ++count, toolPath: event.toolPath })
      : Effect.void
  yield* engine.events.pipe(Stream.runForEach(see), Effect.forkScoped({ startImmediately: true }))
  yield* Queue.take(calls).pipe(
    Effect.tap(({ count: progress, toolPath }) =>
      Effect.ignore(
        Effect.tryPromise(() =>
          context.mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress, message: toolPath }
          })
        )
      )
    ),
    Effect.andThen(Effect.sleep(progressInterval)),
    Effect.forever,
    Effect.forkScoped
  )
  return watch
})
