/**
 * Help, wrong calls, completions and bugs.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Command, layerCommand } from "./support.ts"

const live = { excludeTestServices: true } as const

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

layer(layerCommand, live)("usage", (it) => {
  it.effect("shows help on stdout when it is asked for, and for no words at all", () =>
    Effect.gen(function* () {
      for (const args of [[], ["--help"], ["-h"]]) {
        const ended = yield* run(args)
        assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
        for (const name of ["run", "call", "resume", "search", "executions, runs", "serve", "mcp", "doctor", "token"]) {
          assert.include(ended.stdout, name)
        }
      }
      const commands = [
        ["run"],
        ["call"],
        ["resume"],
        ["cancel"],
        ["search"],
        ["describe"],
        ["sources", "add", "mcp"],
        ["executions", "list"],
        ["executions", "get"],
        ["executions", "tool-calls"],
        ["serve"],
        ["mcp"],
        ["doctor"],
        ["token"]
      ]
      for (const command of commands) {
        const ended = yield* run([...command, "--help"])
        assert.deepStrictEqual([ended.code, ended.stderr], [0, ""], command.join(" "))
        assert.include(ended.stdout, "EXAMPLES", command.join(" "))
      }
      assert.deepStrictEqual(yield* run(["--version"]), { code: 0, stdout: "1.2.3\n", stderr: "" })
    })
  )

  it.effect("names what is wrong on stderr with exit code 2, and what was near", () =>
    Effect.gen(function* () {
      const cases = [
        [["rnu"], "Did you mean run"],
        [["sources"], "SUBCOMMANDS"],
        [["sources", "lst"], "Did you mean list"],
        [["run"], "Give a file to run"],
        [["run", "a.ts", "b.ts"], "b.ts"],
        [["run", "a.ts", "-e", "1"], "not both"],
        [["run", "--cpu-limt", "1s"], "--cpu-limit"],
        [["run", "-e"], "eval"],
        [["call"], "<tool> is missing"],
        [["resume", "x"], "--accept, --decline and --cancel"],
        [["resume", "x", "--accept", "--decline"], "one of"],
        [["resume", "x", "--decline", "--content", "{}"], "--accept only"],
        [["resume", "x", "--accept", "--content", "[]"], "expected a JSON object"],
        [["serve", "--port", "99999"], `"99999" is not a port`],
        [["serve", "--port", "x"], `"x" is not a port`],
        [["--server", "nowhere", "run", "-e", "1"], "--server"],
        [["search", "x", "--limit", "1000"], "--limit"]
      ] as const
      for (const [args, message] of cases) {
        const ended = yield* run(args)
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], args.join(" "))
        assert.include(ended.stderr, message, args.join(" "))
        assert.notMatch(ended.stderr, /\n\s+at |UnhandledError|\.ts:\d+:\d+/)
      }
    })
  )

  it.effect("prints completions for every shell", () =>
    Effect.gen(function* () {
      for (const shell of ["bash", "zsh", "fish", "powershell"]) {
        const ended = yield* run(["--completions", shell])
        assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
        assert.include(ended.stdout, "executions")
      }
    })
  )

  it.effect("tells nothing of the inside when there is a bug", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(["mcp"]), { code: 1, stdout: "", stderr: "a bug, id 42\n" })
    })
  )
})
