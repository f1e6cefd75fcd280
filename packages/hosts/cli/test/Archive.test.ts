/**
 * Taking the history out and reading it back.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readdir, readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Command, layerCommand } from "./support.ts"

const live = { excludeTestServices: true } as const

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

const exported = Effect.map(run(["executions", "export"]), ({ code, stderr, stdout }) => {
  assert.deepStrictEqual([code, stderr], [0, ""])
  return stdout
})

layer(layerCommand, live)("the archive of a history", (it) => {
  it.effect("is JSON Lines or a table, on stdout or in a file of its owner's", () =>
    Effect.gen(function* () {
      const { folder } = yield* Command
      yield* run(["run", "-e", "return '=1+1'"])
      yield* run(["run", "-e", "return await tools.shop.add({ a: 1, b: 1 })"])
      const text = yield* exported
      const lines = text.trimEnd().split("\n")
      assert.deepStrictEqual(
        lines.map((line) => JSON.parse(line).type),
        ["execution", "execution", "toolCall"]
      )
      const file = join(folder, "history.jsonl")
      const toFile = yield* run(["executions", "export", "--output", file])
      assert.deepStrictEqual([toFile.code, toFile.stdout], [0, ""])
      assert.include(toFile.stderr, file)
      assert.strictEqual(yield* Effect.promise(() => readFile(file, "utf8")), text)
      assert.strictEqual((yield* Effect.promise(() => stat(file))).mode & 0o777, 0o600)
      assert.deepStrictEqual(
        (yield* Effect.promise(() => readdir(folder))).filter((name) => name.endsWith(".part")),
        []
      )
      const table = yield* run(["executions", "export", "--format", "csv", "--tool", "!shop.*"])
      assert.match(table.stdout, /^id,status,trigger,.*\r\n"[^\r]*,"return '=1\+1'","""=1\+1"""\r\n$/)
      const nowhere = yield* run(["executions", "export", "--output", join(folder, "no", "file")])
      assert.deepStrictEqual([nowhere.code, nowhere.stdout], [1, ""])
      assert.include(nowhere.stderr, "ENOENT")
      assert.strictEqual((yield* run(["executions", "export", "--query", "ab"])).code, 2)
    })
  )

  it.effect("is read back once, and a second time changes nothing", () =>
    Effect.gen(function* () {
      const before = yield* exported
      const again = yield* run(["executions", "import", "-", "--json"], { stdin: before })
      assert.strictEqual(again.code, 0, again.stderr)
      assert.deepStrictEqual(JSON.parse(again.stdout), {
        executions: 0,
        toolCalls: 0,
        interactions: 0,
        existing: 2,
        unfinished: 0
      })
      // Another history: the same under other ids.
      const renamed = before.replaceAll(/"(id|executionId|idempotencyKey)":"/g, '"$1":"other-')
      const open = renamed.split("\n")[0]?.replace(`"id":"other-`, `"id":"open-`).replace(`"completed"`, `"running"`)
      const stdin = `\ufeff${renamed}\r\n${open}\n`
      const added = yield* run(["executions", "import", "-"], { stdin })
      assert.deepStrictEqual([added.code, added.stderr], [0, ""])
      assert.include(added.stdout, "Imported 2 executions, 1 tool call and 0 questions.")
      assert.include(added.stdout, "1 execution had not ended")
      const after = yield* exported
      for (const line of renamed.trimEnd().split("\n")) assert.include(after, `${line}\n`)
      assert.strictEqual(after.length, before.length + renamed.length)
    })
  )

  it.effect("is refused by the line that is wrong", () =>
    Effect.gen(function* () {
      const { folder } = yield* Command
      const before = yield* exported
      const lines = before.split("\n").filter((line) => !line.includes(`"other-`))
      const [first = "", second = "", third = ""] = lines.map((line) => line.replace('"id":"', '"id":"new-'))
      const call = third.replace(`"executionId":"`, `"executionId":"new-`)
      const cases = [
        [["{"], "line 1", "not JSON"],
        [[first, "[]"], "line 2", "type: expected execution, toolCall or interaction"],
        [[first, second.replace('"seed":', '"sead":')], "line 2", "sead: there is no such field"],
        [[first.replace(`"status":"completed"`, `"status":"done"`)], "line 1", "status"],
        [[first.replace(/"resultJson":"(\\.|[^"])*"/, `"resultJson":"{"`)], "line 1", "resultJson: it is not JSON"],
        [[first, call], "line 2", "executionId"],
        [[call], "line 1", "executionId"],
        [[second, call, "", "null"], "line 4", "type"]
      ] as const
      for (const [input, ...words] of cases) {
        const ended = yield* run(["executions", "import", "-"], { stdin: input.join("\n") })
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], words.join(" "))
        for (const word of ["standard input", ...words, "Nothing was imported"]) assert.include(ended.stderr, word)
      }
      assert.strictEqual(yield* exported, before)
      const notText = join(folder, "binary")
      yield* Effect.promise(() => writeFile(notText, Buffer.from([0x7b, 0xff, 0x0a])))
      assert.include((yield* run(["executions", "import", notText])).stderr, `${notText}, line 1: it is not UTF-8`)
      assert.include((yield* run(["executions", "import", join(folder, "none")])).stderr, "ENOENT")
      const remote = yield* run(["--server", "http://127.0.0.1:1", "executions", "import", "-"])
      assert.deepStrictEqual([remote.code, remote.stdout], [2, ""])
    })
  )
})
