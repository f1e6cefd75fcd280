/**
 * What a person waits for who answers in a terminal: the whole command, on an execution that another process left waiting.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { inTurn, report, time } from "../Measure.ts"

const bin = fileURLToPath(new URL("../../../apps/executor/bin/executor.js", import.meta.url))
const server = fileURLToPath(new URL("./server.ts", import.meta.url))

/** Runs the command, which must end with one of the codes, and gives what it printed. */
const run = (folder: string, args: ReadonlyArray<string>, codes: ReadonlyArray<number>) =>
  new Promise<string>((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, EXECUTOR_DATA_DIR: folder, EXECUTOR_SERVER: "" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    let errors = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
    child.once("close", (code) =>
      codes.includes(code ?? -1)
        ? resolve(output)
        : reject(new Error(`${args.join(" ")} ended with ${code}: ${errors}`))
    )
  })

/** Measures the built command on a data folder of its own. */
export const measure = async (folder: string): Promise<void> => {
  await run(folder, [bin, "sources", "add", "mcp", "s", "--", process.execPath, server], [0])
  const pause = async (): Promise<string> => {
    const output = await run(folder, [bin, "run", "--json", "-e", "return await tools.s.send({})"], [3])
    return (JSON.parse(output) as { readonly executionId: string }).executionId
  }
  const resumed = await inTurn(
    11,
    async () => {
      const id = await pause()
      return time(() => run(folder, [bin, "resume", id, "--accept"], [0]))
    },
    () => time(() => run(folder, ["-e", "0"], [0]))
  )
  report({
    what: "executor resume, from command to result",
    value: resumed.subject,
    unit: "ms",
    aim: 500,
    baseline: { what: "node -e 0", value: resumed.baseline }
  })
}
