/**
 * Processes to kill, started before they are needed.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Done, Job } from "./child.ts"

const file = fileURLToPath(new URL("./child.ts", import.meta.url))

/** Runs jobs. */
export interface Children {
  /** What came of the job; nothing if its process was killed, which is waited for. */
  readonly run: (job: Job, onStart?: (pid: number) => void) => Promise<Done | undefined>
}

/** Keeps so many processes waiting. */
export const make = (waiting: number, compileCache: string): Effect.Effect<Children, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Set<ChildProcess>()),
      (alive) =>
        Effect.sync(() => {
          for (const child of alive) child.kill("SIGKILL")
        })
    ),
    (alive) => {
      const ready: Array<Promise<ChildProcess>> = []
      const start = () =>
        new Promise<ChildProcess>((resolve) => {
          const child = fork(file, {
            execArgv: ["--conditions=@executor/source"],
            env: { ...process.env, NODE_COMPILE_CACHE: compileCache }
          })
          alive.add(child)
          child.once("exit", () => alive.delete(child))
          child.once("message", () => resolve(child))
        })
      while (ready.length < waiting) ready.push(start())
      return {
        run: async (job, onStart) => {
          const child = await (ready.shift() ?? start())
          ready.push(start())
          return new Promise<Done | undefined>((resolve, reject) => {
            let done: Done | undefined
            child.once("message", (message) => (done = message as Done))
            child.once("exit", (code, signal) => {
              if (done !== undefined || signal === "SIGKILL") resolve(done)
              else reject(new Error(`a child ended with ${code ?? signal}`))
            })
            child.send(job)
            if (child.pid !== undefined) onStart?.(child.pid)
          })
        }
      }
    }
  )
