import { coreSchema } from "@executor/sdk"
import { PostgresAdapter } from "@executor/storage-drizzle"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { afterAll, beforeAll } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"

/** An adapter for an empty database: one for each file of tests, emptied for each test. */
export const usePostgres = () => {
  const scope = Scope.makeUnsafe()
  let url = ""
  beforeAll(async () => {
    url = await Effect.runPromise(Scope.provide(freshDatabase, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const tables = Object.keys(coreSchema).map((name) => `"${name}"`)
  return Effect.gen(function* () {
    const adapter = yield* PostgresAdapter.make({ url })
    yield* Effect.promise(() => runSql(url, `TRUNCATE ${tables.join(", ")}`))
    return adapter
  })
}
