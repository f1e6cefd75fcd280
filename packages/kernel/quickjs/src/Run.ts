/**
 * One execution as the host sees it: starts its calls, and puts their outcomes into the order of delivery.
 *
 * Each call is a fiber. An outcome with a place in the order (a `Settlement`) waits until all before it are there; one
 * without is delivered as it comes, at the time of the clock.
 *
 * A run keeps the outcomes handed over so far, so that its program can start again in another place: given the same outcomes in the
 * same order it does the same again. Calls that it repeats are known by their number and are not made again. Between two places a
 * run keeps every outcome, however large; in a place it gives up keeping them beyond {@link maxHistory}, and stays there.
 */
import {
  encodeJson,
  type ExecutionFailure,
  LimitExceeded,
  type LimitName,
  limitMessage,
  type Limits,
  type LogEntry,
  parseJson,
  readJson,
  type SandboxToolInvoker,
  Settlement,
  type ToolInvocation,
  type ToolRejection
} from "@executor/kernel"
import { Cause, Effect, Exit, type Fiber } from "effect"
import type { CallMessage, EndMessage, FlatLogs, Repetition, SettleMessage } from "./Protocol.ts"

/** An outcome on its way to the program. */
export type Outcome = Pick<SettleMessage, "seq" | "failed" | "json" | "at">

/** How a run ends: with a result, with an error of its program or a limit, or because its sandbox is gone. */
export type RunEnd =
  | { readonly _tag: "Done"; readonly json: string | undefined }
  | { readonly _tag: "Failed"; readonly failure: ExecutionFailure }
  | { readonly _tag: "Broken"; readonly message: string }

export interface RunOptions {
  readonly code: string
  readonly invoker: SandboxToolInvoker
  readonly limits: Limits
  readonly seed: number
  readonly startTime: number
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly now: () => number
  readonly onIdle: ((received: number) => void) | undefined
  readonly onEnd: (end: RunEnd) => void
}

/** Text of outcomes that is kept, in UTF-16 units: enough for nearly all programs, and handed over again within milliseconds. */
const maxHistory = 4 * 1024 * 1024

/** Arguments longer than this are read in slices. */
const largeArguments = 32 * 1024

/** Where the fiber that reads large arguments is kept, beside those of calls. */
const backlogKey = -1

export class Run {
  readonly options: RunOptions
  /** Hands an outcome to the worker. Set while the run has a slot. */
  deliver: ((outcome: Outcome) => void) | undefined
  /** Called instead, without the outcome, while the run is set aside: it wants a slot again. */
  wake: (() => void) | undefined
  /** All outcomes handed over so far, in order: with them the run can start again elsewhere. Absent if they are too large. */
  history: Array<Outcome> | undefined = []
  /** Whether it has ever had a slot. */
  begun = false
  /** What it had done when it was set aside, which it repeats when it starts again. */
  repeats: Repetition | undefined
  /** What the program has logged, as far as is known: workers tell it at the end, and when it leaves a place. */
  private flatLogs: FlatLogs = []
  private readonly fibers = new Map<number, Fiber.Fiber<unknown, unknown>>()
  private readonly early = new Map<number, Outcome>()
  private nextSettleSeq = 0
  private nextCall = 0
  private historySize = 0
  private received = 0
  /** The program was idle after so many outcomes, which the host learns once it was given all calls. */
  private idleAfter = -1
  private readonly backlog: Array<CallMessage> = []
  private lastAt: number
  private ended = false

  constructor(options: RunOptions) {
    this.options = options
    this.lastAt = options.startTime
  }

  get hasEnded(): boolean {
    return this.ended
  }

  /** The calls that are under way. */
  get openCalls(): Iterable<Fiber.Fiber<unknown, unknown>> {
    return this.fibers.values()
  }

  get openCallCount(): number {
    return this.fibers.size
  }

  /** What is kept of the run to start it again, in UTF-16 units. */
  get size(): number {
    return this.options.code.length + this.historySize
  }

  onCall(message: CallMessage): void {
    if (this.ended) return
    const { seq } = message
    // A run that was started again repeats the calls it had made.
    if (seq < this.nextCall) return
    this.nextCall = seq + 1
    if (this.backlog.length > 0 || (message.argsJson?.length ?? 0) > largeArguments) {
      this.backlog.push(message)
      if (this.backlog.length === 1) this.fork(backlogKey, this.startBacklog(), () => {})
    } else {
      this.startCall(message, () => (message.argsJson === undefined ? undefined : readJson(message.argsJson)))
    }
  }

  /** Calls start in the order in which they were made, so those behind one with large arguments wait for it to be read. */
  private startBacklog(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const message = this.backlog[0]
      if (message === undefined || this.ended) return Effect.void
      return Effect.flatMap(message.argsJson === undefined ? Effect.undefined : parseJson(message.argsJson), (args) => {
        if (!this.ended) this.startCall(message, () => args)
        this.backlog.shift()
        if (this.backlog.length === 0) this.tellIdle()
        return this.startBacklog()
      })
    })
  }

  /** The program has come to rest. One that repeats what it did elsewhere rests in between, which is nobody's concern. */
  onIdle(received: number): void {
    if (received !== this.received) return
    this.idleAfter = received
    if (this.backlog.length === 0) this.tellIdle()
  }

  private tellIdle(): void {
    if (!this.ended && this.idleAfter === this.received) this.options.onIdle?.(this.received)
  }

  private startCall(message: CallMessage, readArgs: () => unknown): void {
    const { seq } = message
    this.fork(seq, this.invoke(new Invocation(message, readArgs)), (exit) => this.settle(seq, exit))
  }

  /** Runs an effect that ends with the execution. It is known here before it does anything that could end the execution. */
  private fork<A, E>(key: number, effect: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void): void {
    this.options
      .fork(
        Effect.withFiber<A, E>((fiber) => {
          this.fibers.set(key, fiber)
          return effect
        })
      )
      .addObserver((exit) => {
        this.fibers.delete(key)
        onExit(exit)
      })
  }

  /** The console output so far. */
  get logs(): ReadonlyArray<LogEntry> {
    return entriesOf(this.flatLogs)
  }

  /** Takes what the program had logged in a place. One that starts again logs the same again, so the longest is the latest. */
  tell(logs: FlatLogs): void {
    if (logs.length > this.flatLogs.length) this.flatLogs = logs
  }

  onEnd({ ending, logs }: EndMessage): void {
    this.flatLogs = logs
    switch (ending._tag) {
      case "Done":
      case "Failed":
        return this.end(ending)
      case "Limit":
        return this.endAtLimit(ending.limit, undefined, ending.at)
      case "Broken":
        return this.end({
          _tag: "Broken",
          message: `The sandbox broke: ${ending.message}. Running the program again may help.`
        })
      case "Aborted":
        return this.end({ _tag: "Broken", message: "The execution was stopped" })
    }
  }

  endAtLimit(limit: LimitName, message?: string | undefined, at?: Partial<ExecutionFailure>): void {
    const text = message ?? limitMessage(limit, this.options.limits[limit] ?? 0)
    this.end({ _tag: "Failed", failure: { ...at, name: "LimitExceeded", limit, message: text } })
  }

  end(end: RunEnd): void {
    if (this.ended) return
    this.ended = true
    this.deliver = undefined
    this.options.onEnd(end)
  }

  /** Nobody waits for the run any more. */
  abandon(): void {
    this.ended = true
    this.deliver = undefined
  }

  private invoke(call: ToolInvocation): Effect.Effect<unknown, unknown> {
    const limit = { name: "toolResultBytes", bytes: this.options.limits.toolResultBytes } as const
    return Effect.flatMap(
      Effect.suspend(() => this.options.invoker.invoke(call)),
      (value): Effect.Effect<unknown, unknown> =>
        value instanceof Settlement
          ? Effect.succeed(value)
          : encodeJson(value, { root: "the tool's result", limit, wideIntegers: true })
    )
  }

  private settle(seq: number, exit: Exit.Exit<unknown, unknown>): void {
    if (this.ended) return
    if (Exit.isSuccess(exit)) {
      const { value } = exit
      if (value instanceof Settlement) return this.settleInOrder(seq, value)
      return this.hand({ seq, failed: false, json: value as string | undefined, at: this.options.now() })
    }
    const error = Cause.squash(exit.cause)
    if (error instanceof LimitExceeded) return this.endAtLimit(error.limit, error.message)
    this.hand({ seq, failed: true, json: rejectionJson(rejectionOf(exit.cause)), at: this.options.now() })
  }

  private settleInOrder(seq: number, settlement: Settlement): void {
    const { at, outcome } = settlement
    const json = outcome._tag === "Success" ? outcome.json : rejectionJson(outcome.error)
    const limit = this.options.limits.toolResultBytes
    if (json !== undefined && json.length * 3 > limit && Buffer.byteLength(json) > limit) {
      return this.endAtLimit("toolResultBytes")
    }
    this.early.set(settlement.settleSeq, { seq, failed: outcome._tag === "Failure", json, at })
    for (;;) {
      const next = this.early.get(this.nextSettleSeq)
      if (next === undefined) return
      this.early.delete(this.nextSettleSeq++)
      this.hand(next)
    }
  }

  private hand(outcome: Outcome): void {
    this.received++
    this.lastAt = Math.max(this.lastAt, outcome.at)
    const timed = { ...outcome, at: this.lastAt }
    this.historySize += outcome.json?.length ?? 0
    if (this.historySize > maxHistory && this.deliver !== undefined) this.history = undefined
    this.history?.push(timed)
    if (this.deliver === undefined) this.wake?.()
    else this.deliver(timed)
  }
}

class Invocation implements ToolInvocation {
  readonly path: string
  readonly argsJson: string | undefined
  readonly seq: number
  private readonly readArgs: () => unknown

  constructor(message: CallMessage, readArgs: () => unknown) {
    this.path = message.path
    this.argsJson = message.argsJson
    this.seq = message.seq
    this.readArgs = readArgs
  }

  get args(): unknown {
    const args = this.readArgs()
    Object.defineProperty(this, "args", { value: args, enumerable: true })
    return args
  }
}

const entriesOf = (flat: FlatLogs): ReadonlyArray<LogEntry> => {
  const entries: Array<LogEntry> = []
  for (let i = 0; i < flat.length; i += 3) {
    entries.push({ level: flat[i] as LogEntry["level"], message: String(flat[i + 1]), at: Number(flat[i + 2]) })
  }
  return entries
}

/** Errors come from tools, whose getters may fail. */
const readField = (error: object, field: string): unknown => {
  try {
    return Reflect.get(error, field)
  } catch {
    return undefined
  }
}

const textField = (error: object, field: string): string | undefined => {
  const value = readField(error, field)
  return typeof value === "string" && value !== "" ? value : undefined
}

const rejectionOf = (cause: Cause.Cause<unknown>): ToolRejection => {
  const failure = cause.reasons.find(Cause.isFailReason)
  if (failure === undefined) {
    return Cause.hasInterruptsOnly(cause)
      ? { name: "Interrupted", message: "The call was interrupted before it had an outcome" }
      : { name: "Error", message: "The call failed because of an internal error" }
  }
  const { error } = failure
  if (typeof error !== "object" || error === null) return { name: "Error", message: String(error) }
  const data = readField(error, "data")
  return {
    name: textField(error, "name") ?? textField(error, "_tag") ?? "Error",
    message: textField(error, "message") ?? "The call failed",
    ...(data === undefined ? {} : { data })
  }
}

/** `data` is left out when it is not JSON: the program is owed the error more than its details. */
const rejectionJson = ({ data, ...rejection }: ToolRejection): string => {
  try {
    return JSON.stringify({ ...rejection, data })
  } catch {
    return JSON.stringify(rejection)
  }
}
