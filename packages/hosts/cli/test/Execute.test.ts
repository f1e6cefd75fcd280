/**
 * Running code and calling tools: results, exit codes, limits and arguments.
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
