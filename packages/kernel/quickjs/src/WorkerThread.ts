/**
 * A worker thread as the host sees it: messages in and out, coalesced, and its shared memory.
 *
 * Incoming messages are handled a few milliseconds at a time: 64 calls with a megabyte of arguments each may
 * arrive as one message, and the loop of the host must stay free between them.
 */
import { Worker } from "node:worker_threads"
import { BriefAwake } from "./BriefAwake.ts"
import { pack, type Packed, unpack } from "./Packing.ts"
import {
  cell,
  type CompiledModules,
  type FromWorker,
  type GuestConstants,
  makeSharedState,
  type SharedState,
  type ToWorker,
  type WorkerData
} from "./Protocol.ts"

/** How long incoming messages may be handled before other work of the host gets its turn. */
const sliceMs = 4

/** WASM frames of a recursing guest live on the worker's own stack: with the default of 4 MB it would be torn through. */
const stackSizeMb = 16

export interface WorkerThreadOptions {
  readonly url: URL
  readonly modules: Promise<CompiledModules>
  readonly constants: GuestConstants
  readonly onMessage: (message: FromWorker) => void
  /** The thread has ended, or never started. Called once, also after {@link WorkerThread.terminate}. */
  readonly onExit: (error: Error | undefined) => void
}

export class WorkerThread {
  readonly shared: SharedState = makeSharedState()
  private readonly worker: Worker
  private readonly onMessage: (message: FromWorker) => void
  private outbox: Array<ToWorker> = []
  private inbox: Array<FromWorker> = []
  private next = 0
  /** Nothing is sent before the modules. */
  private flushing = true
  private exited = false
  private readonly awake = new BriefAwake()

  constructor(options: WorkerThreadOptions) {
    this.onMessage = options.onMessage
    const data: WorkerData = { shared: this.shared, constants: options.constants }
    this.worker = new Worker(options.url, {
      workerData: data,
      env: {},
      stdin: false,
      // Workers take no flags from the process; sources need the condition that resolves packages to sources.
      execArgv: options.url.pathname.endsWith(".ts") ? ["--conditions=@executor/source"] : [],
      resourceLimits: { stackSizeMb, maxYoungGenerationSizeMb: 16 }
    })
    this.worker.unref()
    let failure: Error | undefined
    this.worker.on("message", (packed: Packed) => this.receive(unpack(packed)))
    this.worker.on("error", (error) => {
      failure = error instanceof Error ? error : new Error(String(error))
    })
    this.worker.on("exit", () => {
      this.exited = true
      options.onExit(failure)
    })
    void this.sendModules(options.modules).catch((error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error))
      void this.worker.terminate()
    })
  }

  /** Queues a message; all of this turn go together. */
  post(message: ToWorker): void {
    this.outbox.push(message)
    if (this.flushing) return
    this.flushing = true
    queueMicrotask(() => this.flush())
  }

  /** Whether the process shall stay alive for this thread. */
  set keepsProcessAlive(value: boolean) {
    if (value) this.worker.ref()
    else this.worker.unref()
  }

  terminate(): void {
    void this.worker.terminate()
  }

  private async sendModules(compiled: Promise<CompiledModules>): Promise<void> {
    const modules = await compiled
    this.outbox.unshift({ _tag: "modules", modules })
    this.flush()
  }

  private flush(): void {
    this.flushing = false
    const batch = this.outbox
    this.outbox = []
    if (this.exited) return
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    this.worker.postMessage(pack(batch))
    Atomics.add(this.shared.cells, cell.sent, 1)
    this.awake.expect()
  }

  private receive(batch: Array<FromWorker>): void {
    this.awake.received()
    const busy = this.next < this.inbox.length
    if (busy) {
      for (const message of batch) this.inbox.push(message)
      return
    }
    this.inbox = batch
    this.next = 0
    this.handleSome()
  }

  private handleSome(): void {
    const until = performance.now() + sliceMs
    while (this.next < this.inbox.length) {
      const message = this.inbox[this.next++]
      if (message !== undefined) this.onMessage(message)
      if (performance.now() > until && this.next < this.inbox.length) {
        setImmediate(() => this.handleSome())
        return
      }
    }
  }
}
