/**
 * Processes of the zoo: each in a group of its own, with an environment that holds nothing of the person who runs it, and ended with
 * its whole group when its time is up.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"

export interface Setting {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

const running = new Set<ChildProcessWithoutNullStreams>()

/** Starts a process at the head of a new group. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  setting: Setting
): ChildProcessWithoutNullStreams => {
  const child = spawn(command, args, { ...setting, stdio: "pipe", detached: true })
  running.add(child)
  return child.once("close", () => running.delete(child))
}

const signal = (pid: number | undefined, name: NodeJS.Signals): void => {
  if (pid === undefined) return
  try {
    process.kill(pid, name)
  } catch {
    // It has ended by itself.
  }
}

/** Ends a process and all of its group. */
export const end = (child: ChildProcessWithoutNullStreams): void => {
  if (child.pid !== undefined) signal(-child.pid, "SIGKILL")
}

export interface Ended {
  /** `null` for a process that a signal ended. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

/** How long a process that is told to end may take for it, in milliseconds. */
const patience = 15_000

/** Runs a process to its end. After `seconds` it is told to end, and later killed. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  setting: Setting,
  seconds: number,
  input = ""
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const started = performance.now()
    const child = start(command, args, setting)
    let [stdout, stderr] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    // A process that ends before it has read its input is judged by how it ended.
    child.stdin.on("error", () => {}).end(input)
    const late = setTimeout(() => {
      stderr += `\nended after ${seconds} s`
      signal(child.pid, "SIGTERM")
    }, seconds * 1000)
    const killed = setTimeout(() => end(child), seconds * 1000 + patience)
    child.once("error", reject)
    child.once("close", (code) => {
      clearTimeout(late)
      clearTimeout(killed)
      resolve({ code, stdout, stderr, seconds: (performance.now() - started) / 1000 })
    })
  })

/** The ids of processes that have `mark` in their environment. Linux tells it; elsewhere there seem to be none. */
const marked = (mark: string): ReadonlyArray<number> =>
  !existsSync("/proc/self/environ")
    ? []
    : readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .filter((pid) => {
          try {
            return readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark)
          } catch {
            return false
          }
        })
        .map(Number)

/** Kills what outlived its parents: processes that have `mark` in their environment. Gives how many there were. */
export const killStrays = async (mark: string): Promise<number> => {
  for (let look = 0; look < 30 && marked(mark).length > 0; look++) {
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const strays = marked(mark)
  for (const pid of strays) signal(pid, "SIGKILL")
  return strays.length
}

/** Ends, at once, all that was started and all that has `mark` in its environment. */
export const endAll = (mark: string): void => {
  for (const child of running) end(child)
  for (const pid of marked(mark)) signal(pid, "SIGKILL")
}
