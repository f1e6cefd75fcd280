/**
 * The settings of how much goes on at once in a server, in their three spellings.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Command, layerCommand } from "./support.ts"

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

const writeSettings = (text: string) =>
  Command.use(({ folder }) => Effect.promise(() => writeFile(join(folder, "config.json"), text)))

layer(layerCommand, { excludeTestServices: true })("how much goes on at once", (it) => {
  for (const command of ["serve", "mcp"]) {
    it.effect(`is told to ${command} by flags before the environment before the file`, () =>
      Effect.gen(function* () {
        const { admissions } = yield* Command
        yield* writeSettings("{}")
        yield* run([command])
        assert.deepStrictEqual(admissions.at(-1), {})
        yield* writeSettings('{ "concurrentExecutions": 3, "queuedExecutions": 4 }')
        yield* run([command])
        assert.deepStrictEqual(admissions.at(-1), { concurrentExecutions: 3, queuedExecutions: 4 })
        const env = { EXECUTOR_CONCURRENT_EXECUTIONS: "5", EXECUTOR_QUEUED_EXECUTIONS: "6" }
        yield* run([command], { env })
        assert.deepStrictEqual(admissions.at(-1), { concurrentExecutions: 5, queuedExecutions: 6 })
        yield* run([command, "--concurrent-executions", "7", "--queued-executions", "8"], { env })
        assert.deepStrictEqual(admissions.at(-1), { concurrentExecutions: 7, queuedExecutions: 8 })
        yield* run([command, "--queued-executions", "8"])
        assert.deepStrictEqual(admissions.at(-1), { concurrentExecutions: 3, queuedExecutions: 8 })
      })
    )

    it.effect(`is refused by ${command} under the name that a bad value was given under`, () =>
      Effect.gen(function* () {
        const { admissions } = yield* Command
        yield* writeSettings("{}")
        const before = admissions.length
        const refused = [
          [["--concurrent-executions", "0"], {}, "--concurrent-executions"],
          [["--queued-executions", "many"], {}, "--queued-executions"],
          [["--queued-executions", "1.5"], {}, "--queued-executions"],
          [[], { EXECUTOR_CONCURRENT_EXECUTIONS: "-1" }, "EXECUTOR_CONCURRENT_EXECUTIONS"],
          [["--queued-executions", "1"], { EXECUTOR_QUEUED_EXECUTIONS: "none" }, "EXECUTOR_QUEUED_EXECUTIONS"]
        ] as const
        for (const [flags, env, name] of refused) {
          const ended = yield* run([command, ...flags], { env })
          assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], name)
          assert.include(ended.stderr, name)
          assert.include(ended.stderr, "a positive whole number")
        }
        const files = [
          ['{ "concurrentExecutions": 0 }', '"concurrentExecutions" in'],
          ['{ "queuedExecution": 1 }', "did you mean queuedExecutions?"]
        ] as const
        for (const [text, message] of files) {
          yield* writeSettings(text)
          const ended = yield* run([command])
          assert.strictEqual(ended.code, 2)
          assert.include(ended.stderr, message)
        }
        assert.strictEqual(admissions.length, before)
      })
    )

    it.effect(`is in the help of ${command}, with what it is if nothing is said`, () =>
      Effect.gen(function* () {
        const { stdout } = yield* run([command, "--help"])
        assert.match(stdout, /--concurrent-executions.*[(]64[)]/)
        assert.match(stdout, /--queued-executions.*[(]1000[)]/)
      })
    )
  }
})
