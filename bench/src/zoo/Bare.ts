/**
 * What a server says by itself, heard without the product and without any library: its messages line by line, taken as they come. What
 * the product shows is held against it.
 */
import { Predicate } from "effect"
import { end, type Setting, start } from "./Child.ts"

/** What was heard. */
export interface Bare {
  readonly protocolVersion: string
  /** As they came: nothing is known of them. */
  readonly tools: ReadonlyArray<unknown>
  /** From the start of the process to the last page of its tools. */
  readonly seconds: number
  /** Lines on standard output that are no message. */
  readonly noise: ReadonlyArray<string>
  /** The methods of notifications and requests that came before the tools were known. */
  readonly said: ReadonlyArray<string>
}

/** More pages than this are a circle. */
const maxPages = 50

const stderrShown = 600

/** Starts a server, lists its tools, and ends it. Rejects with the server's own last words. */
export const listen = (
  command: string,
  args: ReadonlyArray<string>,
  setting: Setting,
  seconds: number
): Promise<Bare> => {
  const started = performance.now()
  const child = start(command, args, setting)
  const noise: Array<string> = []
  const said: Array<string> = []
  const waiting = new Map<number, (message: Readonly<Record<string, unknown>>) => void>()
  let stderr = ""
  let rest = ""

  const send = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)

  const hear = (line: string): void => {
    if (line.trim() === "") return
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      noise.push(line)
      return
    }
    if (!Predicate.isObject(message)) return void noise.push(line)
    if (typeof message.method !== "string") return waiting.get(Number(message.id))?.(message)
    said.push(message.method)
    if (message.id === undefined) return
    const answer =
      message.method === "ping" ? { result: {} } : { error: { code: -32601, message: `no ${message.method} here` } }
    send({ id: message.id, ...answer })
  }

  const ask = (id: number, method: string, params: object): Promise<Readonly<Record<string, unknown>>> =>
    new Promise((resolve, reject) => {
      waiting.set(id, (message) =>
        Predicate.isObject(message.result)
          ? resolve(message.result)
          : reject(new Error(`it answered ${method} with ${JSON.stringify(message.error)}`))
      )
      send({ id, method, params })
    })

  const conversation = async (): Promise<Bare> => {
    const greeting = await ask(1, "initialize", {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "zoo", version: "1.0.0" }
    })
    send({ method: "notifications/initialized" })
    const tools: Array<unknown> = []
    let cursor: unknown
    for (let page = 0; page < maxPages; page++) {
      const listed = await ask(2 + page, "tools/list", typeof cursor === "string" ? { cursor } : {})
      if (!Array.isArray(listed.tools)) throw new Error(`its list of tools is ${JSON.stringify(listed).slice(0, 200)}`)
      tools.push(...listed.tools)
      cursor = listed.nextCursor
      if (typeof cursor !== "string" || cursor === "") break
    }
    return {
      protocolVersion: String(greeting.protocolVersion),
      tools,
      seconds: (performance.now() - started) / 1000,
      noise,
      said
    }
  }

  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) hear(line)
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-stderrShown)
  })
  child.stdin.on("error", () => {})
  const ended = new Promise<never>((_resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code) => reject(new Error(`it ended with ${code}: ${stderr.trim()}`)))
  })
  let late: NodeJS.Timeout | undefined
  const silent = new Promise<never>((_resolve, reject) => {
    late = setTimeout(
      () => reject(new Error(`it listed no tools within ${seconds} s: ${stderr.trim()}`)),
      seconds * 1000
    )
  })
  return Promise.race([conversation(), ended, silent]).finally(() => {
    clearTimeout(late)
    end(child)
  })
}
