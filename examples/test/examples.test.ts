import { describe, expect, it } from "vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

/** Runs an example as a reader would: on the built packages, in a process of its own. */
const output = async (name: string): Promise<string> => {
  const file = fileURLToPath(new URL(`../${name}.ts`, import.meta.url))
  const { stderr, stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 300_000 })
  expect(stderr).toBe("")
  return stdout
}

describe("the examples print what they promise", () => {
  it("functions as tools", async () => {
    expect(await output("functions")).toBe(
      [
        `result: [{"item":"bolt","count":12},{"item":"nut","count":9}]`,
        `call 0: inventory.count {"item":"bolt"} -> {"item":"bolt","count":12}`,
        `call 1: inventory.count {"item":"washer"} -> {"item":"washer","count":18}`,
        `call 2: inventory.count {"item":"nut"} -> {"item":"nut","count":9}`,
        "trigger: sdk",
        ""
      ].join("\n")
    )
  })

  it("an MCP server as a source", async () => {
    const lines = (await output("mcp-source")).split("\n")
    expect(lines[0]).toBe("everything has tools: true")
    expect(lines[1]).toBe("found: everything.get-sum")
    expect(JSON.parse(lines[2]!.slice("weather: ".length))).toMatchObject({ temperature: expect.any(Number) })
  })

  it("an approval answered in code, inline and by resuming", async () => {
    expect(await output("approval")).toBe(
      [
        `asked: approval mail.send {"to":"ada@example.com","text":"Hello"}`,
        `inline: {"sentTo":"ada@example.com"}`,
        "paused: approval",
        "declined: failed ElicitationDeclined",
        ""
      ].join("\n")
    )
  })

  it("the promise entry", async () => {
    expect(await output("promise")).toBe(["result: 42", "asked: approval greetings.send", "sent: true", ""].join("\n"))
  })
})
