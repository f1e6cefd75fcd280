/**
 * What a person waits for: the command's whole processes, from start to exit or to the first answer.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { inTurn, median, report, time } from "./Measure.ts"

const bin = fileURLToPath(new URL("../../apps/executor/bin/executor.js", import.meta.url))

const start = (folder: string, args: ReadonlyArray<string>) =>
  spawn(process.execPath, args, {
    env: { ...process.env, EXECUTOR_DATA_DIR: folder, EXECUTOR_SERVER: "" },
    stdio: "pipe"
  })

/** Starts a process, and resolves when `until` says of its output that it is enough; then ends it. */
const startUntil = async <A>(
  folder: string,
  args: ReadonlyArray<string>,
  input: string,
  until: (output: string) => A | undefined,
  then: (answer: A, pid: number) => Promise<void> = async () => {}
): Promise<void> => {
  const child = start(folder, args)
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
  let output = ""
  const answer = await new Promise<A>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${args.join(" ")} ended with ${code}: ${output}`)))
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
      const found = until(output)
      if (found !== undefined) resolve(found)
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
    child.stdin.write(input)
  })
  await then(answer, child.pid!)
  child.kill("SIGTERM")
  await closed
}

const toExit = (folder: string, args: ReadonlyArray<string>) =>
  new Promise<void>((resolve, reject) => {
    const child = start(folder, args)
    child.stdout.resume()
    child.stderr.resume()
    child.stdin.end()
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${args.join(" ")} ended with ${code}`))))
  })

const initialize = `${JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "bench", version: "1.0.0" } }
})}\n`

/** Resident memory of a process in MB. Linux only. */
const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** Measures the built command on a data folder of its own. */
export const measure = async (folder: string): Promise<void> => {
  const empty = () => time(() => toExit(folder, ["-e", "0"]))
  const help = await inTurn(11, () => time(() => toExit(folder, [bin, "--help"])), empty)
  report({
    what: "executor --help",
    value: help.subject,
    unit: "ms",
    aim: 4 * help.baseline,
    baseline: { what: "node -e 0", value: help.baseline }
  })
  const run = await inTurn(11, () => time(() => toExit(folder, [bin, "run", "-e", "return 1"])), empty)
  report({
    what: "executor run -e 'return 1'",
    value: run.subject,
    unit: "ms",
    aim: 400,
    baseline: { what: "node -e 0", value: run.baseline }
  })
  const answered = async () => {
    const started = performance.now()
    let ms = 0
    await startUntil(
      folder,
      [bin, "mcp"],
      initialize,
      (output) => (output.includes('"protocolVersion"') ? true : undefined),
      async () => {
        ms = performance.now() - started
      }
    )
    return ms
  }
  const mcp = await inTurn(11, answered, empty)
  report({
    what: "executor mcp answers initialize",
    value: mcp.subject,
    unit: "ms",
    aim: 400,
    baseline: { what: "node -e 0", value: mcp.baseline }
  })

  const resident: Array<number> = []
  for (let round = 0; round < 3; round++) {
    await startUntil(
      folder,
      [bin, "serve", "--port", "0"],
      "",
      (output) => /http:\/\/[\w.:[\]]+/.exec(output)?.[0],
      async (url, pid) => {
        await fetch(`${url}/health`)
        await new Promise((resolve) => setTimeout(resolve, 2000))
        resident.push(residentMb(pid))
      }
    )
  }
  report({ what: "memory of an idle server", value: median(resident), unit: "MB", aim: 120 })
}
