/**
 * A history whose writes can be made to fail: a real adapter behind a switch.
 */
import { DBAdapter, DBError, MemoryAdapter, type WriteOperation } from "@executor/sdk"
import { Effect } from "effect"

/** What writes do. */
export type Fault = "none" | "fail" | "die" | "throw" | "hang" | "hangUninterruptibly"

/** An adapter whose writes can be made to fail, and what became of them. */
export interface FaultyAdapter {
  readonly adapter: DBAdapter["Service"]
  fault: Fault
  /** Writes that hang now, without those that nobody waits for. */
  hanging: number
  /** Writes that did not reach the database. */
  lost: number
}

/** Makes one; it works until told otherwise. */
export const faultyAdapter = (): FaultyAdapter => {
  const memory = MemoryAdapter.make()
  const state: FaultyAdapter = {
    fault: "none",
    hanging: 0,
    lost: 0,
    adapter: DBAdapter.of({
      ...memory,
      write: (operations) => {
        if (state.fault === "none") return memory.write(operations)
        state.lost++
        switch (state.fault) {
          case "fail":
            return Effect.fail(new DBError({ message: "the disk is full", reason: "full" }))
          case "die":
            return Effect.die(new Error("a bug in the adapter"))
          case "throw":
            throw new Error("a bug in the adapter, at once")
          default: {
            if (state.fault === "hangUninterruptibly") return Effect.uninterruptible(Effect.never)
            if (operations.some(isProlonging)) return Effect.never
            return Effect.callback<never>(() => {
              state.hanging++
              return Effect.sync(() => {
                state.hanging--
              })
            })
          }
        }
      }
    })
  }
  return state
}

/** A lease is prolonged beside the work. */
const isProlonging = (operation: WriteOperation): boolean =>
  operation.op === "update" && !("status" in operation.set) && "lease_until" in operation.set
