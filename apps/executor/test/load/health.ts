/**
 * How long a server takes to say that it is well, asked all the time over one connection.
 */
import { Effect } from "effect"
import { Agent, request } from "node:http"
import { setTimeout } from "node:timers/promises"

const everyMs = 100

/** What was seen of a server's health, in milliseconds. */
export interface HealthSeen {
  readonly asked: number
  /** Requests that were not answered with 200. */
  readonly failed: number
  readonly maxMs: number
  readonly p99Ms: number
  /** Writes of the history that were given up, by the last answer. */
  readonly droppedWrites: number
}

/** How many writes were dropped; nothing if the server does not say that it is well. */
const ask = (agent: Agent, url: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    request(`${url}/health`, { agent }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece))
      response.on("error", () => resolve(undefined))
      response.on("end", () => resolve(response.statusCode === 200 ? JSON.parse(text).droppedWrites : undefined))
    })
      .on("error", () => resolve(undefined))
      .end()
  })

/** Asks until `stop`, which waits for the last answer; `end` does not, as for a server that is killed. */
export const watchHealth = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (stopped) => Effect.sync(() => stopped.abort())
    ),
    (stopped) => {
      const times: Array<number> = []
      let failed = 0
      let droppedWrites = 0
      const watch = async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 })
        while (!stopped.signal.aborted) {
          const askedAt = performance.now()
          const dropped = await ask(agent, url)
          if (dropped === undefined) {
            if (!stopped.signal.aborted) failed++
          } else {
            times.push(performance.now() - askedAt)
            droppedWrites = dropped
          }
          await setTimeout(everyMs, undefined, { signal: stopped.signal }).catch(() => undefined)
        }
        agent.destroy()
      }
      const watched = watch()
      const stop = Effect.promise(async (): Promise<HealthSeen> => {
        stopped.abort()
        await watched
        const sorted = times.toSorted((a, b) => a - b)
        const p99Ms = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0
        return { asked: sorted.length + failed, failed, maxMs: sorted.at(-1) ?? 0, p99Ms, droppedWrites }
      })
      return { stop, end: () => stopped.abort() }
    }
  )
