/**
 * The name under which a process runs executions, so that another process on the same machine can tell whether it is gone.
 */
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"

/** A name for this process: its id, its machine, and something that no other process ever has. */
export const makeOwner = (): string => `${process.pid}@${hostname()}/${randomUUID()}`

/**
 * Whether the process of a name is gone for certain. One of another machine, or whose name has another form, may live. A process id
 * that was given out anew makes it seem alive.
 */
export const isGone = (owner: string | null): boolean => {
  const match = /^(\d+)@(.+)\/[0-9a-f-]{36}$/.exec(owner ?? "")
  if (match === null || match[2] !== hostname()) return false
  try {
    process.kill(Number(match[1]), 0)
    return false
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "ESRCH"
  }
}
