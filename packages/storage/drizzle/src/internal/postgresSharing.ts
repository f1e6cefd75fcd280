/**
 * One PostgreSQL server for all test files of a run, which run in processes of their own.
 *
 * The process that runs them all listens on a port of this machine, and tells its children which one, with a word that
 * only they know, in the environment. The first that asks has the server started; all are told its URL. It ends with that
 * process, however that ends.
 */
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import { text } from "node:stream/consumers"
import { type PostgresServer, startPostgres } from "./postgresServer.ts"

const variable = "EXECUTOR_TEST_POSTGRES"

/** Lets this process and its children share a server; gives what ends it. To be used as a global setup of Vitest. */
export const sharePostgres = async (): Promise<() => Promise<void>> => {
  const word = randomUUID()
  let server: Promise<PostgresServer> | undefined
  const listener = createServer((socket) => {
    socket.on("error", () => undefined)
    socket.once("data", (asked) => {
      if (String(asked) !== word) {
        socket.destroy()
        return
      }
      server ??= startPostgres()
      server.then(
        ({ url }) => socket.end(JSON.stringify({ url })),
        (error) => socket.end(JSON.stringify({ error: String(error) }))
      )
    })
  }).listen(0, "127.0.0.1")
  await once(listener, "listening")
  const address = listener.address()
  process.env[variable] = `${address !== null && typeof address === "object" ? address.port : 0} ${word}`
  return async () => {
    listener.close()
    const started = await server?.catch(() => undefined)
    await started?.end()
  }
}

/** The URL of the shared server, if there is one. */
export const sharedPostgres = async (): Promise<string | undefined> => {
  const [port, word] = process.env[variable]?.split(" ") ?? []
  if (port === undefined || word === undefined) return undefined
  const socket = connect(Number(port), "127.0.0.1")
  socket.write(word)
  const { error, url } = JSON.parse(await text(socket))
  if (error !== undefined) throw new Error(error)
  return url
}
