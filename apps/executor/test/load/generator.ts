/**
 * A process that sends all submissions of a load at once, each over a connection of its own, and says what was answered. It is one of its
 * own so that its work does not count as waiting for the server.
 */
import { Agent, request } from "node:http"
import { type Answer, bodyOf, type Load, type Told } from "./submission.ts"

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
