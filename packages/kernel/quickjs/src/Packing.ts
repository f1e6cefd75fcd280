/**
 * How messages travel: those that each call needs as a run of plain values in one list, since V8 copies numbers and strings in a third
 * of the time that it takes for objects with names; the others as they are.
 *
 * A packed message starts with a number that says what follows.
 */
import type { FromWorker, ToWorker } from "./Protocol.ts"

const whole = 0
const call = 1
const idle = 2
const settle = 3

/** What is posted. */
export type Packed = ReadonlyArray<unknown>

/** Packs what one turn has for the other thread. */
export const pack = (batch: ReadonlyArray<ToWorker | FromWorker>): Packed => {
  const packed: Array<unknown> = []
  for (const message of batch) {
    switch (message._tag) {
      case "call":
        packed.push(call, message.slot, message.runId, message.seq, message.path, message.argsJson)
        break
      case "idle":
        packed.push(idle, message.slot, message.runId, message.received)
        break
      case "settle":
        packed.push(settle, message.slot, message.runId, message.seq, message.failed, message.json, message.at)
        break
      default:
        packed.push(whole, message)
    }
  }
  return packed
}

/** Takes a packed batch apart again; `M` is what the other side sends. */
export const unpack = <M extends ToWorker | FromWorker>(packed: Packed): Array<M> => {
  const batch: Array<unknown> = []
  let i = 0
  while (i < packed.length) {
    const kind = packed[i++]
    if (kind === whole) {
      batch.push(packed[i++])
      continue
    }
    const slot = packed[i++]
    const runId = packed[i++]
    if (kind === idle) batch.push({ _tag: "idle", slot, runId, received: packed[i++] })
    else if (kind === call) {
      batch.push({ _tag: "call", slot, runId, seq: packed[i++], path: packed[i++], argsJson: packed[i++] })
    } else {
      const seq = packed[i++]
      batch.push({ _tag: "settle", slot, runId, seq, failed: packed[i++], json: packed[i++], at: packed[i++] })
    }
  }
  return batch as Array<M>
}
