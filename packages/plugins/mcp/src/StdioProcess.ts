/**
 * A child process that speaks JSON-RPC in lines over its standard input and output, as a transport of the MCP client.
 *
 * The process is the leader of a group of its own (except on Windows), so that what it starts itself (`npx` starts `node`) ends
 * with it. It ends when the transport is closed: first its input is closed, after {@link closeGraceMillis} the group
 * gets SIGTERM, after as long again SIGKILL. Whatever happens, no process outlives the host's orderly exit.
 *
 * Its standard error belongs to nobody's terminal; see `Printed.ts`.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process"
import process from "node:process"
import type { Readable, Writable } from "node:stream"
import { encodeJson } from "@executor/kernel"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { Effect } from "effect"
import { type Delivery, deliveryOf } from "./Delivery.ts"
import { maxSkippedBytes, MessageReader } from "./MessageReader.ts"
import type { Printed } from "./Printed.ts"

/** How long a process may take to end by itself after each step of being closed. */
export const closeGraceMillis = 1500

/** How long the output of an ended process is read, where something outside of its group holds it open. */
const drainMillis = 500

/** How the process is started. */
export interface StdioProcessOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
  /** Gets what the process prints that is no message. */
  readonly onNoise?: ((text: string) => void) | undefined
  /** Takes what it prints to its standard error. */
  readonly printed: Printed
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

const hasGroups = process.platform !== "win32"

/** Processes that still run; the last resort when the host exits without closing its scopes. */
const running = new Set<Child>()

const killAll = (): void => {
  for (const child of running) signalGroup(child, "SIGKILL")
}

const signalGroup = (child: Child, signal: NodeJS.Signals): void => {
  if (child.pid === undefined) return
  try {
    if (hasGroups) process.kill(-child.pid, signal)
    else child.kill(signal)
  } catch {
    // It has ended already.
  }
}

/** The transport. Made once, started once. */
export class StdioProcess implements Transport {
  onclose: (() => void) | undefined
  onerror: ((error: Error) => void) | undefined
  onmessage: Transport["onmessage"]

  /** Why it ended, for people: `exited with code 1`, `was ended by SIGKILL`. `undefined` while it runs. */
  ended: string | undefined

  /** The client takes a transport with a `stderr` and a `pid` for a child process, and probes its protocol era accordingly. */
  readonly stderr = null

  readonly #options: StdioProcessOptions
  #child: Child | undefined
  #exit: Promise<void> = Promise.resolve()
  #closing = false
  #fate: string | undefined
  /** Nothing can be written to it: it has ended, or is about to, and its end will say why. */
  #isDeaf = false
  #sent: Promise<void> = Promise.resolve()
  readonly #reader = new MessageReader({
    message: (message) => {
      try {
        this.onmessage?.(message)
      } catch (error) {
        this.onerror?.(error as Error)
      }
    },
    ignored: (text) => this.#options.onNoise?.(text),
    pause: () => this.#child?.stdout.pause(),
    resume: () => {
      if (this.ended === undefined) this.#child?.stdout.resume()
    },
    endless: () => {
      this.#fate ??= `sent a message longer than ${maxSkippedBytes} bytes and was ended`
      if (this.#child !== undefined) signalGroup(this.#child, "SIGKILL")
    }
  })

  constructor(options: StdioProcessOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Whether it runs and is not about to end. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#fate === undefined && !this.#closing
  }

  /** What it prints to its standard error. */
  get printed(): Printed {
    return this.#options.printed
  }

  start(): Promise<void> {
    const { command, args, env, cwd } = this.#options
    return new Promise((resolve, reject) => {
      if (this.#closing) {
        reject(new Error("was closed before it was started"))
        return
      }
      this.printed.begin()
      const child = spawn(command, args, {
        env,
        cwd,
        stdio: ["pipe", "pipe", "pipe"],
        detached: hasGroups,
        windowsHide: true
      })
      this.#child = child
      this.#exit = new Promise((ended) => {
        const end = () => {
          this.#end(child)
          ended()
        }
        child.once("error", (error: NodeJS.ErrnoException) => {
          this.#fate ??= startProblem(error, cwd)
          end()
          reject(error)
        })
        child.once("exit", (code, signal) => {
          this.#fate ??= signal === null ? `exited with code ${code}` : `was ended by ${signal}`
          // What it started and left behind ends with it; then what it had written can be read to its end.
          signalGroup(child, "SIGKILL")
          child.stdout.resume()
          child.once("close", end)
          setTimeout(end, drainMillis).unref()
        })
      })
      child.once("spawn", () => {
        if (running.size === 0) process.once("exit", killAll)
        running.add(child)
        resolve()
      })
      child.stdin.on("error", (error) => {
        this.#isDeaf = true
        this.onerror?.(error)
      })
      child.stdout.on("error", (error) => this.onerror?.(error))
      child.stderr.on("error", (error) => this.onerror?.(error))
      child.stdout.on("data", (chunk: Buffer) => this.#reader.read(chunk))
      child.stdout.once("end", () => {
        void this.#afterClosing("closed its standard output, so that it could answer nothing, and was ended")
      })
      child.stderr.on("data", (chunk: Buffer) => this.printed.add(chunk))
    })
  }

  /** Messages are written one after the other, since a large one takes a while. */
  send(message: JSONRPCMessage): Promise<void> {
    const sent = this.#sent.then(() => this.#write(message, deliveryOf(message)))
    this.#sent = sent.catch(() => undefined)
    return sent
  }

  async #write(message: JSONRPCMessage, delivery: Delivery | undefined): Promise<void> {
    const json = await Effect.runPromise(encodeJson(message, { root: "message" }))
    const child = this.#child
    if (child === undefined || this.ended !== undefined || this.#closing) throw new Error("the server is closed")
    if (delivery?.begin() === false) return
    this.#reader.sent(message)
    await new Promise<void>((resolve, reject) => {
      child.stdin.write(`${json}\n`, (error) => {
        if (error == null) {
          resolve()
        } else {
          // A part of it is missing, the newline at least, so it is no message.
          delivery?.fail()
          reject(error)
        }
      })
    })
  }

  /** `why` is how it ended, for people. */
  async close(why = "was closed by its host"): Promise<void> {
    const first = !this.#closing
    this.#closing = true
    const child = this.#child
    if (child === undefined || this.ended !== undefined) return
    if (first) {
      if (!this.#isDeaf) this.#fate ??= why
      child.stdin.end()
      if (!(await this.#endsWithin(closeGraceMillis))) {
        signalGroup(child, "SIGTERM")
        if (!(await this.#endsWithin(closeGraceMillis))) signalGroup(child, "SIGKILL")
      }
    }
    await this.#exit
  }

  /** After a write has failed: it is about to end, or has closed its input and is ended. Then {@link ended} says how it was. */
  afterBrokenPipe(): Promise<void> {
    return this.#afterClosing("closed its standard input, so that nothing could be told it, and was ended")
  }

  async #afterClosing(what: string): Promise<void> {
    const child = this.#child
    if (child === undefined || (await this.#endsWithin(closeGraceMillis))) return
    this.#fate ??= what
    signalGroup(child, "SIGKILL")
    await this.#exit
  }

  async #endsWithin(millis: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, millis, false)
    })
    const ended = await Promise.race([this.#exit.then(() => true), late])
    clearTimeout(timer)
    return ended
  }

  #end(child: Child): void {
    if (this.ended !== undefined) return
    this.ended = this.#fate ?? "ended"
    child.stdin.destroy()
    child.stdout.destroy()
    child.stderr.destroy()
    running.delete(child)
    if (running.size === 0) process.off("exit", killAll)
    // After the writes that were under way have failed, so that each of their requests is known not to be sent.
    this.#reader.end(() => void this.#sent.then(() => this.onclose?.()))
  }
}

const startProblem = (error: NodeJS.ErrnoException, cwd: string | undefined): string => {
  switch (error.code) {
    case "ENOENT":
      return cwd === undefined
        ? "could not be started: there is no such program"
        : "could not be started: there is no such program or working directory"
    case "EACCES":
      return "could not be started: the program may not be executed"
    default:
      return `could not be started (${error.code ?? error.name})`
  }
}
