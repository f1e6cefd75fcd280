/**
 * The tool calls of one execution as they are served: the engine's side of the sandbox's invoker.
 *
 * A call of an execution that is continued is held against the journal first. One that is not the recorded one ends the execution: the
 * code took another way than it had, and everything behind would be wrong. One that was told to the code is told again, and one
 * without an outcome is made, asked for, or put in doubt: see `Attempts`.
 *
 * A call runs in a fiber of its own, which belongs to the execution and not to the sandbox: when the program ends while it is
 * under way, the call is not torn off but closed in order. Calls that could still end by themselves get
 * {@link openCallGraceMs}; those that wait for a person or a timer do not. Then what is left is interrupted, waited for
 * at most {@link interruptWaitMs}, and closed in the journal. An execution that is stopped from outside gives no grace.
 */
import { type SandboxToolInvoker, sleepPath } from "@executor/kernel"
import { type Context, Effect, type Fiber } from "effect"
import * as Attempts from "./Attempts.ts"
import type { Divergence } from "./ExecutionEngine.ts"
import type { Fork, Taken } from "./Fork.ts"
import * as InDoubt from "./InDoubt.ts"
import type { Call, Journal } from "./Journal.ts"
import type { Outcome } from "./Outcomes.ts"
import type { Progress } from "./Progress.ts"
import * as Recorded from "./Recorded.ts"

/**
 * How long calls that the program did not wait for may go on after its end: enough for a fire-and-forget write to a
 * service near by, and not noticed by whoever waits for the result.
 */
export const openCallGraceMs = 500

/** How long an interrupted call may take to clean up. One that takes longer is left behind. */
export const interruptWaitMs = 1_000

/** What tool calls are served with. */
export interface ToolCallsOptions extends Attempts.AttemptsOptions {
  readonly context: Context.Context<never>
  readonly journal: Journal
  readonly progress: Progress
  /** Waits for its turn to go on, where the execution only waited for a person. */
  readonly goOn: Effect.Effect<void>
  readonly recorded: Recorded.Recorded
  /** The journal of another execution that results are taken from. */
  readonly fork: Fork | undefined
  /** The code left its journal. */
  readonly onDivergence: (divergence: Divergence) => void
}

/** The tool calls of one execution. */
export interface ToolCalls {
  readonly invoker: SandboxToolInvoker
  /** Ends what is under way; afterwards no call is left without a status. */
  readonly close: (options: { readonly grace: boolean; readonly why: string }) => Effect.Effect<void>
  /** Whether all that is under way are questions before a call: nothing is lost if another process asks them. */
  readonly onlyAsk: () => boolean
  /** Takes no calls any more, and lets those under way end and be recorded for so long; the rest is torn off. */
  readonly leave: (ms: number) => Effect.Effect<void>
}

/** Makes the tool calls of an execution that is about to start. */
export const make = (options: ToolCallsOptions): ToolCalls => {
  const { builtins, interactions, journal, progress, recorder } = options
  const runFork = Effect.runForkWith(options.context)
  const underWay = new Map<Call, UnderWay>()
  /** Calls that wait for their turn in a fork. */
  const queued = new Set<Call>()
  let closed = false

  const attempts = Attempts.make(options)

  const turnOf = (call: Call, taken: Taken) =>
    Effect.suspend(() => {
      queued.add(call)
      return Effect.ensuring(
        taken.turn,
        Effect.sync(() => queued.delete(call))
      )
    })

  /** Whether the effect may be there before anything is done here. */
  const mayHaveBegun = (call: Call, taken: Taken | undefined): boolean => {
    if (builtins.has(call.path) || taken?.outcome !== undefined) return false
    if (call.recorded === undefined) return taken?.inDoubt !== undefined
    return InDoubt.mayHaveBegun(call.recorded.answersSeen, interactions.gatesOf(call))
  }

  const perform = Effect.fnUntraced(function* (call: Call, taken: Taken | undefined): Effect.fn.Return<Outcome> {
    const { recorded } = call
    const known = recorded && Recorded.outcomeOf(recorded)
    // An outcome that is taken comes in its place even if it is recorded here as well.
    if (known !== undefined && taken?.outcome === undefined) return known
    if (taken !== undefined) yield* turnOf(call, taken)
    if (recorded === undefined) yield* journal.intend(call)
    if (taken?.outcome !== undefined) return taken.outcome
    if (recorded !== undefined) return yield* attempts.goOn(call, taken)
    return yield* call.begunBefore ? attempts.repeat(call, taken) : attempts.make(call)
  })

  const serve = Effect.fnUntraced(function* (call: Call, taken: Taken | undefined) {
    const outcome = yield* perform(call, taken)
    // Its code goes on, though nobody has answered yet.
    if (call.path === sleepPath) yield* options.goOn
    const settled = journal.settle(call, outcome)
    progress.codeGoesOn()
    taken?.told()
    return yield* settled
  })

  const invoke: SandboxToolInvoker["invoke"] = (invocation) =>
    Effect.suspend(() => {
      if (closed) return Effect.interrupt
      const call = journal.open(invocation)
      const { argsJson, path } = invocation
      const taken = options.fork?.take({ path, argsJson, seq: call.seq })
      if (call.recorded !== undefined) {
        const divergence = Recorded.divergenceOf(call.recorded, invocation)
        if (divergence !== undefined) {
          options.onDivergence(divergence)
          return Effect.never
        }
        const told = options.recorded.settlementOf(call.recorded)
        if (told !== undefined) {
          progress.codeGoesOn()
          return Effect.succeed(told)
        }
      }
      call.begunBefore = mayHaveBegun(call, taken)
      const counts = call.path !== sleepPath
      if (counts) progress.callGoesOn()
      const served = new UnderWay(taken?.outcome)
      underWay.set(call, served)
      served.onEnd(() => {
        underWay.delete(call)
        if (counts) progress.callRests()
      })
      const fiber = runFork(serve(call, taken))
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
    const served = new Map(underWay)
    const open = Array.from(served.keys())
    if (open.length === 0) return
    const mayEnd = (call: Call) =>
      call.state === "settled" ||
      served.get(call)?.taken !== undefined ||
      (grace && call.path !== sleepPath && !interactions.isAsking(call))
    const hopeful = open.filter(mayEnd)
    for (const call of open) if (!mayEnd(call)) served.get(call)?.interrupt()
    options.fork?.programEnds()
    yield* settleWithin(hopeful, openCallGraceMs)
    for (const call of open) if (call.state !== "settled") underWay.get(call)?.interrupt()
    yield* settleWithin(open, interruptWaitMs)
    yield* recorder.drained
    yield* Effect.forEach(
      open.filter((call) => call.state !== "settled"),
      // What is taken had its effect, whether or not the code is told.
      (call) => journal.abandon(call, why, served.get(call)?.taken),
      { concurrency: "unbounded", discard: true }
    )
  })

  const onlyAsk = () =>
    Array.from(underWay.keys()).every((call) => call.state === "open" && interactions.isAsking(call))

  const leave = Effect.fnUntraced(function* (ms: number) {
    closed = true
    const open = Array.from(underWay.keys())
    const waiting = open.filter((call) => interactions.isAsking(call) || call.path === sleepPath || queued.has(call))
    for (const call of waiting) underWay.get(call)?.interrupt()
    yield* settleWithin(open, ms)
    for (const call of open) if (call.state !== "settled") underWay.get(call)?.interrupt()
    yield* settleWithin(open, interruptWaitMs)
    yield* recorder.drained
  })

  return { invoker: { invoke }, close, onlyAsk, leave }
}

/**
 * A call under way. It is known before its fiber is: a fiber runs at once, as far as it can, and what it does first
 * may already end the execution.
 */
class UnderWay {
  /** Its outcome, where one is taken from another execution. */
  readonly taken: Outcome | undefined
  private fiber: Fiber.Fiber<unknown> | undefined
  private interrupted = false
  private readonly listeners: Array<() => void> = []

  constructor(taken: Outcome | undefined) {
    this.taken = taken
  }

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
