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
}

const ask = (agent: Agent, url: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    request(`${url}/health`, { agent }, (response) => {
      response.resume()
      response.on("error", () => resolve(undefined))
      response.on("end", () => resolve(response.statusCode))
    })
      .on("error", () => resolve(undefined))
      .end()
  })

/** Asks until `stop`, which waits for the last answer. */
export const watchHealth = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (stopped) => Effect.sync(() => stopped.abort())
    ),
    (stopped) => {
      const times: Array<number> = []
      let failed = 0
      const watch = async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 })
        while (!stopped.signal.aborted) {
          const askedAt = performance.now()
          const status = await ask(agent, url)
          if (status === 200) times.push(performance.now() - askedAt)
          else failed++
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
        return { asked: sorted.length + failed, failed, maxMs: sorted.at(-1) ?? 0, p99Ms }
      })
      return { stop }
    }
  )
