/**
 * What the host's thread and a worker say to each other.
 *
 * A worker has slots; a slot runs one execution at a time. The host picks the slot and names the execution with a
 * `runId` that is never used again, so that a late message of an ended execution is known as such and ignored.
 *
 * The host sends `start`, then one `settle` for each `call`, in the order in which the program is to see them, and perhaps
 * `abort`. The worker sends `call`s in the order of their `seq`, then exactly one `end`, also after `abort`. After
 * `end` the slot is free: messages are handled in order, so the next `start` finds it restored. Whenever it has handled what the
 * host sent in one turn, and an execution has come to rest thereby, it sends `idle` after the calls. `idle` says how many `settle`s
 * the program had received, so that the host can tell whether it has sent more since.
 *
 * Messages are coalesced: what one turn of either side produces travels as one array (see `Packing`). Text crosses as JSON
 * strings that neither thread parses on the way.
 *
 * Beside the messages there is shared memory ({@link makeSharedState}), for what must be seen while the other side is busy:
 * which slot computes, for how long, and whether a slot shall stop.
 */
import type { ExecutionFailure, LimitName, Limits } from "@executor/kernel"

/** Executions that one worker can hold at once; see `Pool` for how many of them it lets compute. */
export const slotsPerWorker = 64

/** The modules a worker instantiates, compiled once by the host. */
export interface CompiledModules {
  readonly quickjs: WebAssembly.Module
  readonly url: WebAssembly.Module
  readonly encoding: WebAssembly.Module
  readonly structuredClone: WebAssembly.Module
}

/** The limits as plain data. */
export type PlainLimits = { readonly [K in LimitName]: (typeof Limits.Type)[K] }

/** How an execution ended inside the worker. Failures by a limit only name it: the host has the words. */
export type Ending =
  | { readonly _tag: "Done"; readonly json: string | undefined }
  | { readonly _tag: "Failed"; readonly failure: ExecutionFailure }
  | { readonly _tag: "Limit"; readonly limit: LimitName; readonly at?: Partial<ExecutionFailure> | undefined }
  | { readonly _tag: "Aborted" }
  | { readonly _tag: "Broken"; readonly message: string }

/** Console lines, flattened: level, message, time, level, message, time, ... */
export type FlatLogs = ReadonlyArray<string | number>

export type ToWorker =
  | { readonly _tag: "modules"; readonly modules: CompiledModules }
  | {
      readonly _tag: "start"
      readonly slot: number
      readonly runId: number
      readonly code: string
      readonly limits: PlainLimits
      readonly seed: number
      readonly startTime: number
      /** Present when the program repeats what it did elsewhere. */
      readonly repeats?: Repetition | undefined
    }
  | SettleMessage
  | { readonly _tag: "abort"; readonly slot: number; readonly runId: number }

/**
 * What a program that starts again had done elsewhere. What it repeats is charged as it was then, so that its CPU time does not depend
 * on how often it is started.
 */
export interface Repetition {
  /** The outcomes that it had received. */
  readonly received: number
  /** The CPU time that it had used up to the last of them, in milliseconds. */
  readonly cpuMs: number
}

/** The outcome of the call `seq`; `json` is its value, or the rejection when it failed. */
export interface SettleMessage {
  readonly _tag: "settle"
  readonly slot: number
  readonly runId: number
  readonly seq: number
  readonly failed: boolean
  readonly json: string | undefined
  readonly at: number
}

export interface CallMessage {
  readonly _tag: "call"
  readonly slot: number
  readonly runId: number
  readonly seq: number
  readonly path: string
  readonly argsJson: string | undefined
}

/** Nothing is left to run in the execution until an outcome arrives; it has received so many. */
export interface IdleMessage {
  readonly _tag: "idle"
  readonly slot: number
  readonly runId: number
  readonly received: number
}

export interface EndMessage {
  readonly _tag: "end"
  readonly slot: number
  readonly runId: number
  readonly ending: Ending
  /** No program may start on the worker any more. */
  readonly spoilt: boolean
  readonly logs: FlatLogs
}

export type FromWorker = { readonly _tag: "ready" } | CallMessage | IdleMessage | EndMessage

/** What a worker is started with. */
export interface WorkerData {
  readonly shared: SharedState
  readonly constants: GuestConstants
}

/** What the guest's prelude is told about the kernel's contract. */
export interface GuestConstants {
  /** The path that `setTimeout` calls. */
  readonly sleepPath: string
  /** How deep a value that crosses may be nested. */
  readonly maxDepth: number
  /** How many properties an object that leaves may have. */
  readonly maxProperties: number
}

/** Shared memory of one worker. */
export interface SharedState {
  /** See {@link cell}. */
  readonly cells: Int32Array<SharedArrayBuffer>
  /** CPU time that the execution in a slot has used, in milliseconds, up to its last exit from the sandbox. */
  readonly cpu: Float64Array<SharedArrayBuffer>
}

/** What the cells of shared memory hold. */
export const cell = {
  /** The slot that computes now, plus one, or 0. */
  inside: 0,
  /** Counts entries into a sandbox. */
  entries: 1,
  /** Counts the times that a program was asked whether to stop. While it goes on, the program can be stopped. */
  beats: 2,
  /** Counts the messages to the worker, so that it can look for one without taking the lock of its port. */
  sent: 3,
  /** The run that shall stop, for each slot. */
  stop: (slot: number): number => 4 + slot
} as const

/** Fresh shared memory, all zero. */
export const makeSharedState = (): SharedState => ({
  cells: new Int32Array(new SharedArrayBuffer(4 * cell.stop(slotsPerWorker))),
  cpu: new Float64Array(new SharedArrayBuffer(8 * slotsPerWorker))
})
