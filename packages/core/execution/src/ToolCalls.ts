/**
 * The tool calls of one execution as they are served: the engine's side of the sandbox's invoker.
 *
 * A call runs in a fiber of its own, which belongs to the execution and not to the sandbox: when the program ends while it is
 * under way, the call is not torn off but closed in order. Calls that could still end by themselves get
 * {@link openCallGraceMs}; those that wait for a person or a timer do not. Then what is left is interrupted, waited for
 * at most {@link interruptWaitMs}, and closed in the journal. An execution that is stopped from outside gives no grace.
 */
import { type Limits, type SandboxToolInvoker, sleepPath, type ToolInvocation } from "@executor/kernel"
import type { Executor } from "@executor/sdk"
import { type Context, Effect, type Fiber } from "effect"
import type * as BuiltinTools from "./BuiltinTools.ts"
import type { Interactions } from "./Interactions.ts"
import type { Call, Journal } from "./Journal.ts"
import { outcomeOf } from "./Outcomes.ts"
import type { Progress } from "./Progress.ts"
import type { Recorder } from "./Recorder.ts"

/**
 * How long calls that the program did not wait for may go on after its end: enough for a fire-and-forget write to a
 * service near by, and not noticed by whoever waits for the result.
 */
export const openCallGraceMs = 500

/** How long an interrupted call may take to clean up. One that takes longer is left behind. */
export const interruptWaitMs = 1_000

/** What tool calls are made with. */
export interface ToolCallsOptions {
  readonly executor: Executor
  readonly builtins: ReturnType<typeof BuiltinTools.make>
  readonly context: Context.Context<never>
  readonly journal: Journal
  readonly interactions: Interactions
  readonly progress: Progress
  readonly recorder: Recorder
  readonly limits: Limits
}

/** The tool calls of one execution. */
export interface ToolCalls {
  readonly invoker: SandboxToolInvoker
  /** Ends what is under way; afterwards no call is left without a status. */
  readonly close: (options: { readonly grace: boolean; readonly why: string }) => Effect.Effect<void>
}

/** Makes the tool calls of an execution that is about to start. */
export const make = (options: ToolCallsOptions): ToolCalls => {
  const { builtins, executor, interactions, journal, limits, progress, recorder } = options
  const runFork = Effect.runForkWith(options.context)
  const underWay = new Map<Call, UnderWay>()
  let closed = false

  const perform = (call: Call, argsJsonLength: number | undefined) => {
    const builtin = builtins.get(call.path)
    if (builtin !== undefined) return builtin(call.args, argsJsonLength ?? 0)
    return executor.tools.invoke(call.path, call.args, {
      argsJsonLength,
      idempotencyKey: call.id,
      onElicitation: interactions.handlerFor(call),
      onStart: (tool) => {
        call.state = "started"
        call.tool = tool
      }
    })
  }

  const serve = Effect.fnUntraced(function* (call: Call, invocation: ToolInvocation) {
    yield* journal.intend(call, invocation)
    const outcome = yield* outcomeOf(
      call,
      Effect.suspend(() => perform(call, invocation.argsJson?.length)),
      limits
    )
    const settled = journal.settle(call, outcome)
    progress.codeGoesOn()
    return yield* settled
  })

  const invoke: SandboxToolInvoker["invoke"] = (invocation) =>
    Effect.suspend(() => {
      if (closed) return Effect.interrupt
      const call = journal.open(invocation)
      const counts = call.path !== sleepPath
      if (counts) progress.callGoesOn()
      const served = new UnderWay()
      underWay.set(call, served)
      served.onEnd(() => {
        underWay.delete(call)
        if (counts) progress.callRests()
      })
      const fiber = runFork(serve(call, invocation))
      served.startedAs(fiber)
      return fiber.pollUnsafe() ?? Effect.callback((resume) => void fiber.addObserver(resume))
    })

  /** Waits until none of the calls is under way, for at most so long. */
  const settleWithin = (calls: ReadonlyArray<Call>, ms: number) =>
    Effect.callback<void>((resume) => {
      const left = new Set(calls.filter((call) => underWay.has(call)))
      if (left.size === 0) return resume(Effect.void)
      const timer = runFork(
        Effect.andThen(
          Effect.sleep(ms),
          Effect.sync(() => resume(Effect.void))
        )
      )
      for (const call of left) {
        underWay.get(call)?.onEnd(() => {
          left.delete(call)
          if (left.size > 0) return
          timer.interruptUnsafe()
          resume(Effect.void)
        })
      }
    })

  const close: ToolCalls["close"] = Effect.fnUntraced(function* ({ grace, why }) {
    closed = true
    journal.endProgram()
    const open = Array.from(underWay.keys())
    if (open.length === 0) return
    const mayEnd = (call: Call) =>
      call.state === "settled" || (grace && call.path !== sleepPath && !interactions.isAsking(call))
    const hopeful = open.filter(mayEnd)
    for (const call of open) if (!mayEnd(call)) underWay.get(call)?.interrupt()
    yield* settleWithin(hopeful, openCallGraceMs)
    for (const call of open) if (call.state !== "settled") underWay.get(call)?.interrupt()
    yield* settleWithin(open, interruptWaitMs)
    yield* recorder.drained
    yield* Effect.forEach(
      open.filter((call) => call.state !== "settled"),
      (call) => journal.abandon(call, why),
      { concurrency: "unbounded", discard: true }
    )
  })

  return { invoker: { invoke }, close }
}

/**
 * A call under way. It is known before its fiber is: a fiber runs at once, as far as it can, and what it does first
 * may already end the execution.
 */
class UnderWay {
  private fiber: Fiber.Fiber<unknown> | undefined
  private interrupted = false
  private readonly listeners: Array<() => void> = []

  startedAs(fiber: Fiber.Fiber<unknown>): void {
    this.fiber = fiber
    if (this.interrupted) fiber.interruptUnsafe()
    fiber.addObserver(() => {
      for (const listener of this.listeners) listener()
    })
  }

  interrupt(): void {
    this.interrupted = true
    this.fiber?.interruptUnsafe()
  }

  onEnd(listener: () => void): void {
    this.listeners.push(listener)
  }
}
