import { it } from "@effect/vitest"
import { Effect } from "effect"
import { contend } from "./chaos/contention.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

/** How many rounds each process finishes at least. */
const enough = { write: 15, read: 3, repair: 3 }

it.effect(
  "four processes write and four read one file while its counters are made anew: none fails, nothing is lost, all counts are right",
  () =>
    Effect.gen(function* () {
      const file = `${yield* temporaryFolder}/executor.db`
      yield* contend(file, { writers: 4, readers: 4 }, async (fighters) => {
        await Promise.all(fighters.map(({ reached, role }) => reached(enough[role])))
      })
    })
)
