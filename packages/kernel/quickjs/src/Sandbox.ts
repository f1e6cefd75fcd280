/**
 * One QuickJS instance with the prelude in it, and how it becomes fresh again for the next execution.
 *
 * ## Restoring
 *
 * Making an instance takes some 5 ms, most of an ordinary execution. But all state of an instance is its linear memory and its
 * stack pointer, so it is enough to copy both once after the prelude has run, and to copy them back after an
 * execution: 0.03 ms, as more than half of it is zeros. Nothing passes from one execution to the next, as not one byte of the
 * former is left.
 *
 * The library does not document access to memory and stack pointer. They are looked up here and nowhere else; if they are
 * not there, {@link Sandbox.isRestorable} says so, and the caller makes a new instance each time, which is slower and as
 * safe. The same holds for an instance that was interrupted or trapped, or that grew a lot: it is dropped.
 *
 * The clock stands still at the value the host sets, and the engine's own entropy is fixed: instances made from the same
 * modules are equal to the byte, so a worker keeps one copy for all its slots.
 */
import { tagNumbers } from "@executor/kernel/numbers"
import { Intrinsics, JSException, QuickJS, type JSValueHandle } from "quickjs-wasi"
import { preludeText } from "./guest/prelude.ts"
import { type HeapGuard, install as installGuard } from "./HeapGuard.ts"
import type { CompiledModules, GuestConstants, PlainLimits } from "./Protocol.ts"

/** Memory an execution may leave an instance grown by; more is given back by dropping the instance. */
const maxKeptGrowth = 8 * 1024 * 1024

/** What the guest's prelude calls. Nothing here may throw: the library would hand the host's stack to the guest. */
export interface GuestHost {
  /** Numbers and posts a call. */
  readonly call: (path: string, argsJson: string | undefined) => number
  /** Nothing follows the outcome of this call any more: it is a timer that was cleared. */
  readonly forget: (seq: number) => void
  readonly log: (level: string, message: string) => void
  /** The program has returned, or come to its end. */
  readonly done: (json: string | undefined) => void
  readonly fail: (name: string, message: string, stack: string) => void
  /** The program has passed a limit: it is stopped. */
  readonly limit: (name: string) => void
  /** Stack frames as the program's author may see them. */
  readonly frames: (stack: string) => string
  /** Whether the sandbox shall stop now. Asked every few thousand operations. */
  readonly interrupted: () => boolean
}

/** What an instance sees of the outside: the time, and whose execution it runs. */
interface Outside {
  now: number
  host: GuestHost
}

const noHost: GuestHost = {
  call: () => -1,
  forget: () => undefined,
  log: () => undefined,
  done: () => undefined,
  fail: () => undefined,
  limit: () => undefined,
  frames: () => "",
  interrupted: () => false
}

interface Snapshot {
  readonly memory: Uint8Array
  /** The parts of it that are not zero, in order. */
  readonly parts: ReadonlyArray<{ readonly offset: number; readonly bytes: Uint8Array }>
  readonly stackPointer: number
}

interface Internals {
  readonly memory: WebAssembly.Memory
  readonly stackPointer: WebAssembly.Global
  readonly setMemoryLimit: (bytes: number) => void
  readonly setStackLimit: (bytes: number) => void
  /** Runs one microtask: 1, or -1 if it threw; 0 if there is none. */
  readonly runJob: () => number
  readonly guard: HeapGuard | undefined
}

const internalsOf = (vm: QuickJS): Internals | undefined => {
  const exports: unknown = Reflect.get(vm, "exports")
  if (typeof exports !== "object" || exports === null) return undefined
  const memory: unknown = Reflect.get(exports, "memory")
  const stackPointer: unknown = Reflect.get(exports, "__stack_pointer")
  const setMemoryLimit: unknown = Reflect.get(exports, "qjs_set_memory_limit")
  const setStackLimit: unknown = Reflect.get(exports, "qjs_set_max_stack_size")
  const runJob: unknown = Reflect.get(exports, "qjs_execute_pending_job")
  if (
    !(memory instanceof WebAssembly.Memory) ||
    !(stackPointer instanceof WebAssembly.Global) ||
    typeof setMemoryLimit !== "function" ||
    typeof setStackLimit !== "function" ||
    typeof runJob !== "function"
  ) {
    return undefined
  }
  return {
    memory,
    stackPointer,
    setMemoryLimit: (bytes) => void setMemoryLimit(bytes),
    setStackLimit: (bytes) => void setStackLimit(bytes),
    runJob: () => Number(runJob()),
    guard: installGuard(exports)
  }
}

let shared: Snapshot | undefined

const pageSize = 4096
const zeros = Buffer.alloc(pageSize)

const partsOf = (memory: Uint8Array): Snapshot["parts"] => {
  const parts: Array<{ readonly offset: number; readonly bytes: Uint8Array }> = []
  let from: number | undefined
  for (let offset = 0; offset <= memory.length; offset += pageSize) {
    const isEmpty = offset === memory.length || zeros.equals(memory.subarray(offset, offset + pageSize))
    if (!isEmpty) from ??= offset
    else if (from !== undefined) {
      parts.push({ offset: from, bytes: memory.subarray(from, offset) })
      from = undefined
    }
  }
  return parts
}

const takeSnapshot = (internals: Internals): Snapshot => {
  const memory = new Uint8Array(internals.memory.buffer)
  const stackPointer = Number(internals.stackPointer.value)
  if (shared?.stackPointer === stackPointer && Buffer.compare(shared.memory, memory) === 0) return shared
  const copy = memory.slice()
  const snapshot = { memory: copy, parts: partsOf(copy), stackPointer }
  shared ??= snapshot
  return snapshot
}

/** The functions of the prelude. */
interface Handles {
  readonly run: JSValueHandle
  readonly deliver: JSValueHandle
  readonly rejected: JSValueHandle
  readonly finish: JSValueHandle
}

/** An instance ready for one execution, and after {@link Sandbox.restore} for another. */
export class Sandbox {
  readonly vm: QuickJS
  private readonly handles: Handles
  private readonly outside: Outside
  private readonly internals: Internals | undefined
  private readonly snapshot: Snapshot | undefined
  private limits: PlainLimits

  private constructor(vm: QuickJS, handles: Handles, outside: Outside, limits: PlainLimits) {
    this.vm = vm
    this.handles = handles
    this.outside = outside
    this.limits = limits
    this.internals = internalsOf(vm)
    this.snapshot = this.internals === undefined ? undefined : takeSnapshot(this.internals)
  }

  /** A new instance. `limits` are what it enforces until {@link Sandbox.begin} changes them. */
  static async make(modules: CompiledModules, constants: GuestConstants, limits: PlainLimits): Promise<Sandbox> {
    const outside: Outside = { now: 0, host: noHost }
    let handles: Handles | undefined
    const vm = await QuickJS.create({
      wasm: modules.quickjs,
      extensions: [
        { name: "url", wasm: modules.url },
        { name: "encoding", wasm: modules.encoding },
        { name: "structured-clone", wasm: modules.structuredClone }
      ],
      intrinsics: Intrinsics.ALL & ~Intrinsics.WEAK_REF & ~Intrinsics.PERFORMANCE,
      timezoneOffset: 0,
      memoryLimit: limits.heapBytes,
      maxStackSize: limits.stackBytes,
      interruptHandler: () => outside.host.interrupted(),
      onUnhandledRejection: (promise, reason, isHandled) => {
        try {
          if (handles === undefined) return
          vm.callFunction(handles.rejected, vm.undefined, promise, reason, isHandled ? vm.true : vm.false).dispose()
        } catch (error) {
          // The program has used up its stack or its memory, or is being stopped: that is how it ends.
          if (error instanceof JSException) error.dispose()
        }
      },
      moduleLoader: { load: refuseImport },
      wasi: (memory) => ({
        clock_time_get: (_id: number, _precision: bigint, result: number) => {
          new DataView(memory.buffer).setBigUint64(result, BigInt(Math.trunc(outside.now)) * 1_000_000n, true)
          return 0
        },
        random_get: (start: number, length: number) => {
          new Uint8Array(memory.buffer, start, length).fill(1)
          return 0
        },
        fd_write: () => 8
      })
    })
    handles = installPrelude(vm, outside, constants)
    return new Sandbox(vm, handles, outside, limits)
  }

  /** Prepares for an execution of `host` under these limits; false if this instance cannot enforce them. */
  begin(host: GuestHost, limits: PlainLimits, startTime: number): boolean {
    this.outside.host = host
    this.outside.now = startTime
    if (this.internals === undefined) {
      if (limits.heapBytes !== this.limits.heapBytes || limits.stackBytes !== this.limits.stackBytes) return false
      this.limits = limits
      return true
    }
    this.limits = limits
    this.internals.setMemoryLimit(limits.heapBytes)
    this.internals.setStackLimit(limits.stackBytes)
    this.internals.guard?.reset()
    return true
  }

  /** Whether the execution has run out of its heap, as far as is known without an error that says so. */
  get outOfMemory(): boolean {
    return this.internals?.guard?.failed() ?? false
  }

  /** The guest's `Date.now()`. */
  get now(): number {
    return this.outside.now
  }

  set now(time: number) {
    this.outside.now = time
  }

  /** Compiles a wrapped program and starts it. Throws what the engine throws. */
  start(program: string, seed: number): void {
    const { vm } = this
    const main = vm.evalCode(program, programName, strict)
    const { argumentsBytes, resultBytes } = this.limits
    const numbers = [program.length - "()".length, seed, argumentsBytes, resultBytes].map((n) => vm.newNumber(n))
    vm.callFunction(this.handles.run, vm.undefined, main, ...numbers).dispose()
    for (const number of numbers) number.dispose()
    main.dispose()
  }

  /** Hands one settlement to the guest. */
  deliver(seq: number, failed: boolean, json: string | undefined): void {
    const { vm } = this
    const seqHandle = vm.newNumber(seq)
    const tagged = json === undefined ? undefined : tagNumbers(json, { wideIntegers: true })
    const text = json === undefined ? vm.undefined : vm.newString(tagged ?? json)
    const flag = (value: boolean) => (value ? vm.true : vm.false)
    vm.callFunction(
      this.handles.deliver,
      vm.undefined,
      seqHandle,
      flag(failed),
      text,
      flag(tagged !== undefined)
    ).dispose()
    if (json !== undefined) text.dispose()
    seqHandle.dispose()
  }

  /** Lets a program that came to its end without a value fail if something that it did not wait for has failed. */
  finish(): void {
    const { vm } = this
    vm.callFunction(this.handles.finish, vm.undefined).dispose()
  }

  /** Runs microtasks until there are none, or the execution has ended. */
  drain(ended: () => boolean): void {
    if (this.internals === undefined) {
      this.vm.executePendingJobs()
      return
    }
    const { runJob } = this.internals
    while (!ended()) {
      const ran = runJob()
      if (ran === 0) return
      if (ran < 0 && !ended()) throw new JSException(this.vm.getException())
    }
  }

  /** Whether {@link Sandbox.restore} can make the instance fresh; if not, it must be dropped. */
  get isRestorable(): boolean {
    const { internals, snapshot } = this
    if (internals === undefined || snapshot === undefined) return false
    return internals.memory.buffer.byteLength - snapshot.memory.length <= maxKeptGrowth
  }

  /** Makes the instance as it was before the execution. */
  restore(): void {
    const { internals, snapshot } = this
    if (internals === undefined || snapshot === undefined) throw new Error("This sandbox cannot be restored")
    const memory = new Uint8Array(internals.memory.buffer)
    let end = 0
    for (const { bytes, offset } of snapshot.parts) {
      memory.fill(0, end, offset)
      memory.set(bytes, offset)
      end = offset + bytes.length
    }
    memory.fill(0, end)
    internals.stackPointer.value = snapshot.stackPointer
  }
}

/** The name of the submitted source in stack traces. */
export const programName = "program.ts"

const preludeName = "prelude"
const maxClassId = 256
const strict = 8

const refuseImport = (): string => {
  // A string, as the library would show the guest the stack of an Error made here.
  // oxlint-disable-next-line eslint/no-throw-literal, typescript/only-throw-error
  throw "import is not available here: reach the outside through `tools`"
}

const installPrelude = (vm: QuickJS, outside: Outside, constants: GuestConstants): Handles => {
  const text = (handle: JSValueHandle | undefined): string => handle?.toString() ?? ""
  const optional = (handle: JSValueHandle | undefined): string | undefined =>
    handle === undefined || handle.isUndefined ? undefined : handle.toString()
  const functions: Record<string, (...args: ReadonlyArray<JSValueHandle>) => JSValueHandle> = {
    call: (path, args) => vm.newNumber(outside.host.call(text(path), optional(args))),
    forget: (seq) => (outside.host.forget(seq?.toNumber() ?? -1), vm.undefined),
    log: (level, message) => (outside.host.log(text(level), text(message)), vm.undefined),
    done: (json) => (outside.host.done(optional(json)), vm.undefined),
    fail: (name, message, stack) => (outside.host.fail(text(name), text(message), text(stack)), vm.undefined),
    limit: (name) => (outside.host.limit(text(name)), vm.undefined),
    frames: (stack) => vm.newString(outside.host.frames(text(stack))),
    classId: (value) => classIds[value?.classId ?? 0] ?? vm.undefined
  }
  // The library makes these lazily, inside the guest's memory: they must be in the snapshot.
  void [vm.undefined, vm.null, vm.true, vm.false, vm.global]
  // A host function's answer is never freed, so what is asked for each object of a result is made once.
  const classIds = Array.from({ length: maxClassId }, (_, id) => vm.newNumber(id))
  const hostObject = vm.newObject()
  for (const [name, fn] of Object.entries(functions)) {
    const handle = vm.newFunction(name, fn)
    vm.setProp(hostObject, name, handle)
    handle.dispose()
  }
  const sleepPath = vm.newString(constants.sleepPath)
  vm.setProp(hostObject, "sleepPath", sleepPath)
  sleepPath.dispose()
  const maxDepth = vm.newNumber(constants.maxDepth)
  vm.setProp(hostObject, "maxDepth", maxDepth)
  maxDepth.dispose()
  const maxProperties = vm.newNumber(constants.maxProperties)
  vm.setProp(hostObject, "maxProperties", maxProperties)
  maxProperties.dispose()
  const prelude = vm.evalCode(preludeText, preludeName, strict)
  const api = vm.callFunction(prelude, vm.undefined, hostObject)
  prelude.dispose()
  hostObject.dispose()
  const handles: Handles = {
    run: api.getProp("run"),
    deliver: api.getProp("deliver"),
    rejected: api.getProp("rejected"),
    finish: api.getProp("finish")
  }
  api.dispose()
  return handles
}
