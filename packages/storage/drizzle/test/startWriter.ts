import { Effect } from "effect"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { fileURLToPath } from "node:url"

const writerFile = fileURLToPath(new URL("./fixtures/writer.ts", import.meta.url))

interface Writer {
  readonly process: ChildProcessByStdio<null, Readable, Readable>
  /** The lines it has printed. */
  readonly lines: Array<string>
  /** Its error output and exit code, when it has ended. */
  readonly ended: Promise<{ readonly errors: string; readonly code: number | null }>
}

/** Starts a process that writes (see `fixtures/writer.ts`), and ends it with the scope. */
export const startWriter = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): Writer => {
      const child = spawn(process.execPath, ["--conditions=@executor/source", writerFile, ...args], {
        stdio: ["ignore", "pipe", "pipe"]
      })
      const lines: Array<string> = []
      createInterface(child.stdout).on("line", (line) => lines.push(line))
      let errors = ""
      child.stderr.on("data", (chunk) => {
        errors += String(chunk)
      })
      return { process: child, lines, ended: once(child, "close").then(([code]) => ({ errors, code })) }
    }),
    (writer) =>
      Effect.promise(async () => {
        writer.process.kill("SIGKILL")
        await writer.ended
      })
  )
