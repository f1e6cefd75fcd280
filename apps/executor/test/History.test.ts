/**
 * The history as a whole, with the built command as processes: out of a data folder, through a server, and into another folder.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { everythingServer, history, makeCli, serve } from "./support.ts"

const withHistory = Effect.fnUntraced(function* () {
  const cli = yield* makeCli()
  const added = yield* cli.run(["sources", "add", "mcp", "everything", "--", ...everythingServer])
  assert.strictEqual(added.code, 0, added.stderr)
  const code = `await tools.everything["get-sum"]({ a: 1, b: 2 }); await tools.everything["toggle-simulated-logging"]({})`
  yield* cli.run(["run", "-e", code, "--approve", "everything.*"])
  const waits = yield* cli.run(["run", "--json", "-e", code])
  yield* cli.run(["resume", JSON.parse(waits.stdout).executionId, "--decline"])
  yield* cli.run(["run", "-e", "console.log('é😀'); return '\\u0000\\ud83d'.repeat(3)"])
  return cli
})

describe("the history", () => {
  it.live("is the same in the folder that it was exported to, also through a server", () =>
    Effect.gen(function* () {
      const cli = yield* withHistory()
      const file = join(cli.folder, "..", "history.jsonl")
      const written = yield* cli.run(["executions", "export", "--output", file])
      assert.deepStrictEqual([written.code, written.stdout], [0, ""])
      const text = yield* Effect.promise(() => readFile(file, "utf8"))
      const types = text.trimEnd().split("\n")
      assert.strictEqual(types.length, 3 + 4 + 1)

      const { run } = yield* serve(cli)
      assert.strictEqual((yield* run(["executions", "export"])).stdout, text)
      const csv = yield* cli.run(["executions", "export", "--format", "csv"])
      assert.strictEqual((yield* run(["executions", "export", "--format", "csv"])).stdout, csv.stdout)
      assert.strictEqual(csv.stdout.split("\r\n").length, 1 + 3 + 1)

      const other = yield* makeCli()
      const imported = yield* other.run(["executions", "import", file])
      assert.deepStrictEqual([imported.code, imported.stderr], [0, ""])
      assert.include(imported.stdout, "Imported 3 executions, 4 tool calls and 1 question.")
      assert.strictEqual((yield* other.run(["executions", "export"])).stdout, text)
      const again = yield* other.run(["executions", "import", "-"], { stdin: text })
      assert.include(again.stdout, "3 executions were there already")
      assert.strictEqual((yield* other.run(["executions", "export"])).stdout, text)
      const found = yield* other.run(["executions", "list", "--tool", "everything.*", "--json"])
      assert.strictEqual(JSON.parse(found.stdout).executions.length, 2)
    })
  )

  it.live("is read by a program that takes only its beginning", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["run", "-e", "return 'x'.repeat(1_000_000)"])
      const [, first = ""] = /^(.*)\n$/.exec((yield* cli.run(["executions", "export"])).stdout) ?? []
      const many = Array.from({ length: 60 }, (_, index) => `${first.replace('"id":"', `"id":"${index}-`)}\n`)
      const file = join(cli.folder, "..", "many.jsonl")
      yield* Effect.promise(() => writeFile(file, many.join("")))
      assert.strictEqual((yield* cli.run(["executions", "import", file])).code, 0)
      const { child, ended } = yield* cli.start(["executions", "export"])
      child.stdout?.once("data", () => child.stdout?.destroy())
      const { code, stderr } = yield* ended
      assert.deepStrictEqual([code, stderr], [0, ""])
    })
  )

  it.live("is kept whole by a server unless it is told how much to keep", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      for (const n of [1, 2, 3]) yield* cli.run(["run", "-e", `return ${n}`])
      const { server } = yield* serve(cli)
      assert.strictEqual((yield* history(cli)).length, 3)
      server.child.kill("SIGTERM")
      yield* server.ended

      yield* Effect.promise(() => writeFile(join(cli.folder, "config.json"), '{ "retainFor": "7d" }'))
      yield* serve(cli, "--retain-count", "1")
      const left = yield* history(cli).pipe(Effect.repeat({ until: (rows) => rows.length === 1 }))
      assert.strictEqual(left[0]?.codePreview, "return 3")
      const large = yield* cli.run(["run", "-e", "return 'x'.repeat(2_000)"])
      assert.strictEqual(large.code, 0, large.stderr)
      yield* cli.run(["run", "-e", "return 4"])
      yield* Effect.promise(() => writeFile(join(cli.folder, "config.json"), '{ "retainSize": "1kb" }'))
      yield* serve(cli)
      const small = yield* history(cli).pipe(Effect.repeat({ until: (rows) => rows.length === 1 }))
      assert.strictEqual(small[0]?.codePreview, "return 4")
      const wrong = yield* cli.run(["serve", "--retain-for", "soon", "--port", "0"])
      assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
      assert.include(wrong.stderr, "--retain-for")
    })
  )

  it.live("has counters that doctor checks and repairs", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      yield* cli.run(["run", "-e", "return 1"])
      const counters = (...flags: ReadonlyArray<string>) =>
        Effect.map(cli.run(["doctor", "--json", ...flags]), ({ code, stdout }) => [
          code,
          JSON.parse(stdout).checks.find(({ name }: { readonly name: string }) => name === "counters").detail
        ])
      assert.deepStrictEqual(yield* counters(), [0, "they add up"])
      const database = new DatabaseSync(join(cli.folder, "executor.db"))
      database.exec("UPDATE execution_rollup SET executions = 5 WHERE period = 0")
      database.close()
      const [code, detail] = yield* counters()
      assert.strictEqual(code, 1)
      assert.include(detail, "they tell of 5 executions where 1 have ended")
      assert.include(detail, "doctor --repair")
      assert.deepStrictEqual(yield* counters("--repair"), [0, "made anew; wrong were 1 row of execution_rollup"])
      assert.deepStrictEqual(yield* counters("--repair"), [0, "made anew; nothing was different"])
    })
  )

  it.live("gives the space of what was removed back, also in a file that could not", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const file = join(cli.folder, "executor.db")
      yield* cli.run(["run", "-e", "return 1"])
      const old = new DatabaseSync(file)
      old.exec("PRAGMA auto_vacuum = NONE")
      old.exec("VACUUM")
      old.close()
      const space = (...flags: ReadonlyArray<string>) =>
        Effect.map(cli.run(["doctor", "--json", ...flags]), ({ code, stdout }) => [
          code,
          JSON.parse(stdout).checks.find(({ name }: { readonly name: string }) => name === "free space")
        ])
      const [code, found] = yield* space()
      assert.deepStrictEqual([code, found.status], [0, "note"])
      assert.include(found.detail, "doctor --repair")
      const [repaired, after] = yield* space("--repair")
      assert.deepStrictEqual([repaired, after.status], [0, "ok"])
      assert.include(after.detail, "written anew")

      for (let i = 0; i < 3; i++) {
        const random = `let text = ""; while (text.length < 2_000_000) text += Math.random().toString(36); return text`
        assert.strictEqual((yield* cli.run(["run", "-e", random])).code, 0)
      }
      const full = (yield* Effect.promise(() => stat(file))).size
      const { stdout } = yield* cli.run(["executions", "prune", "--keep", "0", "--yes"])
      assert.match(stdout, /^Removed 4 executions\. [\d.]+ mb went back to the disk\. /)
      assert.isBelow((yield* Effect.promise(() => stat(file))).size, full / 2)
      assert.deepStrictEqual((yield* space())[1].status, "ok")
    })
  )

  it.live("leaves no file behind when its export fails", () =>
    Effect.gen(function* () {
      const cli = yield* withHistory()
      const file = join(cli.folder, "..", "history.jsonl")
      const ended = yield* cli.run(["--server", "http://127.0.0.1:1", "executions", "export", "--output", file])
      assert.strictEqual(ended.code, 1)
      assert.include(ended.stderr, "cannot be reached")
      const read = yield* Effect.flip(Effect.tryPromise(() => readFile(file)))
      assert.include(String(read.cause), "ENOENT")
    })
  )
})
