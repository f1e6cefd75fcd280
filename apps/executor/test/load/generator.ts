/**
 * A process that sends all submissions of a load at once, each over a connection of its own, and says what was answered. It is one of its
 * own so that its work does not count as waiting for the server.
 */
import { Agent, request } from "node:http"

/** What to send, and where. */
export interface Load {
  readonly url: string
  readonly count: number
}

/** What the caller of one submission was told. */
export interface Answer {
  /** Which submission it was, from 0; its code returns the same. */
  readonly number: number
  /** Nothing if the connection broke. */
  readonly status: number | undefined
  readonly retryAfter: string | undefined
  readonly contentType: string | undefined
  /** The body, or how the connection broke. */
  readonly text: string
}

/** How many have been answered so far, and at the end with what. */
export type Told =
  | { readonly _tag: "Progress"; readonly served: number; readonly refused: number }
  | { readonly _tag: "Done"; readonly answers: ReadonlyArray<Answer>; readonly durationMs: number }

/** How many writes each submission makes, one after another. */
export const writesEach = 3

const bodyOf = (number: number): string =>
  JSON.stringify({
    code: `for (let step = 0; step < ${writesEach}; step++) await tools.load.write({ number: ${number}, step })\nreturn ${number}`,
    approve: ["load.write"]
  })

const send = (agent: Agent, url: string, number: number): Promise<Answer> =>
  new Promise((resolve) => {
    const broken = (error: NodeJS.ErrnoException) =>
      resolve({
        number,
        status: undefined,
        retryAfter: undefined,
        contentType: undefined,
        text: error.code ?? error.message
      })
    const headers = { "content-type": "application/json" }
    request(`${url}/executions`, { method: "POST", agent, headers }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece))
      response.on("error", broken)
      response.on("end", () => {
        const { "content-type": contentType, "retry-after": retryAfter } = response.headers
        resolve({ number, status: response.statusCode, retryAfter, contentType, text })
      })
    })
      .on("error", broken)
      .end(bodyOf(number))
  })

const tell = (told: Told, sent = () => {}) => process.send?.(told, sent)

const sendAll = async ({ count, url }: Load) => {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity })
  const soFar = { served: 0, refused: 0 }
  const startedAt = performance.now()
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, number) => {
      const answer = await send(agent, url, number)
      if (answer.status === 200) soFar.served++
      if (answer.status === 429) soFar.refused++
      tell({ _tag: "Progress", ...soFar })
      return answer
    })
  )
  const durationMs = performance.now() - startedAt
  agent.destroy()
  tell({ _tag: "Done", answers, durationMs }, () => process.disconnect())
}

process.once("message", (load: Load) => void sendAll(load))
