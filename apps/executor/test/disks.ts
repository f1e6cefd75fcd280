/**
 * Disks that refuse to be written, for real: a small one that is filled, the limit that a process has on the size of its files, and a
 * folder of somebody else.
 */
import { Effect, type Scope } from "effect"
import { execFileSync, type SpawnOptions } from "node:child_process"
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const isRoot = process.getuid?.() === 0

const works = (command: string, ...args: ReadonlyArray<string>): boolean => {
  try {
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** A disk that can be made full, and have room again. `pid` is a process that writes to it. */
export interface Disk {
  /** A folder on it. */
  readonly folder: string
  readonly fill: (pid: number) => void
  readonly free: (pid: number) => void
}

/** One way to have such a disk. */
export interface DiskKind {
  readonly name: string
  /** Whether this machine and this user can have it. */
  readonly isPossible: boolean
  readonly make: Effect.Effect<Disk, never, Scope.Scope>
}

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "executor-disk-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const mount = (folder: string): boolean => works("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder)
const unmount = (folder: string): boolean => works("umount", "-l", folder)

const canMount = (): boolean => {
  if (!isRoot || process.platform !== "linux") return false
  const folder = mkdtempSync(join(tmpdir(), "executor-disk-"))
  const mounted = mount(folder) && unmount(folder)
  rmSync(folder, { recursive: true })
  return mounted
}

/** Writes until nothing more fits. */
const fillUp = (file: string): void => {
  const descriptor = openSync(file, "w")
  try {
    for (;;) writeSync(descriptor, Buffer.alloc(4096))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOSPC") throw cause
  } finally {
    closeSync(descriptor)
  }
}

/** A file system of 2 MB in memory. */
export const smallDisk: DiskKind = {
  name: "a small disk",
  isPossible: canMount(),
  make: Effect.gen(function* () {
    const folder = yield* temporaryFolder
    yield* Effect.acquireRelease(
      Effect.sync(() => mount(folder)),
      () => Effect.sync(() => unmount(folder))
    )
    const file = join(folder, "fills-the-disk")
    return { folder, fill: () => fillUp(file), free: () => rmSync(file) }
  })
}

/** What the system lets one process write to a file, which ordinary users can change. */
export const fileLimit: DiskKind = {
  name: "a limit on the size of files",
  isPossible: works("prlimit", "--version"),
  make: Effect.map(temporaryFolder, (folder) => ({
    folder,
    fill: (pid) => void execFileSync("prlimit", ["--pid", String(pid), "--fsize=1:"]),
    free: (pid) => void execFileSync("prlimit", ["--pid", String(pid), "--fsize=unlimited:"])
  }))
}

/** Somebody else, who may read everything, so that this works in a private folder too. */
const reader = [
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  "--inh-caps=+dac_read_search",
  "--ambient-caps=+dac_read_search"
]
const hasReader = isRoot && works("setpriv", ...reader, "true")

/** A command of a user who may only read. Root may write anywhere, so it sends somebody else; for others the modes of files are enough. */
export const asReader = (
  program: string,
  args: ReadonlyArray<string>
): readonly [program: string, args: ReadonlyArray<string>, options: SpawnOptions] => {
  if (hasReader) return ["setpriv", [...reader, program, ...args], {}]
  return [program, args, isRoot ? { uid: 65_534, gid: 65_534 } : {}]
}

const chmodAll = (folder: string, mode: number, fileMode: number): void => {
  chmodSync(folder, mode)
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), fileMode)
}

/** Makes a folder and its files readable by all and writable by nobody, until the scope ends. */
export const makeReadOnly = (folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      chmodSync(dirname(folder), 0o755)
      chmodAll(folder, 0o555, 0o444)
    }),
    () => Effect.sync(() => chmodAll(folder, 0o700, 0o600))
  )
