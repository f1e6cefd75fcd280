/**
 * The data folder: the database, the configuration, the server's token and the log, for their owner only.
 */
import { Effect } from "effect"
import { chmod, mkdir, stat } from "node:fs/promises"
import { homedir } from "node:os"
import { isAbsolute, join, resolve } from "node:path"
import { CommandFailed } from "./Failure.ts"

/** Environment variables by name. */
export type Environment = { readonly [name: string]: string | undefined }

/** The files of a data folder. */
export const dataFiles = {
  config: (folder: string): string => join(folder, "config.json"),
  database: (folder: string): string => join(folder, "executor.db"),
  log: (folder: string): string => join(folder, "executor.log")
}

/**
 * Where the data folder is: the flag, `EXECUTOR_DATA_DIR`, or `executor` in the XDG data folder (`~/.local/share`).
 */
export const locate = (flag: string | undefined, env: Environment): string => {
  const chosen = flag ?? (env["EXECUTOR_DATA_DIR"] || undefined)
  if (chosen !== undefined) return resolve(chosen)
  const xdg = env["XDG_DATA_HOME"]
  // The specification wants a relative path ignored.
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(env["HOME"] || homedir(), ".local", "share")
  return join(base, "executor")
}

const failed = (folder: string, cause: unknown): CommandFailed =>
  new CommandFailed({
    message: `The data folder ${folder} cannot be used (${cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error"}). Choose another with --data-dir or EXECUTOR_DATA_DIR.`
  })

/** Makes the folder where there is none, readable by its owner only. One that exists is left as it is. */
export const ensure = Effect.fnUntraced(function* (folder: string) {
  yield* Effect.tryPromise({
    try: async () => {
      const created = await mkdir(folder, { recursive: true, mode: 0o700 })
      // The umask may have taken bits that the owner needs.
      if (created !== undefined) await chmod(folder, 0o700)
    },
    catch: (cause) => failed(folder, cause)
  })
  const stats = yield* Effect.tryPromise({ try: () => stat(folder), catch: (cause) => failed(folder, cause) })
  if (!stats.isDirectory()) return yield* failed(folder, undefined)
})
