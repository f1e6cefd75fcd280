/**
 * Processes to kill, started before they are needed.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import type { Done, Job } from "./child.ts"

/** Starts a program of this folder from its bundle (see `scripts/bundle-programs.ts`). */
export const start = (name: "child" | "racer"): ChildProcess =>
  fork(join(process.env["EXECUTOR_TEST_PROGRAMS"] ?? "", `chaos-${name}.js`))

/** Runs jobs. */
export interface Children {
  /** What came of the job; nothing if its process was killed, which is waited for. */
  readonly run: (job: Job, onStart?: (pid: number) => void) => Promise<Done | undefined>
}

/** Keeps so many processes waiting. */
export const make = (waiting: number): Effect.Effect<Children, never, Scope.Scope> =>
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
      const next = () =>
        new Promise<ChildProcess>((resolve) => {
          const child = start("child")
          alive.add(child)
          child.once("exit", () => alive.delete(child))
          child.once("message", () => resolve(child))
        })
      while (ready.length < waiting) ready.push(next())
      return {
        run: async (job, onStart) => {
          const child = await (ready.shift() ?? next())
          ready.push(next())
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
