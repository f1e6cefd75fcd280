/**
 * The worker thread's entry: takes the host's messages to its slots, and theirs to the host.
 *
 * It imports no more than it needs, since a command waits for it before its first result.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads"
import { BriefWait } from "./BriefWait.ts"
import { pack, type Packed, unpack } from "./Packing.ts"
import { cell, type CompiledModules, type FromWorker, type ToWorker, type WorkerData } from "./Protocol.ts"
import { Sandboxes } from "./Sandboxes.ts"
import { Slot, type SlotEnvironment } from "./Slot.ts"

const port = parentPort
if (port === null) throw new Error("This module is the entry of a worker thread")

/** So often in a row messages are taken past the event loop, which must get its turn too. */
const maxTurns = 100

const { constants, shared } = workerData as WorkerData
const slots: Array<Slot> = []
const wait = new BriefWait()
let outbox: Array<FromWorker> = []
let environment: SlotEnvironment | undefined

const flush = (): void => {
  if (outbox.length === 0) return
  const batch = outbox
  outbox = []
  port.postMessage(pack(batch))
}

/** The host goes on with what it is told while the next sandbox is made fresh. */
const endTurn = (): void => {
  flush()
  environment?.sandboxes.tidy()
}

const post = (message: FromWorker): void => {
  outbox.push(message)
}

const ready = (modules: CompiledModules): void => {
  const sandboxes = new Sandboxes(modules, constants)
  environment = { sandboxes, shared, sleepPath: constants.sleepPath, post, flush, spoilt: false }
  post({ _tag: "ready" })
}

/** What a start has left to do after its first wait is not part of the turn it came in. */
const start = async (slot: Slot, message: Extract<ToWorker, { readonly _tag: "start" }>): Promise<void> => {
  try {
    await slot.start(message)
  } catch {
    slot.broken(message.runId)
  }
  slot.tellIdle()
  endTurn()
}

const handle = (message: ToWorker): void => {
  if (message._tag === "modules") return ready(message.modules)
  if (environment === undefined) return
  const slot = (slots[message.slot] ??= new Slot(message.slot, environment))
  switch (message._tag) {
    case "start":
      return void start(slot, message)
    case "settle":
      return slot.settle(message)
    case "abort":
      return slot.abort(message.runId)
  }
}

/** Takes what has come, and tells whether the next is worth waiting for: the one program here has called, and does nothing else. */
const take = (packed: Packed): boolean => {
  const batch = unpack<ToWorker>(packed)
  for (const message of batch) handle(message)
  for (const message of batch) if (message._tag !== "modules") slots[message.slot]?.tellIdle()
  const hasCalled = outbox.some(({ _tag }) => _tag === "call")
  endTurn()
  return (
    hasCalled && batch.every(({ _tag }) => _tag === "settle") && slots.filter((slot) => slot?.isOccupied).length === 1
  )
}

port.on("message", (packed: Packed) => {
  let next: Packed | undefined = packed
  for (let turn = 0; next !== undefined; turn++) {
    const seen = Atomics.load(shared.cells, cell.sent)
    const expectsAnswer = take(next)
    const poll = () =>
      Atomics.load(shared.cells, cell.sent) === seen ? undefined : receiveMessageOnPort(port)?.message
    next = expectsAnswer && turn < maxTurns ? wait.next(poll) : undefined
  }
})
