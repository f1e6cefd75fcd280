/**
 * Executions that outlive the process that started them, with the built command as processes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { type Cli, everythingServer, makeCli, serve } from "./support.ts"

/** Looks again until it is as wanted. */
const until = <A>(look: Effect.Effect<A>, wanted: (value: A) => boolean) =>
  Effect.repeat(look, { until: wanted, schedule: Schedule.spaced("100 millis") })

const statuses = (cli: Cli) =>
  Effect.map(cli.run(["executions", "list", "--json"]), ({ stdout }) => {
    const { executions }: { executions: ReadonlyArray<{ execution: { id: string; status: string } }> } =
      JSON.parse(stdout)
    return executions.map(({ execution }) => execution)
  })

const only = (cli: Cli) => Effect.map(statuses(cli), ([execution]) => execution)

describe("executions", () => {
  it.live(
    "go on in the next server when one is told to end",
    () =>
      Effect.gen(function* () {
        const cli = yield* makeCli()
        const first = yield* serve(cli)
        const code = `
          const { length } = await tools.search({ query: "anything" })
          await new Promise((resolve) => setTimeout(resolve, 6000))
          return [length, Math.random() < 1]`
        const caller = yield* Effect.forkChild(first.run(["run", "-e", code]), { startImmediately: true })
        yield* until(only(cli), (execution) => execution?.status === "running")
        first.server.child.kill("SIGTERM")
        assert.strictEqual((yield* first.server.ended).code, 0)
        const told = yield* Fiber.join(caller)
        assert.strictEqual(told.code, 1)
        assert.include(told.stderr, "The server is closing")

        yield* serve(cli)
        const ended = yield* until(only(cli), (execution) => execution?.status !== "running")
        assert.strictEqual(ended?.status, "completed")
        const got = yield* cli.run(["executions", "get", ended?.id ?? "", "--json"])
        assert.strictEqual(JSON.parse(got.stdout).execution.resultJson, "[0,true]")
      }),
    60_000
  )

  it.live("that one process left waiting are answered by another, and by a server", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["sources", "add", "mcp", "everything", "--", ...everythingServer])
      const tool = `tools.everything["toggle-simulated-logging"]({})`
      const waits = yield* cli.run(["run", "--json", "-e", `return await Promise.all([${tool}, ${tool}])`])
      assert.strictEqual(waits.code, 3, waits.stderr)
      const { executionId } = JSON.parse(waits.stdout)
      const half = yield* cli.run(["resume", executionId, "--accept", "--json"])
      assert.strictEqual(half.code, 3, half.stderr)
      const server = yield* serve(cli)
      const ended = yield* server.run(["resume", executionId, "--accept", "--json"])
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.strictEqual(JSON.parse(ended.stdout).toolCallCount, 2)
    })
  )
})
