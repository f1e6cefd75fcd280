/**
 * One slot of a worker: runs one execution at a time in its sandbox, and tells the host what it does.
 *
 * Guest code only runs inside {@link Slot.enter}, which takes its time, and after which the state of the execution is looked at:
 * has it ended, was it stopped, or can it never end, because nothing is left to run and no call is open. `Unawaited` says when a program is
 * over that did not wait for its calls.
 *
 * A call is numbered when it is made. At most `toolCallsInFlight` of them are with the host at once; the others wait here, in
 * order, and go when an outcome comes in.
 *
 * An execution that is stopped while its code does not run leaves its sandbox whole, to be restored like after any other end.
 */
import type { ExecutionFailure, LimitName } from "@executor/kernel"
import {
  loadNestingCheck,
  loadTypeStripper,
  mayHoldTypeArguments,
  mayNestDeeply,
  nestedTooDeeply,
  SourceSyntaxError,
  TypeStripperBroken,
  wrap
} from "@executor/kernel/source"
import { JSException } from "quickjs-wasi"
import { CpuMeter } from "./CpuMeter.ts"
import { failureOf, framesOf, isOutOfStack, isSyntaxError, isTooDeepToRead, syntaxFailure } from "./Failure.ts"
import { Logs } from "./Logs.ts"
import {
  cell,
  type CallMessage,
  type Ending,
  type FromWorker,
  type Repetition,
  type SettleMessage,
  type SharedState,
  type ToWorker
} from "./Protocol.ts"
import type { GuestHost, Sandbox } from "./Sandbox.ts"
import type { Sandboxes } from "./Sandboxes.ts"
import { Unawaited } from "./Unawaited.ts"

/** What a slot needs of its worker. */
export interface SlotEnvironment {
  readonly sandboxes: Sandboxes
  readonly shared: SharedState
  /** The path that timers call. */
  readonly sleepPath: string
  /** Queues a message; it goes at the end of the turn, or at {@link SlotEnvironment.flush}. */
  readonly post: (message: FromWorker) => void
  readonly flush: () => void
  /** The type stripper is broken, so that no program may start here any more. The end of the program that broke it tells the host. */
  spoilt: boolean
}

type Start = Extract<ToWorker, { readonly _tag: "start" }>

interface Run {
  readonly start: Start
  /** The program as it was compiled: without types. Places in it are those of the submitted one. */
  text: string
  readonly logs: Logs
  cpuMs: number
  /** What is left to be repeated; see {@link Repetition}. */
  repeats: Repetition | undefined
  seq: number
  /** Outcomes handed to the program. */
  received: number
  /** With how many of them the host was last told that it is idle. */
  toldIdle: number
  inFlight: number
  readonly unawaited: Unawaited
  /** The program has come to its end without a value. */
  cameToEnd: boolean
  /** It was told that it goes on nevertheless. */
  toldOfEnd: boolean
  waiting: Array<CallMessage>
  /** Text of their arguments, in UTF-16 units. */
  waitingSize: number
  /** Outcomes that came before the program had started, when it repeats what it had done elsewhere. */
  early: Array<SettleMessage> | undefined
  /** Set by what ends it; guest code does not run any more once it is. */
  ending: Ending | undefined
}

const meter = new CpuMeter()

/** Calls may wait this long for the program to stop computing before they are sent. */
const flushAfterMs = 5

export class Slot {
  private readonly index: number
  private readonly environment: SlotEnvironment
  private readonly host: GuestHost
  /** Where the execution runs. */
  private sandbox: Sandbox | undefined
  private run: Run | undefined
  /** The execution whose code runs at this moment. */
  private inside: Run | undefined

  constructor(index: number, environment: SlotEnvironment) {
    this.index = index
    this.environment = environment
    this.host = this.makeHost()
  }

  /** Whether an execution is here. */
  get isOccupied(): boolean {
    return this.run !== undefined
  }

  async start(message: Start): Promise<void> {
    const run: Run = {
      start: message,
      text: message.code,
      logs: new Logs(message.limits.logBytes),
      cpuMs: 0,
      repeats: message.repeats,
      seq: 0,
      received: 0,
      toldIdle: -1,
      inFlight: 0,
      unawaited: new Unawaited(this.environment.sleepPath),
      cameToEnd: false,
      toldOfEnd: false,
      waiting: [],
      waitingSize: 0,
      early: [],
      ending: undefined
    }
    this.run = run
    // The host starts it elsewhere.
    if (this.environment.spoilt) return
    const { cells, cpu } = this.environment.shared
    if (Atomics.load(cells, cell.stop(this.index)) === message.runId) return this.abort(message.runId)
    cpu[this.index] = 0
    const { sandboxes } = this.environment
    const { limits, startTime } = message
    let sandbox = sandboxes.take(this.host, limits, startTime)
    if (sandbox === undefined) {
      sandbox = await sandboxes.make(this.host, limits, startTime)
      if (this.run !== run) return sandboxes.leave(sandbox, limits)
    }
    this.sandbox = sandbox
    await this.begin(run, sandbox)
  }

  private async begin(run: Run, sandbox: Sandbox): Promise<void> {
    const { code } = run.start
    if (mayNestDeeply(code) && !(await this.isShallow(run))) return
    let strip = mayHoldTypeArguments(code)
    if (!strip) {
      this.enter(
        run,
        () => {
          strip = !startsAsIs(run, sandbox)
          if (!strip) goOn(run, sandbox)
        },
        () => strip
      )
    }
    if (strip && !(await this.startStripped(run, sandbox))) return
    const early = run.early ?? []
    run.early = undefined
    for (const message of early) this.settle(message)
  }

  settle(message: SettleMessage): void {
    const { run, sandbox } = this
    if (run === undefined || run.start.runId !== message.runId) return
    if (run.early !== undefined || sandbox === undefined) {
      run.early?.push(message)
      return
    }
    run.received++
    run.inFlight--
    run.unawaited.end(message.seq)
    const next = run.waiting.shift()
    if (next !== undefined) {
      run.waitingSize -= next.argsJson?.length ?? 0
      this.send(run, next)
    }
    sandbox.now = Math.max(sandbox.now, message.at)
    this.enter(run, () => {
      sandbox.deliver(message.seq, message.failed, message.json)
      goOn(run, sandbox)
    })
  }

  abort(runId: number): void {
    const { run } = this
    if (run === undefined || run.start.runId !== runId) return
    run.ending = { _tag: "Aborted" }
    this.finish(run, true)
  }

  /** Tells the host, at the end of a turn, that the execution has come to rest. */
  tellIdle(): void {
    const { run } = this
    if (run === undefined || run.early !== undefined || run.toldIdle === run.received) return
    run.toldIdle = run.received
    this.environment.post({ _tag: "idle", slot: this.index, runId: run.start.runId, received: run.received })
  }

  /** No sandbox could be made for the execution. */
  broken(runId: number): void {
    const { run } = this
    if (run === undefined || run.start.runId !== runId) return
    run.ending ??= { _tag: "Broken", message: "no sandbox could be made" }
    this.finish(run)
  }

  /** Ends the execution where its brackets are nested too deeply. */
  private async isShallow(run: Run): Promise<boolean> {
    const check = await loadNestingCheck()
    if (this.run !== run) return false
    this.enter(
      run,
      () => check(run.start.code),
      () => true
    )
    return run.ending === undefined
  }

  /**
   * Stripping counts as the program's own computing, and the watchdog sees it, since some programs keep the stripper busy for minutes.
   * Gives whether the program has started here.
   */
  private async startStripped(run: Run, sandbox: Sandbox): Promise<boolean> {
    const { code, seed } = run.start
    const strip = await loadTypeStripper()
    if (this.run !== run || this.environment.spoilt) return false
    this.enter(run, () => {
      run.text = strip(code)
      sandbox.start(wrap(run.text), seed)
      goOn(run, sandbox)
    })
    return true
  }

  /** Runs guest code, then looks at how the execution stands. */
  private enter(run: Run, guest: () => void, goesOn?: () => boolean): void {
    const { cells, cpu } = this.environment.shared
    meter.enter()
    this.inside = run
    Atomics.add(cells, cell.entries, 1)
    Atomics.store(cells, cell.inside, this.index + 1)
    try {
      guest()
    } catch (error) {
      run.ending ??= this.endingOf(run, error)
    }
    this.inside = undefined
    run.cpuMs += meter.usedMs
    if (run.repeats !== undefined && run.received >= run.repeats.received && goesOn?.() !== true) {
      run.cpuMs = run.repeats.cpuMs
      run.repeats = undefined
    }
    cpu[this.index] = run.cpuMs
    Atomics.store(cells, cell.inside, 0)
    if (this.sandbox?.outOfMemory === true && run.ending?._tag !== "Limit" && run.ending?._tag !== "Aborted") {
      run.ending = { _tag: "Limit", limit: "heapBytes" }
    }
    if (run.ending === undefined && goesOn?.() !== true && run.unawaited.isEmpty) {
      run.ending = run.cameToEnd ? { _tag: "Done", json: undefined } : { _tag: "Failed", failure: unsettled }
    }
    if (run.ending !== undefined) this.finish(run)
  }

  private endingOf(run: Run, error: unknown): Ending {
    if (error instanceof JSException) {
      const { name, message, stack } = error
      error.dispose()
      return failureOf({ name, message, stack: stack ?? "" }, run.text)
    }
    if (error instanceof TypeStripperBroken) this.environment.spoilt = true
    if (error instanceof SourceSyntaxError)
      return { _tag: "Failed", failure: syntaxFailure(error.message, error.position) }
    if (isOutOfStack(error)) return { _tag: "Limit", limit: "stackBytes" }
    return { _tag: "Broken", message: error instanceof Error ? error.message : String(error) }
  }

  private finish(run: Run, undisturbed = false): void {
    const ending = run.ending ?? { _tag: "Aborted" }
    this.run = undefined
    this.environment.post({
      _tag: "end",
      slot: this.index,
      runId: run.start.runId,
      ending,
      spoilt: this.environment.spoilt,
      logs: run.logs.close(this.sandbox?.now ?? run.start.startTime)
    })
    const { sandbox } = this
    this.sandbox = undefined
    if (sandbox === undefined) return
    const { sandboxes } = this.environment
    if (undisturbed || ending._tag === "Done" || ending._tag === "Failed") sandboxes.leave(sandbox, run.start.limits)
    else sandboxes.replace(run.start.limits)
  }

  private send(run: Run, message: CallMessage): void {
    run.inFlight++
    this.environment.post(message)
  }

  private makeHost(): GuestHost {
    const { environment, index } = this
    const ended = (ending: Ending): void => {
      if (this.run !== undefined) this.run.ending ??= ending
    }
    const now = (): number => this.sandbox?.now ?? 0
    return {
      call: (path, argsJson) => {
        const { run } = this
        if (run === undefined || run.ending !== undefined) return -1
        const { limits, runId } = run.start
        if (run.seq >= limits.toolCalls) {
          ended({ _tag: "Limit", limit: "toolCalls" })
          return -1
        }
        if (argsJson !== undefined && Buffer.byteLength(argsJson) > limits.argumentsBytes) {
          ended({ _tag: "Limit", limit: "argumentsBytes" })
          return -1
        }
        const message: CallMessage = { _tag: "call", slot: index, runId, seq: run.seq++, path, argsJson }
        run.unawaited.begin(message.seq, path)
        if (run.inFlight < limits.toolCallsInFlight) {
          this.send(run, message)
        } else {
          // Arguments that wait are outside the sandbox's memory, and still the program's.
          run.waitingSize += argsJson?.length ?? 0
          if (run.waitingSize > limits.heapBytes) ended({ _tag: "Limit", limit: "heapBytes" })
          run.waiting.push(message)
        }
        return message.seq
      },
      forget: (seq) => void this.run?.unawaited.end(seq),
      log: (level, message) => this.run?.logs.add(level, message, now()),
      done: (json) => {
        const { run } = this
        if (run === undefined || run.ending !== undefined) return
        if (json === undefined) {
          run.cameToEnd = true
        } else if (Buffer.byteLength(json) > run.start.limits.resultBytes) {
          ended({ _tag: "Limit", limit: "resultBytes" })
        } else {
          if (!run.unawaited.isEmpty) warn(run, now(), run.unawaited.isLeft)
          ended({ _tag: "Done", json })
        }
      },
      fail: (name, message, stack) => {
        const { run } = this
        if (run !== undefined) ended(failureOf({ name, message, stack }, run.text))
      },
      limit: (name) => ended({ _tag: "Limit", limit: name as LimitName }),
      frames: (stack) => framesOf(stack, this.run?.text ?? "").text,
      interrupted: () => {
        const run = this.inside
        if (run === undefined) return false
        if (run.ending !== undefined) return true
        const { cells } = environment.shared
        Atomics.add(cells, cell.beats, 1)
        if (Atomics.load(cells, cell.stop(index)) === run.start.runId) {
          run.ending = { _tag: "Aborted" }
          return true
        }
        if (this.sandbox?.outOfMemory === true) {
          run.ending = { _tag: "Limit", limit: "heapBytes" }
          return true
        }
        const { elapsedMs } = meter
        // What is repeated was within the limit, and may take somewhat longer this time.
        const limit = run.start.limits.cpuTimeMs + (run.repeats?.cpuMs ?? 0)
        if (run.cpuMs + elapsedMs > limit && run.cpuMs + meter.usedMs > limit) {
          run.ending = { _tag: "Limit", limit: "cpuTimeMs" }
          return true
        }
        if (elapsedMs > flushAfterMs) environment.flush()
        return false
      }
    }
  }
}

/** Lets the program compute until it waits for an outcome, or is over. */
const goOn = (run: Run, sandbox: Sandbox): void => {
  sandbox.drain(() => run.ending !== undefined)
  if (run.ending !== undefined) return
  if (run.unawaited.isEmpty) return sandbox.finish()
  if (!run.cameToEnd || run.toldOfEnd) return
  run.toldOfEnd = true
  warn(run, sandbox.now, run.unawaited.goesOn)
}

/** Starts a program as JavaScript. False if it is none. */
const startsAsIs = (run: Run, sandbox: Sandbox): boolean => {
  try {
    sandbox.start(wrap(run.start.code), run.start.seed)
    return true
  } catch (error) {
    if (!isSyntaxError(error) || run.ending !== undefined) throw error
    const isTooDeep = isTooDeepToRead(error)
    error.dispose()
    if (isTooDeep) throw new SourceSyntaxError(nestedTooDeeply())
    return false
  }
}

const warn = (run: Run, at: number, message: string): void => run.logs.add("warn", message, at)

const unsettled: ExecutionFailure = {
  name: "UnsettledPromise",
  message:
    "The program waits for a promise that can never settle: no tool call or timer is open and nothing is left to run. " +
    "Look for a `new Promise` whose resolve is never called."
}
