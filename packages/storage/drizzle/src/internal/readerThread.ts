/**
 * A reader thread as the adapter sees it: one request, or one checkpoint, at a time.
 */
import type { DBError } from "@executor/sdk"
import { Worker } from "node:worker_threads"
import type { FileIdentity } from "./fileIdentity.ts"
import type { FromReader, ReaderData, ToReader } from "./readerMessages.ts"
import type { ReadItem, ReadRequest } from "./reads.ts"

/** What a request has come to. A failure without a reason is a bug. */
export type ReadAnswer =
  | { readonly _tag: "items"; readonly items: ReadonlyArray<ReadItem> }
  | { readonly _tag: "failed"; readonly message: string; readonly reason?: DBError["reason"]; readonly cause?: Error }

export interface ReaderThreadOptions {
  readonly url: URL
  readonly file: string
  readonly files: FileIdentity
  readonly lockWaitMillis: number
  /** It has started. */
  readonly onReady: () => void
  /** It has started, or done what it was given. */
  readonly onFree: (thread: ReaderThread) => void
  /** It has ended, or never started. Called once. */
  readonly onExit: (thread: ReaderThread, error: Error | undefined) => void
}

export class ReaderThread {
  /** Whether it has ever been ready. */
  started = false
  private readonly worker: Worker
  private readonly cancelled = new Int32Array(new SharedArrayBuffer(4))
  private readonly options: ReaderThreadOptions
  private lastId = 0
  private busy = true
  private items: Array<ReadItem> = []
  private onAnswer: ((answer: ReadAnswer) => void) | undefined

  constructor(options: ReaderThreadOptions) {
    this.options = options
    const { file, files, lockWaitMillis, onExit, url } = options
    const data: ReaderData = { file, files, lockWaitMillis, cancelled: this.cancelled }
    this.worker = new Worker(url, {
      workerData: data,
      env: {},
      // Workers take no flags from the process; sources need the condition that resolves packages to sources.
      execArgv: url.pathname.endsWith(".ts") ? ["--conditions=@executor/source"] : []
    })
    this.worker.unref()
    let failure: Error | undefined
    this.worker.on("message", (message: FromReader) => this.receive(message))
    this.worker.on("error", (error) => {
      failure = error instanceof Error ? error : new Error(String(error))
    })
    this.worker.on("exit", () => {
      this.busy = true
      onExit(this, failure)
    })
  }

  get isFree(): boolean {
    return !this.busy
  }

  /** Whether the process shall stay alive for this thread. */
  set keepsProcessAlive(value: boolean) {
    if (value) this.worker.ref()
    else this.worker.unref()
  }

  /**
   * Runs a request; `onAnswer` is not called if it is cancelled, or the thread ends. Throws if the request holds what
   * cannot be sent.
   */
  read(request: ReadRequest, onAnswer: (answer: ReadAnswer) => void): void {
    this.post({ _tag: "read", id: ++this.lastId, request })
    this.busy = true
    this.items = []
    this.onAnswer = onAnswer
  }

  checkpoint(): void {
    this.post({ _tag: "checkpoint" })
    this.lastId++
    this.busy = true
  }

  /** Has it look for space to give back, some time later. */
  tidy(): void {
    this.post({ _tag: "tidy" })
  }

  /** Drops the request; the thread is free when its query has noticed. Gives whether it has not, for later. */
  cancel(): () => boolean {
    const id = this.lastId
    this.onAnswer = undefined
    Atomics.store(this.cancelled, 0, id)
    return () => this.busy && this.lastId === id
  }

  /** Asks the thread to end: it stops its query, closes its connections and is gone, without being torn out of native code. */
  end(): void {
    this.onAnswer = undefined
    Atomics.store(this.cancelled, 0, this.lastId)
    this.post({ _tag: "end" })
  }

  /** Ends the thread, also inside a query. For one that does not end when it is asked. */
  terminate(): void {
    this.onAnswer = undefined
    void this.worker.terminate()
  }

  private post(message: ToReader): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    this.worker.postMessage(message)
  }

  private receive(message: FromReader): void {
    if (message._tag === "ready") {
      this.started = true
      this.options.onReady()
    }
    if (message._tag === "slice" && this.onAnswer !== undefined) {
      for (const item of message.items) this.items.push(item)
      if (!message.last) return this.post({ _tag: "more" })
    }
    this.busy = false
    const answer = this.onAnswer
    this.onAnswer = undefined
    if (message._tag === "slice") answer?.({ _tag: "items", items: this.items })
    if (message._tag === "failed") answer?.(message)
    this.options.onFree(this)
  }
}
