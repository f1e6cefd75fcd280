/**
 * Forking, replaying, doing once, and everything that waits, as a person and a program see it.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Command, layerCommand } from "./support.ts"

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

layer(layerCommand, { excludeTestServices: true })("journals", (it) => {
  it.effect("are run again with other code, and to compare", () =>
    Effect.gen(function* () {
      const failing = "const n = await tools.shop.add({ a: 1, b: 2 }); throw new Error('no ' + n)"
      const failed = yield* run(["run", "--json", "-e", failing])
      const { executionId } = JSON.parse(failed.stdout)
      const same = yield* run(["replay", executionId])
      assert.deepStrictEqual([same.code, same.stdout.trim()], [0, "same: 1 call, failed"])

      const fixed = {
        stdin: "const n = await tools.shop.add({ a: 1, b: 2 }); return n + (await tools.shop.add({ a: 3, b: 4 }))"
      }
      const preview = yield* run(["fork", executionId, "--code", "-", "--dry-run"], fixed)
      assert.strictEqual(preview.code, 0, preview.stderr)
      assert.include(preview.stdout, "1 of 1 calls would be reused; the first made anew is call 1")
      const forked = yield* run(["fork", executionId, "--code", "-", "--json", "--idempotency-key", "f"], fixed)
      assert.strictEqual(forked.code, 0, forked.stderr)
      assert.include(
        forked.stderr,
        `1 of 1 calls were reused; the first made anew is call 1, shop.add({"a":3,"b":4}): the journal ends before it.`
      )
      assert.strictEqual((yield* run(["fork", executionId, "--code", "-", "--any-build"], fixed)).code, 0)
      const { report, ...outcome } = JSON.parse(forked.stdout)
      assert.deepInclude(outcome, { result: 10, parentExecutionId: executionId })
      assert.deepInclude(report, { reused: 1, recorded: 1 })
      const again = yield* run(["fork", executionId, "--code", "-", "--json", "--idempotency-key", "f"], fixed)
      assert.strictEqual(JSON.parse(again.stdout).executionId, outcome.executionId)
      const shown = yield* run(["executions", "get", outcome.executionId])
      assert.include(shown.stdout, `Parent       ${executionId}`)
    })
  )

  it.effect("a fork makes a call again that had failed, and says so", () =>
    Effect.gen(function* () {
      const code = "return await tools.shop.add({ a: 'one', b: 2 })"
      const { executionId } = JSON.parse((yield* run(["run", "--json", "-e", code])).stdout)
      const preview = yield* run(["fork", executionId, "--code", "-", "--dry-run"], { stdin: code })
      assert.strictEqual(
        preview.stdout.trim(),
        '0 of 1 calls would be reused; the first made anew is call 0, shop.add({"a":"one","b":2}): it has no outcome that can be reused, as it failed or was not told.'
      )
    })
  )

  it.effect("a key has a run done once", () =>
    Effect.gen(function* () {
      const once = ["run", "--json", "--idempotency-key", "k1", "-e", "return Math.random()"]
      const [first, second] = [yield* run(once), yield* run(once)]
      assert.strictEqual(JSON.parse(first.stdout).executionId, JSON.parse(second.stdout).executionId)
      const other = yield* run(["run", "--idempotency-key", "k1", "-e", "return 2"])
      assert.strictEqual(other.code, 1)
      assert.include(other.stderr, "was used for other code")
    })
  )

  it.effect("the inbox has what waits, and nothing once it is answered", () =>
    Effect.gen(function* () {
      const { stdout } = yield* run(["call", "shop.order-now", "item=tea", "--json"])
      const { executionId, interaction } = JSON.parse(stdout)
      const listed = yield* run(["inbox"])
      assert.include(listed.stdout, executionId)
      assert.include(listed.stderr, "executor resume <execution> --interaction <question> --accept")
      const { interactions } = JSON.parse((yield* run(["inbox", "--json"])).stdout)
      assert.deepStrictEqual(
        interactions.map((each: { interaction: { id: string } }) => each.interaction.id),
        [interaction.id]
      )
      const second = JSON.parse((yield* run(["call", "shop.order-now", "item=milk", "--json"])).stdout)
      const short = yield* run(["inbox", "--limit", "1"])
      assert.notInclude(short.stdout, second.executionId)
      const [, cursor = ""] = /There are more: --cursor (\S+)/.exec(short.stderr) ?? []
      assert.include(listed.stdout, interaction.id)
      const rest = yield* run(["inbox", "--cursor", cursor])
      assert.include(rest.stdout, second.executionId)
      assert.notInclude(rest.stdout, executionId)
      assert.strictEqual((yield* run(["inbox", "--cursor", "x"])).code, 2)
      for (const each of [{ executionId, interaction }, second]) {
        yield* run(["resume", each.executionId, "--interaction", each.interaction.id, "--accept"])
      }
      assert.deepStrictEqual(JSON.parse((yield* run(["inbox", "--json"])).stdout), { interactions: [] })
    })
  )
})
