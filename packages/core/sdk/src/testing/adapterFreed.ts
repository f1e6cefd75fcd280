/**
 * That those who listen are told of executions that are given up, whichever process gives them up.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Queue, type Scope, Stream } from "effect"
import type { DBAdapter } from "../DBAdapter.ts"
import * as DBExecutionStore from "../DBExecutionStore.ts"
import { ExecutionId } from "../Ids.ts"
import { newExecution, scope } from "./samples.ts"

type Adapter = DBAdapter["Service"]

/** Two adapters over one empty database, which may be the same. They live until the scope ends. */
export type MakeAdapters = Effect.Effect<
  { readonly listening: Adapter; readonly releasing: Adapter },
  unknown,
  Scope.Scope
>

/** The rings of an adapter, from when it listens. */
export const listenTo = Effect.fnUntraced(function* (adapter: Adapter) {
  const rings = yield* Queue.unbounded<void>()
  yield* Effect.forkScoped(Stream.runForEach(adapter.freed, () => Queue.offer(rings, undefined)))
  yield* Queue.take(rings)
  return rings
})

/** Declares the tests of `freed`, for two adapters over one database. */
export const adapterFreed = (name: string, makeAdapters: MakeAdapters): void => {
  const id = ExecutionId.make("e1")
  const claim = { owner: "p", at: 1_000, leaseUntil: 2_000 }

  describe(`${name}: telling what is given up`, () => {
    it.effect("rings for all who listen when an execution is released, each time", () =>
      Effect.gen(function* () {
        const { listening, releasing } = yield* makeAdapters
        const store = DBExecutionStore.make(releasing)
        yield* store.create(newExecution({ id, owner: "p", leaseUntil: 2_000 }))
        const first = yield* listenTo(listening)
        const second = yield* listenTo(listening)
        yield* store.release(scope, id, 0)
        yield* Queue.take(first)
        yield* Queue.take(second)
        expect(yield* listening.find({ table: "execution", select: ["id", "lease_until"] })).toEqual([
          { id, lease_until: null }
        ])
        const epoch = yield* store.claim(scope, id, claim)
        const third = yield* listenTo(listening)
        yield* store.release(scope, id, epoch)
        yield* Queue.take(third)
      })
    )

    it.effect("rings for those who listen after all others have left", () =>
      Effect.gen(function* () {
        const { listening, releasing } = yield* makeAdapters
        const store = DBExecutionStore.make(releasing)
        yield* store.create(newExecution({ id, owner: "p", leaseUntil: 2_000 }))
        yield* Effect.scoped(listenTo(listening))
        const rings = yield* listenTo(listening)
        yield* store.release(scope, id, 0)
        yield* Queue.take(rings)
      })
    )
  })
}
