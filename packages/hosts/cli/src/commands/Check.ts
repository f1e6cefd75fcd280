/**
 * What `doctor` finds, check by check.
 */

/** One thing looked at. `problem` makes the exit code 1. */
export interface Check {
  readonly name: string
  readonly status: "ok" | "problem" | "note"
  readonly detail: string
}

/** It is as it should be. */
export const ok = (name: string, detail: string): Check => ({ name, status: "ok", detail })
/** Something is wrong. */
export const problem = (name: string, detail: string): Check => ({ name, status: "problem", detail })
/** Worth knowing. */
export const note = (name: string, detail: string): Check => ({ name, status: "note", detail })
