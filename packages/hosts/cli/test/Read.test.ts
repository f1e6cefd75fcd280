/**
 * Reading the history and the catalog.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Command, layerCommand } from "./support.ts"

const live = { excludeTestServices: true } as const

const run = (...[args, call]: Parameters<Command["Service"]["run"]>) =>
  Command.use((command) => command.run(args, call))

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
          codes: executions.map((entry: { execution: { codePreview: string } }) =>
            entry.execution.codePreview.slice(0, 8)
          ),
          nextCursor
        }
      })
      assert.deepStrictEqual((yield* codes()).codes, ["return a", "throw ne", "return '"])
      assert.deepStrictEqual((yield* codes("--status", "failed")).codes, ["throw ne"])
      assert.strictEqual((yield* codes("--status", "failed,completed")).codes.length, 3)
      assert.deepStrictEqual((yield* codes("--tool", "shop.*")).codes, ["return a"])
      assert.deepStrictEqual((yield* codes("--code", "FIRST")).codes, ["return '"])
      assert.deepStrictEqual((yield* codes("--status", "!failed")).codes, ["return a", "return '"])
      assert.deepStrictEqual((yield* codes("--tool", "*.add")).codes, ["return a"])
      assert.deepStrictEqual((yield* codes("--tool", "!shop.add")).codes, ["throw ne", "return '"])
      assert.deepStrictEqual((yield* codes("--query", "SECOND")).codes, ["throw ne"])
      assert.deepStrictEqual((yield* codes("--query", '"b":1')).codes, ["return a"])
      assert.deepStrictEqual((yield* codes("--trigger", "http")).codes, [])
      assert.deepStrictEqual((yield* codes("--trigger", "!cli")).codes, [])
      assert.strictEqual((yield* codes("--trigger", "http\\,x,=cli")).codes.length, 3)
      assert.deepStrictEqual((yield* codes("--asked", "yes")).codes, [])
      assert.strictEqual((yield* codes("--asked", "no")).codes.length, 3)
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

  it.effect("lists an execution on one line, however long its code, and shows who started it", () =>
    Effect.gen(function* () {
      const code = `return 1 // ${"long ".repeat(200)}`
      const { executionId } = JSON.parse((yield* run(["run", "--json", "-e", code])).stdout)
      const { stdout } = yield* run(["executions", "list", "--limit", "1"])
      const line = stdout.split("\n").find((text) => text.startsWith(executionId)) ?? ""
      assert.isAtMost(line.length, 120)
      assert.match(line, /return 1 .*…$/)
      const shown = yield* run(["executions", "get", executionId])
      assert.match(shown.stdout, /^Trigger +cli$/m)
      assert.match(shown.stdout, /^Client +executor 1\.2\.3$/m)
      assert.include(shown.stdout, code.trimEnd())
    })
  )

  it.effect("refuses filters that are none, by name", () =>
    Effect.gen(function* () {
      const cases = [
        [["--status", "done"], "--status"],
        [["--status", "!"], "--status"],
        [["--trigger", "cli,"], "--trigger"],
        [["--tool", "!"], "--tool"],
        [["--query", "ab"], "--query"],
        [["--from", "2026-01-02", "--to", "2026-01-01"], "--from"],
        [["--from", "yesterday"], "--from"],
        [["--from", "2026-02-30"], "--from"],
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
      const every = JSON.parse((yield* run(["search", "--json"])).stdout)
      assert.includeMembers(
        every.tools.map((tool: { path: string }) => tool.path),
        ["shop.add", "shop.ask", "shop.order-now", "shop.wait"]
      )
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
        [["files", "--env", "TOKEN=secret", "--", "npx"], "Set TOKEN in the environment"],
        [["files", "--env", "MY-TOKEN", "--", "npx"], '"MY-TOKEN" is not the name'],
        [["files", "--start-timeout", "soon", "--", "npx"], '--start-timeout: "soon"']
      ] as const
      for (const [args, message] of cases) {
        const ended = yield* run(["sources", "add", "mcp", ...args])
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""], args.join(" "))
        assert.include(ended.stderr, message)
        assert.notInclude(ended.stderr, "secret")
      }
      const flag = yield* run(["sources", "add", "mcp", "files", "npx", "-y", "server"])
      assert.deepStrictEqual([flag.code, flag.stdout], [2, ""])
      assert.include(flag.stderr, "<namespace> -- <command...>")
    })
  )
})
