/**
 * The data folder: the database, the configuration, the server's token and the log, for their owner only.
 */
import { Effect } from "effect"
import { mkdir, mkdtemp, rmdir, stat } from "node:fs/promises"
import { homedir } from "node:os"
import { dirname, isAbsolute, join, resolve } from "node:path"
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

const failed = (folder: string, why: string): CommandFailed =>
  new CommandFailed({
    message: `The data folder ${folder} cannot be used (${why}). Choose another with --data-dir or EXECUTOR_DATA_DIR.`
  })

const reasons: ReadonlyMap<string, string> = new Map([
  ["EACCES", "this user may not make it"],
  ["EPERM", "this user may not make it"],
  ["EROFS", "its disk is read-only"],
  ["ENOSPC", "the disk is full"],
  ["ENOTDIR", "a part of its path is no folder"]
])

const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause ? String(cause.code) : undefined

/** Whether a folder that is not there could be made. Permissions do not tell: nobody can make one in /proc. */
export const canBeMade = async (folder: string): Promise<boolean> => {
  const above = dirname(folder)
  const isThere = await stat(above).then(
    () => true,
    () => false
  )
  if (!isThere && above !== folder) return canBeMade(above)
  return mkdtemp(join(above, ".executor-"))
    .then(rmdir)
    .then(
      () => true,
      () => false
    )
}

/**
 * Makes the folder with the folders above it. Not with `recursive`, which never comes back where a parent exists and nothing can be
 * made in it (`/proc`).
 */
const makeFolder = async (folder: string): Promise<void> => {
  const make = () =>
    mkdir(folder, { mode: 0o700 }).catch((cause: unknown) => {
      if (codeOf(cause) !== "EEXIST") throw cause
    })
  try {
    await make()
  } catch (cause) {
    const parent = dirname(folder)
    const parentIsThere = await stat(parent).then(
      () => true,
      () => false
    )
    if (codeOf(cause) !== "ENOENT" || parentIsThere) throw cause
    await makeFolder(parent)
    await make()
  }
}

/** Makes the folder where there is none, readable by its owner only. One that exists is left as it is. */
export const ensure = Effect.fnUntraced(function* (folder: string) {
  const isFolder = yield* Effect.tryPromise({
    try: async () => {
      await makeFolder(folder)
      return (await stat(folder)).isDirectory()
    },
    catch: (cause) => failed(folder, reasons.get(codeOf(cause) ?? "") ?? codeOf(cause) ?? "unknown error")
  })
  if (!isFolder) return yield* failed(folder, "it is no folder")
})
