/**
 * The settings of how an MCP server treats its client, in their three spellings.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Command, layerCommand } from "./support.ts"

layer(layerCommand, { excludeTestServices: true })("how an MCP server treats its client", (it) => {
  it.effect("is told by flags before the environment before the file, and a bad value is refused by its name", () =>
    Effect.gen(function* () {
      const { folder, mcpSettings, run } = yield* Command
      const settings = (text: string) => Effect.promise(() => writeFile(join(folder, "config.json"), text))
      const mcp = (flags: ReadonlyArray<string>, env = {}) => run(["mcp", ...flags], { env })
      yield* mcp([])
      yield* settings('{ "whenClientLeaves": "cancel", "messageLimit": "1mb" }')
      yield* mcp([])
      yield* mcp([], { EXECUTOR_WHEN_CLIENT_LEAVES: "keep", EXECUTOR_MESSAGE_LIMIT: "2mb" })
      yield* mcp(["--when-client-leaves", "cancel"], { EXECUTOR_WHEN_CLIENT_LEAVES: "keep" })
      const mebibyte = 1024 * 1024
      assert.deepStrictEqual(mcpSettings, [
        {},
        { whenClientLeaves: "cancel", messageBytes: mebibyte },
        { whenClientLeaves: "keep", messageBytes: 2 * mebibyte },
        { whenClientLeaves: "cancel", messageBytes: mebibyte }
      ])
      for (const [flags, env, name, expected] of [
        [["--when-client-leaves", "stay"], {}, "--when-client-leaves", "keep or cancel"],
        [[], { EXECUTOR_MESSAGE_LIMIT: "large" }, "EXECUTOR_MESSAGE_LIMIT", "size"]
      ] as const) {
        const ended = yield* mcp(flags, env)
        assert.strictEqual(ended.code, 2)
        for (const part of [name, expected]) assert.include(ended.stderr, part)
      }
      const { stdout } = yield* run(["mcp", "--help"])
      assert.match(stdout, /--when-client-leaves.*[(]keep[)]/)
      assert.match(stdout, /--message-limit.*[(]16mb[)]/)
    })
  )
})
