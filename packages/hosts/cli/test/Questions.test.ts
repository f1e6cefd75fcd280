/**
 * Questions to the person, and the line that shows that work goes on.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Command, layerCommand } from "./support.ts"

const live = { excludeTestServices: true } as const

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

layer(layerCommand, live)("questions", (it) => {
  it.effect("wait where nobody can be asked, and the person is told how to answer them", () =>
    Effect.gen(function* () {
      const waits = yield* run(["call", "shop.order-now", "item=tea"])
      assert.deepStrictEqual([waits.code, waits.stdout], [3, ""])
      const [, id] = /executor resume (\S+) --accept/.exec(waits.stderr) ?? []
      if (id === undefined) return assert.fail(waits.stderr)
      const ended = yield* run(["resume", id, "--accept", "--json"])
      assert.deepStrictEqual(JSON.parse(ended.stdout).result, { ordered: { item: "tea" } })
    })
  )

  it.effect("of a tool that has begun are answered with cancel there, as it would end with the process", () =>
    Effect.gen(function* () {
      const ended = yield* run(["call", "shop.ask"])
      assert.strictEqual(ended.code, 0)
      assert.include(ended.stderr, "nobody to ask, so this question was answered with cancel")
      assert.deepStrictEqual(JSON.parse(ended.stdout), { action: "cancel" })
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
      assert.strictEqual(yes.stderr.split("tea").length, 2, "the arguments are shown once")
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
      assert.include(
        ended.stderr,
        `\nThe question was left open, so execution ${executions[0].execution.id} was cancelled.\n`
      )
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
      const { executions } = JSON.parse((yield* run(["executions", "list", "--json", "--limit", "1"])).stdout)
      const { errorText, status } = executions[0].execution
      assert.deepStrictEqual([status, /cancelled on request/.test(errorText)], ["cancelled", true], errorText)
    })
  )
})
