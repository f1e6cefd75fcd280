/**
 * Progress of an execution, for a client that asked for it: the tool calls made so far.
 *
 * The protocol wants each notification's number to be larger than the one before and none after the answer, and a client must not be
 * flooded: so a notification is sent when the count has grown, at most once per {@link interval}, and only the newest.
 */
import type { ExecutionEngine } from "@executor/execution"
import type { ExecutionId } from "@executor/sdk"
import type { ServerContext } from "@modelcontextprotocol/server"
import { Effect, Queue, Stream } from "effect"

/** Time between two notifications: what a person still sees as live. */
export const interval = "250 millis"

/** The execution that is watched: one there is, or the one that a request is about to start. */
export type Watched =
  | { readonly executionId: ExecutionId; readonly toolCallCount: number }
  | { readonly requestId: string | number }

/**
 * Reports until the scope closes. It has subscribed to the engine's events when it returns, so that an execution started after it is
 * seen from its beginning.
 */
export const report = Effect.fnUntraced(function* (engine: ExecutionEngine, context: ServerContext, watched: Watched) {
  const progressToken = context.mcpReq._meta?.progressToken
  if (progressToken === undefined) return
  let executionId = "executionId" in watched ? watched.executionId : undefined
  let count = "executionId" in watched ? watched.toolCallCount : 0
  const latest = yield* Queue.sliding<{ readonly count: number; readonly toolPath: string }>(1)

  yield* engine.events.pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        if (
          event._tag === "ExecutionStarted" &&
          "requestId" in watched &&
          event.trigger.kind === "mcp" &&
          event.trigger.meta?.["requestId"] === watched.requestId
        ) {
          executionId = event.executionId
        }
        if (event._tag === "ToolCallStarted" && event.executionId === executionId) {
          count++
          Queue.offerUnsafe(latest, { count, toolPath: event.toolPath })
        }
      })
    ),
    Effect.forkScoped({ startImmediately: true })
  )

  yield* Queue.take(latest).pipe(
    Effect.tap(({ count: progress, toolPath }) =>
      Effect.ignore(
        Effect.tryPromise(() =>
          context.mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress, message: `Tool call ${progress}: ${toolPath}` }
          })
        )
      )
    ),
    Effect.andThen(Effect.sleep(interval)),
    Effect.forever,
    Effect.forkScoped
  )
})
