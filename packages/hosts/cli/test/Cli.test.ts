/**
 * The commands from their words to their exit codes.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Command, layerCommand } from "./support.ts"

const live = { excludeTestServices: true } as const

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

layer(layerCommand, live)("run", (it) => {
  it.effect("prints the result alone on stdout, and what the program logs on stderr", () =>
    Effect.gen(function* () {
      const text = yield* run(["run", "-e", 'console.log("hi"); console.warn("careful"); return "a\\nb"'])
      assert.deepStrictEqual(text, { code: 0, stdout: "a\nb\n", stderr: "hi\nwarn: careful\n" })
      const object = yield* run(["run", "-e", "return { a: [1] }"])
      assert.strictEqual(object.stdout, '{\n  "a": [\n    1\n  ]\n}\n')
      const nothing = yield* run(["run", "-e", "1"])
      assert.deepStrictEqual(nothing, { code: 0, stdout: "", stderr: "" })
    })
  )

  it.effect("takes code from a file and from standard input", () =>
    Effect.gen(function* () {
      const { folder } = yield* Command
      const file = join(folder, "script.ts")
      yield* Effect.promise(() => writeFile(file, "const a: number = 20\nreturn a + 1"))
      assert.strictEqual((yield* run(["run", file])).stdout, "21\n")
      assert.strictEqual((yield* run(["run", "-"], { stdin: "return 22" })).stdout, "22\n")
      assert.include((yield* run(["run", join(folder, "none.ts")])).stderr, "there is no such file")
      assert.strictEqual((yield* run(["run", folder])).code, 2)
    })
  )

  it.effect("prints exactly one object with --json", () =>
    Effect.gen(function* () {
      const ok = yield* run([
        "run",
        "--json",
        "-e",
        'console.log("hi"); return { big: 12345678901234567890n.toString(), n: 1 }'
      ])
      assert.strictEqual(ok.code, 0)
      assert.strictEqual(ok.stderr, "")
      const { durationMs, executionId, logs, ...rest } = JSON.parse(ok.stdout)
      assert.deepStrictEqual(rest, {
        status: "completed",
        result: { big: "12345678901234567890", n: 1 },
        toolCallCount: 0
      })
      assert.isAtLeast(durationMs, 0)
      assert.match(executionId, /^[0-9a-f-]{36}$/)
      assert.strictEqual(logs[0].message, "hi")
      const failed = yield* run(["run", "--json", "-e", 'throw new RangeError("no")'])
      assert.strictEqual(failed.code, 1)
      const { error, result, status } = JSON.parse(failed.stdout)
      assert.deepStrictEqual([status, result, error.name, error.message], ["failed", undefined, "RangeError", "no"])
      const none = yield* run(["run", "--json", "-e", ""])
      assert.deepStrictEqual([none.code, none.stdout], [2, ""])
    })
  )

  it.effect("makes control characters of results, logs and errors harmless", () =>
    Effect.gen(function* () {
      const evil = yield* run(["run", "-e", 'console.log("\\x1b[2J"); return "\\x1b]0;evil\\x07"'])
      assert.strictEqual(evil.stdout, "\\x1b]0;evil\\x07\n")
      assert.strictEqual(evil.stderr, "\\x1b[2J\n")
      assert.include((yield* run(["run", "-e", 'throw new Error("\\x9b31m")'])).stderr, "\\x9b31m")
      assert.notInclude((yield* run(["describe", "shop.order-now"])).stdout, "\u001b")
      assert.notInclude((yield* run(["search", "order"])).stdout, "\u001b")
    })
  )

  it.effect("takes limits from flags before the environment before the file, and names a bad one", () =>
    Effect.gen(function* () {
      const { folder } = yield* Command
      const loop = ["run", "-e", "for (;;) {}"]
      const flag = yield* run([...loop, "--cpu-limit", "50ms"], { env: { EXECUTOR_CPU_LIMIT: "10m" } })
      assert.strictEqual(flag.code, 1)
      assert.include(flag.stderr, "50 ms")
      assert.include(flag.stderr, "--cpu-limit, EXECUTOR_CPU_LIMIT")
      yield* Effect.promise(() => writeFile(join(folder, "config.json"), '{ "cpuLimit": "70ms", "wallLimit": "none" }'))
      assert.include((yield* run(loop)).stderr, "70 ms")
      assert.include((yield* run(loop, { env: { EXECUTOR_CPU_LIMIT: "60ms" } })).stderr, "60 ms")
      const refused = [
        [["--heap-limit", "64"], {}, "--heap-limit"],
        [["--wall-limit", "never"], {}, "or none"],
        [[], { EXECUTOR_TOOL_RESULT_LIMIT: "much" }, "EXECUTOR_TOOL_RESULT_LIMIT"]
      ] as const
      for (const [flags, env, name] of refused) {
        const ended = yield* run(["run", "-e", "1", ...flags], { env })
        assert.strictEqual(ended.code, 2)
        assert.include(ended.stderr, name)
      }
      const files = [
        ['{ "cpuLimt": "2s" }', "did you mean cpuLimit?"],
        ['{ "heapLimit": "much" }', '"heapLimit" in'],
        ["{", "not JSON"],
        ["[]", "expected an object"]
      ] as const
      for (const [text, message] of files) {
        yield* Effect.promise(() => writeFile(join(folder, "config.json"), text))
        const ended = yield* run(["run", "-e", "1"])
        assert.strictEqual(ended.code, 2)
        assert.include(ended.stderr, message)
      }
      yield* Effect.promise(() => writeFile(join(folder, "config.json"), "{}"))
    })
  )
})

layer(layerCommand, live)("call", (it) => {
  it.effect("takes arguments in every form", () =>
    Effect.gen(function* () {
      const { folder } = yield* Command
      const file = join(folder, "arguments.json")
      yield* Effect.promise(() => writeFile(file, '{ "a": 1, "b": 2 }'))
      for (const args of [['{"a":1,"b":2}'], ["a=1", "b=2"], ["-"], [`@${file}`], ["a:=1", "b=2.0"]]) {
        const ended = yield* run(["call", "shop.add", ...args], { stdin: '{"b":2,"a":1}' })
        assert.deepStrictEqual(ended, { code: 0, stdout: "3\n", stderr: "" }, args.join(" "))
      }
    })
  )

  it.effect("records the call as an execution of its own", () =>
    Effect.gen(function* () {
      const { executionId } = JSON.parse((yield* run(["call", "--json", "shop.add", "a=1", "b=2"])).stdout)
      const { execution } = JSON.parse((yield* run(["executions", "get", executionId, "--json"])).stdout)
      assert.strictEqual(execution.code, 'return await tools.shop.add({"a":1,"b":2})')
      assert.strictEqual(execution.triggerKind, "cli")
      const { client, user } = JSON.parse(execution.triggerMetaJson)
      assert.deepStrictEqual(client, { name: "executor", version: "1.2.3" })
      assert.isString(user)
      const { toolCalls } = JSON.parse((yield* run(["runs", "tool-calls", executionId, "--json"])).stdout)
      assert.deepStrictEqual(
        toolCalls.map((call: { toolPath: string; resultJson: string }) => [call.toolPath, call.resultJson]),
        [["shop.add", "3"]]
      )
    })
  )

  it.effect("refuses arguments that are none, before anything runs", () =>
    Effect.gen(function* () {
      const cases = [
        [["shop.add", "a=x", "b=1"], "expected a number"],
        [["shop.add", "a=1", "c=1"], 'no property "c"'],
        [["shop.add", "{a:1}"], "not JSON"],
        [["shop.add", "{}", "{}"], "no key=value"],
        [["shop..add"], "no tool path"],
        [["shop.add", "@none.json"], "there is no such file"]
      ] as const
      const before = JSON.parse((yield* run(["executions", "list", "--json"])).stdout).executions.length
      for (const [args, message] of cases) {
        const ended = yield* run(["call", ...args])
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], args.join(" "))
        assert.include(ended.stderr, message)
      }
      assert.strictEqual(JSON.parse((yield* run(["executions", "list", "--json"])).stdout).executions.length, before)
      const unknown = yield* run(["call", "shop.ad"])
      assert.strictEqual(unknown.code, 1)
      assert.include(unknown.stderr, "shop.ad")
    })
  )

  it.effect("takes arguments that are larger than a program may be, up to their own limit", () =>
    Effect.gen(function* () {
      const call = (length: number) =>
        run(["call", "shop.order-now", "-", "--approve", "shop.*", "--json"], {
          stdin: JSON.stringify({ item: "x".repeat(length) })
        })
      assert.strictEqual((yield* call(300_000)).code, 0)
      const large = yield* call(2_000_000)
      assert.deepStrictEqual([large.code, JSON.parse(large.stdout).error.limit], [1, "argumentsBytes"])
      assert.include(large.stderr, "--argument-limit")
    })
  )

  it.effect("hands over a key that a literal would take for the prototype", () =>
    Effect.gen(function* () {
      const ended = yield* run([
        "call",
        "shop.order-now",
        '{"__proto__":{"item":"x"}}',
        "--approve",
        "shop.*",
        "--json"
      ])
      assert.include(ended.stdout, '{"ordered":{"__proto__":{"item":"x"}}}')
    })
  )
})

layer(layerCommand, live)("questions", (it) => {
  it.effect("are answered with cancel where nobody can be asked, and the person is told", () =>
    Effect.gen(function* () {
      const ended = yield* run(["call", "shop.order-now", "item=tea"])
      assert.deepStrictEqual([ended.code, ended.stdout], [1, ""])
      assert.include(ended.stderr, "nobody to ask, so this question was answered with cancel")
      assert.include(ended.stderr, "--approve 'shop.order-now'")
    })
  )

  it.effect("are not put for tools that were granted beforehand", () =>
    Effect.gen(function* () {
      const ended = yield* run(["call", "shop.order-now", "item=tea", "--approve", "*.order-now", "--json"])
      assert.deepStrictEqual(JSON.parse(ended.stdout).result, { ordered: { item: "tea" } })
    })
  )

  it.effect("are put to the person at a terminal, on stderr", () =>
    Effect.gen(function* () {
      const yes = yield* run(["call", "shop.order-now", "item=tea"], { keys: ["y"] })
      assert.deepStrictEqual([yes.code, JSON.parse(yes.stdout)], [0, { ordered: { item: "tea" } }])
      assert.include(yes.stderr, "shop.order-now wants your approval")
      assert.include(yes.stderr, '"item": "tea"')
      const no = yield* run(["call", "shop.order-now", "item=tea"], { keys: ["n"] })
      assert.deepStrictEqual([no.code, no.stdout], [1, ""])
      const enter = yield* run(["call", "shop.order-now", "item=tea"], { keys: ["enter"] })
      assert.strictEqual(enter.code, 1)
    })
  )

  it.effect("with a form ask for each field, and for a field again that does not fit", () =>
    Effect.gen(function* () {
      const keys = [
        "enter",
        ..."Ann",
        "enter",
        ..."x",
        "enter",
        "backspace",
        ..."42",
        "enter",
        "down",
        "enter",
        "enter",
        "enter"
      ]
      const ended = yield* run(["call", "shop.ask", "--json"], { keys })
      const { result } = JSON.parse(ended.stdout)
      assert.deepStrictEqual(result, {
        action: "accept",
        content: { name: "Ann", age: 42, color: "green", news: true }
      })
      assert.include(ended.stderr, "expected a whole number")
      const declined = yield* run(["call", "shop.ask", "--json"], { keys: ["down", "enter"] })
      assert.deepStrictEqual(JSON.parse(declined.stdout).result, { action: "decline" })
    })
  )

  it.effect("that are left open cancel the execution", () =>
    Effect.gen(function* () {
      const ended = yield* run(["call", "shop.order-now", "item=tea"], { keys: [] })
      assert.deepStrictEqual([ended.code, ended.stdout], [130, ""])
      const { executions } = JSON.parse((yield* run(["executions", "list", "--json", "--limit", "1"])).stdout)
      assert.strictEqual(executions[0].execution.status, "cancelled")
      assert.strictEqual(executions[0].pendingInteraction, null)
    })
  )

  it.effect("of several calls at once are put one after the other, each answer to its own", () =>
    Effect.gen(function* () {
      const code = `const results = await Promise.allSettled(["a", "b", "c"].map((item) => tools.shop["order-now"]({ item })))
        return results.map((result) => result.status === "fulfilled" ? result.value.ordered.item : "no")`
      const ended = yield* run(["run", "--json", "-e", code], { keys: ["y", "n", "y"] })
      assert.deepStrictEqual(JSON.parse(ended.stdout).result, ["a", "no", "c"])
    })
  )
})

layer(layerCommand, live)("progress", (it) => {
  it.effect("shows at a terminal which tool is waited for, and Ctrl-C ends it", () =>
    Effect.gen(function* () {
      const ended = yield* run(["call", "shop.wait"], { keys: [], interruptAt: "last called shop.wait" })
      assert.strictEqual(ended.code, 130)
      assert.isTrue(ended.stderr.endsWith("\r\u001b[2K"))
    })
  )
})

layer(layerCommand, live)("history", (it) => {
  it.effect("lists, filters and pages", () =>
    Effect.gen(function* () {
      for (const code of [
        "return 'first'",
        "throw new Error('second')",
        "return await tools.shop.add({ a: 1, b: 1 })"
      ]) {
        yield* run(["run", "-e", code])
      }
      const codes = Effect.fnUntraced(function* (...flags: ReadonlyArray<string>) {
        const ended = yield* run(["executions", "list", "--json", ...flags])
        assert.strictEqual(ended.code, 0, ended.stderr)
        const { executions, nextCursor } = JSON.parse(ended.stdout)
        return {
          codes: executions.map((entry: { execution: { code: string } }) => entry.execution.code.slice(0, 8)),
          nextCursor
        }
      })
      assert.deepStrictEqual((yield* codes()).codes, ["return a", "throw ne", "return '"])
      assert.deepStrictEqual((yield* codes("--status", "failed")).codes, ["throw ne"])
      assert.strictEqual((yield* codes("--status", "failed,completed")).codes.length, 3)
      assert.deepStrictEqual((yield* codes("--tool", "shop.*")).codes, ["return a"])
      assert.deepStrictEqual((yield* codes("--code", "FIRST")).codes, ["return '"])
      assert.deepStrictEqual((yield* codes("--trigger", "http")).codes, [])
      assert.deepStrictEqual((yield* codes("--from", "2100-01-01")).codes, [])
      assert.strictEqual((yield* codes("--to", "2100-01-01T00:00:00Z")).codes.length, 3)
      const first = yield* codes("--limit", "2", "--sort", "createdAt:asc")
      assert.deepStrictEqual(first.codes, ["return '", "throw ne"])
      const second = yield* codes("--limit", "2", "--sort", "createdAt:asc", "--cursor", first.nextCursor)
      assert.deepStrictEqual(second.codes, ["return a"])
      const table = yield* run(["executions", "list"])
      assert.match(table.stdout, /^ID +STATUS +TRIGGER +CREATED +DURATION +CALLS +CODE\n/)
      assert.strictEqual(table.stdout.trimEnd().split("\n").length, 4)
    })
  )

  it.effect("refuses filters that are none, by name", () =>
    Effect.gen(function* () {
      const cases = [
        [["--status", "done"], "--status"],
        [["--from", "yesterday"], "--from"],
        [["--to", "2026-13-01"], "--to"],
        [["--sort", "name"], "--sort"],
        [["--limit", "101"], "--limit"],
        [["--limit", "0"], "--limit"],
        [["--cursor", "x"], "cursor"]
      ] as const
      for (const [flags, name] of cases) {
        const ended = yield* run(["executions", "list", ...flags])
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], flags.join(" "))
        assert.include(ended.stderr, name)
      }
      const unknown = yield* run(["executions", "get", "nope"])
      assert.deepStrictEqual([unknown.code, unknown.stdout], [1, ""])
    })
  )

  it.effect("shows one execution whole, but not what a person typed", () =>
    Effect.gen(function* () {
      const keys = ["enter", ..."Secret", "enter", ..."42", "enter", "enter", "enter", "enter"]
      const { executionId } = JSON.parse((yield* run(["call", "shop.ask", "--json"], { keys })).stdout)
      const { interactions } = JSON.parse((yield* run(["executions", "get", executionId, "--json"])).stdout)
      assert.strictEqual(interactions.length, 1)
      assert.notInclude(JSON.stringify(interactions), "Secret")
      const shown = yield* run(["executions", "get", executionId])
      assert.include(shown.stdout, "Who are you?")
      assert.include(shown.stdout, "completed")
    })
  )
})

layer(layerCommand, live)("catalog", (it) => {
  it.effect("finds and describes tools and sources", () =>
    Effect.gen(function* () {
      const { tools } = JSON.parse((yield* run(["search", "adds", "numbers", "--json"])).stdout)
      assert.strictEqual(tools[0].path, "shop.add")
      assert.strictEqual(JSON.parse((yield* run(["describe", "shop.add", "--json"])).stdout).path, "shop.add")
      assert.include((yield* run(["describe", "shop.order-now"])).stdout, "asks for approval")
      const { sources } = JSON.parse((yield* run(["sources", "list", "--json"])).stdout)
      assert.deepStrictEqual(
        sources.map((source: { namespace: string }) => source.namespace),
        ["shop"]
      )
      assert.strictEqual((yield* run(["describe", "shop.nothing"])).code, 1)
      assert.strictEqual((yield* run(["sources", "remove", "nothing"])).code, 1)
    })
  )

  it.effect("wants a program after -- and names of variables alone", () =>
    Effect.gen(function* () {
      const cases = [
        [["files", "npx", "server"], "Write -- between"],
        [["--", "npx", "server"], "Write -- between"],
        [["files", "--env", "TOKEN=secret", "--", "npx"], '"TOKEN" must be the name']
      ] as const
      for (const [args, message] of cases) {
        const ended = yield* run(["sources", "add", "mcp", ...args])
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], args.join(" "))
        assert.include(ended.stderr, message)
        assert.notInclude(ended.stderr, "secret")
      }
    })
  )
})

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
        [["serve", "--port", "99999"], "99999 is not a port"],
        [["serve", "--port", "x"], "port"],
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
