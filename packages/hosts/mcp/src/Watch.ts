/**
 * Watches the execution of one request through the engine's events: learns its id as soon as it has one, so that a
 * request that is cancelled can cancel it, and reports its tool calls to a client that wants progress.
 *
 * The protocol wants each progress number to be larger than the one before and none after the answer, and a client must
 * not be flooded: so a notification is sent when the count has grown, at most once per {@link progressInterval}, and
 * only the newest.
 */
import type { ExecutionEngine, ExecutionEvent } from "@executor/execution"
import type { ExecutionId } from "@executor/sdk"
import type { ServerContext } from "@modelcontextprotocol/server"
import { Deferred, Effect, Queue, Stream } from "effect"

/** Time between two notifications: what a person still sees as live. */
export const progressInterval = "250 millis"

/** An execution there is, with the calls it has made. */
export interface Known {
  readonly executionId: ExecutionId
  readonly toolCallCount: number
}

/**
 * Watches until the scope closes, and gives the id of the execution as soon as it is known. Without `known`, it is the
 * one that the request is about to start; its start is not missed, since the events are subscribed to when this
 * returns.
 */
export const make = Effect.fnUntraced(function* (
  engine: ExecutionEngine,
  context: ServerContext,
  known: Known | undefined
) {
  const { id: requestId, _meta } = context.mcpReq
  const started = yield* Deferred.make<ExecutionId>()
  let executionId = known?.executionId
  if (executionId !== undefined) yield* Deferred.succeed(started, executionId)
  const progressToken = _meta?.progressToken
  if (executionId !== undefined && progressToken === undefined) return Deferred.await(started)

  const calls = yield* Queue.sliding<{ readonly count: number; readonly toolPath: string }>(1)
  let count = known?.toolCallCount ?? 0
  const see = Effect.fnUntraced(function* (event: ExecutionEvent) {
    if (executionId === undefined && isStartOf(event, requestId)) {
      executionId = event.executionId
      yield* Deferred.succeed(started, executionId)
    }
    if (event._tag === "ToolCallStarted" && event.executionId === executionId) {
      yield* Queue.offer(calls, { count: ++count, toolPath: event.toolPath })
    }
  })
  yield* engine.events.pipe(
    Stream.tap(see),
    Stream.takeUntil(() => executionId !== undefined && progressToken === undefined),
    Stream.runDrain,
    Effect.forkScoped({ startImmediately: true })
  )
  if (progressToken !== undefined) {
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
  }
  return Deferred.await(started)
})

/** The id of a request is recorded with the trigger, and unique among the requests of a connection. */
const isStartOf = (event: ExecutionEvent, requestId: string | number): boolean =>
  event._tag === "ExecutionStarted" && event.trigger.kind === "mcp" && event.trigger.meta?.["requestId"] === requestId
