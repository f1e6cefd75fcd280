/**
 * A history that takes no writes of one kind for as long as the test wants.
 */
import { DBAdapter, DBError, type WriteOperation } from "@executor/sdk"
import { Effect } from "effect"

/** What becomes of a write that is not taken. */
export type Refusal = "fails" | "hangs"

/** The adapter, and its switch. */
export interface Refusing {
  readonly adapter: DBAdapter["Service"]
  /** What is not taken; everything is where it is absent. */
  refuses: ((operation: WriteOperation) => boolean) | undefined
  /** Writes that were not taken so far. */
  refused: number
}

/** Puts a switch before an adapter. */
export const refusing = (over: DBAdapter["Service"], how: Refusal = "fails"): Refusing => {
  const state: Refusing = {
    refuses: undefined,
    refused: 0,
    adapter: DBAdapter.of({
      ...over,
      write: (operations, options) =>
        Effect.suspend(() => {
          if (state.refuses === undefined || !operations.some(state.refuses)) return over.write(operations, options)
          state.refused++
          if (how === "hangs") return Effect.never
          return Effect.fail(new DBError({ message: "the disk is full", reason: "full" }))
        })
    })
  }
  return state
}

/** The end of an execution. */
export const isEnd = (operation: WriteOperation): boolean =>
  operation.op === "update" && operation.table === "execution" && operation.set["completed_at"] !== undefined

/** All but the row of an execution. */
export const isNoCreation = (operation: WriteOperation): boolean =>
  !(operation.op === "insert" && ["execution", "execution_code"].includes(operation.table))
