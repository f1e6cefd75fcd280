/**
 * What the system says a process has used so far.
 */
import { readFileSync } from "node:fs"

/** Of a process; nothing where the system has no `/proc`. */
export interface ProcessFigures {
  readonly peakMemoryMb: number | undefined
  readonly cpuSeconds: number | undefined
}

/** Linux counts CPU time in hundredths of a second, for programs, on every machine. */
const ticksPerSecond = 100

const readProc = (pid: number | undefined, file: string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8")
  } catch {
    return undefined
  }
}

/** Reads them while the process is there. */
export const figuresOf = (pid: number | undefined): ProcessFigures => {
  const peak = /VmHWM:\s+(\d+) kB/.exec(readProc(pid, "status") ?? "")?.[1]
  // The name of the program, in parentheses, may hold spaces.
  const fields = readProc(pid, "stat")?.split(") ").at(-1)?.split(" ")
  return {
    peakMemoryMb: peak === undefined ? undefined : Number(peak) / 1024,
    cpuSeconds: fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  }
}
