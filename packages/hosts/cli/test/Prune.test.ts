/**
 * Removing old history.
 */
import { ExecutionId } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Command, layerCommand } from "./support.ts"

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

const day = 86_400_000

/** Executions that ended so many days ago, and one that has not. */
const fill = Effect.fnUntraced(function* (daysAgo: ReadonlyArray<number>) {
  const { executor } = (yield* Command).parts
  const scopeId = executor.scopes[0]
  for (const days of daysAgo) {
    const id = ExecutionId.make(`ended-${days}`)
    yield* executor.executions.create({ id, scopeId, status: "running", code: "1" })
    yield* executor.executions.update(scopeId, id, { status: "completed", completedAt: Date.now() - days * day })
  }
  yield* executor.executions.create({ id: ExecutionId.make("open"), scopeId, status: "running", code: "1" })
})

const ids = Effect.map(run(["executions", "list", "--json", "--limit", "100"]), ({ stdout }) =>
  JSON.parse(stdout)
    .executions.map((entry: { execution: { id: string } }) => entry.execution.id)
    .toSorted()
)

layer(layerCommand, { excludeTestServices: true })("executions prune", (it) => {
  it.effect("removes what is beyond the bound, and asks first", () =>
    Effect.gen(function* () {
      yield* fill([1, 2, 10, 40, 50])
      const prune = (...flags: ReadonlyArray<string>) => run(["executions", "prune", ...flags])
      const all = yield* ids
      assert.strictEqual(all.length, 6)

      const dry = yield* prune("--older-than", "30d", "--dry-run")
      assert.deepStrictEqual([dry.code, dry.stderr], [0, ""])
      assert.include(
        dry.stdout,
        "2 executions would be removed (what forks came from stays with them). Kept would be what ended in the last 30 days."
      )
      const quiet = yield* prune("--older-than", "30d")
      assert.deepStrictEqual([quiet.code, quiet.stdout], [2, ""])
      assert.include(quiet.stderr, "--yes")
      const no = yield* run(["executions", "prune", "--older-than", "30d"], { keys: ["enter"] })
      assert.include(no.stderr, "Remove 2 executions")
      assert.include(no.stdout, "Nothing was removed")
      assert.deepStrictEqual(yield* ids, all)

      const yes = yield* run(["executions", "prune", "--older-than", "30d"], { keys: ["y"] })
      assert.include(yes.stdout, "Removed 2 executions. 5 mb went back to the disk.")
      assert.deepStrictEqual(yield* ids, ["ended-1", "ended-10", "ended-2", "open"])
      const kept = yield* prune("--keep", "1", "--yes", "--json")
      assert.deepStrictEqual(JSON.parse(kept.stdout), { found: 2, removed: 2 })
      assert.deepStrictEqual(yield* ids, ["ended-1", "open"])
      assert.include((yield* prune("--keep", "1", "--yes")).stdout, "Nothing to remove")
      yield* prune("--keep", "0", "--yes")
      assert.deepStrictEqual(yield* ids, ["open"])
    })
  )

  it.effect("removes what is beyond a size, those that ended first before others", () =>
    Effect.gen(function* () {
      const { executor } = (yield* Command).parts
      const scopeId = executor.scopes[0]
      for (const [index, length] of [3_000, 1_000, 1_000].entries()) {
        const id = ExecutionId.make(`sized-${index}`)
        yield* executor.executions.create({ id, scopeId, status: "running", code: "1" })
        const resultJson = JSON.stringify("x".repeat(length - 2))
        yield* executor.executions.update(scopeId, id, { status: "completed", completedAt: 1_000 + index, resultJson })
      }
      const prune = (...flags: ReadonlyArray<string>) => run(["executions", "prune", ...flags])
      const before = yield* ids
      const dry = yield* prune("--max-size", "3kb", "--dry-run")
      assert.include(
        dry.stdout,
        "1 execution would be removed (what forks came from stays with them). Kept would be about 3 kb of what ended last."
      )
      assert.deepStrictEqual(yield* ids, before)
      const removed = yield* prune("--max-size", "1.5kb", "--yes", "--json")
      assert.deepStrictEqual(JSON.parse(removed.stdout), { found: 2, removed: 2 })
      assert.deepStrictEqual(yield* ids, ["open", "sized-2"])
      assert.include((yield* prune("--max-size", "1.5kb", "--yes")).stdout, "Nothing to remove")
    })
  )

  it.effect("wants one bound that can be read, and works on no server", () =>
    Effect.gen(function* () {
      for (const [flags, word] of [
        [[], "--older-than"],
        [["--older-than", "1d", "--keep", "1"], "one of them"],
        [["--older-than", "soon"], "--older-than"],
        [["--keep", "-1"], "--keep"],
        [["--keep", "many"], "--keep"],
        [["--max-size", "2"], "--max-size"],
        [["--max-size", "2gb", "--keep", "1"], "one of them"],
        [["--keep", "1", "--yes", "--server", "http://127.0.0.1:1"], "data folder"]
      ] as const) {
        const ended = yield* run(["executions", "prune", ...flags])
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], flags.join(" "))
        assert.include(ended.stderr, word)
      }
    })
  )
})
