/**
 * The worker thread's entry: takes the host's messages to its slots, and theirs to the host.
 *
 * It imports no more than it needs, since a command waits for it before its first result.
 */
import { parentPort, workerData } from "node:worker_threads"
import type { CompiledModules, FromWorker, ToWorker, WorkerData } from "./Protocol.ts"
import { Slot, type SlotEnvironment } from "./Slot.ts"

const port = parentPort
if (port === null) throw new Error("This module is the entry of a worker thread")

const { constants, shared } = workerData as WorkerData
const slots: Array<Slot> = []
let outbox: Array<FromWorker> = []
let environment: SlotEnvironment | undefined

const flush = (): void => {
  if (outbox.length === 0) return
  const batch = outbox
  outbox = []
  port.postMessage(batch)
}

const post = (message: FromWorker): void => {
  outbox.push(message)
}

const ready = (modules: CompiledModules): void => {
  environment = { modules, constants, shared, post, flush }
  post({ _tag: "ready" })
}

const handle = (message: ToWorker): void => {
  if (message._tag === "modules") return ready(message.modules)
  if (environment === undefined) return
  const slot = (slots[message.slot] ??= new Slot(message.slot, environment))
  switch (message._tag) {
    case "start":
      // What a start has left to do after its first wait is not part of this turn.
      return void slot
        .start(message)
        .catch(() => slot.broken(message.runId))
        .then(flush)
    case "settle":
      return slot.settle(message)
    case "abort":
      return slot.abort(message.runId)
  }
}

port.on("message", (batch: ReadonlyArray<ToWorker>) => {
  for (const message of batch) handle(message)
  flush()
})
