/**
 * A process that has lost its lease while its write is under way: Postgres has it wait for the one that takes the lease, and refuses it.
 */
import { DBExecutionStore, ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "@executor/sdk"
import { PostgresAdapter } from "@executor/storage-drizzle"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { connected } from "./postgres.ts"

const scopeId = ScopeId.make("team")
const executionId = ExecutionId.make("e")
const call = (seq: number) => ({
  id: ExecutionToolCallId.make(`e:${seq}`),
  executionId,
  scopeId,
  seq,
  toolPath: "t.write",
  argsJson: null,
  startedAt: 1
})

type Store = ReturnType<typeof DBExecutionStore.make>
const writes: { readonly [what: string]: (store: Store) => Effect.Effect<unknown, { readonly _tag: string }> } = {
  "the intent of a call": (store) => store.recordToolCall(call(1), 0),
  "that a call is made": (store) => store.updateToolCall(scopeId, executionId, 0, { answersSeen: 1 }, 0),
  "the outcome of a call": (store) =>
    store.finishToolCall(
      scopeId,
      call(0).id,
      { status: "completed", settleSeq: 0, resultJson: "1", completedAt: 2, durationMs: 1 },
      0
    ),
  "a question": (store) =>
    store.recordInteraction(
      {
        id: ExecutionInteractionId.make("q"),
        executionId,
        scopeId,
        toolCallId: call(0).id,
        kind: "approval",
        purpose: "tool_approval",
        payloadJson: "{}",
        createdAt: 1
      },
      0
    ),
  "an answer": (store) =>
    store.resolveInteraction(
      scopeId,
      ExecutionInteractionId.make("asked"),
      { status: "resolved", responseJson: "{}", resolvedBy: null },
      0
    ),
  "the status": (store) => store.update(scopeId, executionId, { status: "running" }, 0)
}

const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

describe("a write whose lease is being taken", () => {
  for (const [what, write] of Object.entries(writes)) {
    it.live(`is refused: ${what}`, () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const store = DBExecutionStore.make(yield* PostgresAdapter.make({ url }))
        yield* store.create({ id: executionId, scopeId, status: "running", code: "1", triggerKind: "sdk" })
        yield* store.recordToolCall(call(0), 0)
        const asked = { kind: "approval", purpose: "tool_approval", payloadJson: "{}", createdAt: 1 } as const
        const id = ExecutionInteractionId.make("asked")
        yield* store.recordInteraction({ id, executionId, scopeId, toolCallId: call(0).id, ...asked }, 0)

        const [other, watch] = [yield* connected(url), yield* connected(url)]
        yield* Effect.promise(() => other.query("BEGIN; UPDATE execution SET epoch = epoch + 1"))
        const late = yield* Effect.forkChild(Effect.flip(write(store)), { startImmediately: true })
        const isStuck = Effect.promise(async () => (await watch.query(waiting)).rows.length > 0)
        yield* Effect.repeat(isStuck, { until: (stuck) => stuck || late.pollUnsafe() !== undefined })
        yield* Effect.promise(() => other.query("COMMIT"))
        const refused = yield* Fiber.join(late)
        assert.strictEqual(refused._tag, "LeaseLost")
      })
    )
  }
})
