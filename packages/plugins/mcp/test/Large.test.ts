import { leastLoopGap } from "@executor/sdk/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { add, approving, fixture, makeExecutor } from "./Support.ts"

const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]))

const onElicitation = approving()

describe("large messages", () => {
  it.live("arrive whole, and do not hold up the loop", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", fixture("raw-server"))
      const check = Effect.fnUntraced(function* (
        tool: string,
        args: Record<string, unknown>,
        isRight: (result: unknown) => boolean
      ) {
        const gap = yield* leastLoopGap(
          Effect.map(
            executor.tools.invoke(`raw.${tool}`, args, { argsJsonLength: JSON.stringify(args).length, onElicitation }),
            (result) => assert.isTrue(isRight(result), tool)
          )
        )
        assert.isBelow(gap, 20, tool)
      })
      // Not more keys: to double the table of an object with 174,763 keys takes V8 16 ms in one step, which nobody can slice.
      yield* check("wide", { keys: 80_000 }, (result) => (result as Record<string, unknown>)["key 79999"] === 79_999)
      yield* check("parts", { parts: 100_000 }, (result) => {
        const { content } = result as { readonly content: ReadonlyArray<{ readonly text: string }> }
        return content.length === 100_000 && content.at(-1)?.text === "part"
      })
      yield* check("huge", { bytes: 8_000_000 }, (result) => (result as string).length === 8_000_000)
      yield* check("count_keys", keys(60_000), (result) => (result as { readonly count: number }).count === 60_000)
    })
  )
})
