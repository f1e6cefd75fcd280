/**
 * What happens to the executions of one engine, for whoever watches: a terminal that shows progress, a page that follows.
 *
 * Publishing never waits. A subscriber that does not keep up loses the oldest events; the rows of history have everything.
 */
import { Effect, PubSub, Stream } from "effect"
import type { ExecutionEvent } from "./ExecutionEngine.ts"

/** Events kept for a slow subscriber: some seconds of a busy engine, at a few hundred bytes each. */
export const eventBufferSize = 4096

/** The channel of one engine. */
export interface Events {
  readonly publish: (event: ExecutionEvent) => void
  readonly stream: Stream.Stream<ExecutionEvent>
}

/** Makes a channel. Its subscribers end when the scope closes. */
export const make = Effect.gen(function* () {
  const pubsub = yield* Effect.acquireRelease(PubSub.sliding<ExecutionEvent>(eventBufferSize), PubSub.shutdown)
  const events: Events = {
    publish: (event) => {
      PubSub.publishUnsafe(pubsub, event)
    },
    stream: Stream.fromPubSub(pubsub)
  }
  return events
})
