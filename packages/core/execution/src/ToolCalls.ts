/**
 * The tool calls of one execution as they are served: the engine's side of the sandbox's invoker.
 *
 * A call of an execution that is continued is held against the journal first. One that is not the recorded one ends the execution: the
 * code took another way than it had, and everything behind would be wrong. One that was told to the code is told again, and one
 * without an outcome is made, asked for, or put in doubt: see `InDoubt`.
 *
 * A call runs in a fiber of its own, which belongs to the execution and not to the sandbox: when the program ends while it is
 * under way, the call is not torn off but closed in order. Calls that could still end by themselves get
 * {@link openCallGraceMs}; those that wait for a person or a timer do not. Then what is left is interrupted, waited for
 * at most {@link interruptWaitMs}, and closed in the journal. An execution that is stopped from outside gives no grace.
 */
import { type Limits, type SandboxToolInvoker, sleepPath } from "@executor/kernel"
import type { ElicitationResponse, Executor, ToolAnnotations } from "@executor/sdk"
import { type Context, Effect, type Fiber } from "effect"
import type * as BuiltinTools from "./BuiltinTools.ts"
import type { Divergence } from "./ExecutionEngine.ts"
import type { Fork, Taken } from "./Fork.ts"
import * as InDoubt from "./InDoubt.ts"
import { type Interactions, responseOf } from "./Interactions.ts"
import type { Call, Journal } from "./Journal.ts"
import { type Outcome, outcomeOf } from "./Outcomes.ts"
import type { Progress } from "./Progress.ts"
import * as Recorded from "./Recorded.ts"
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
  readonly now: () => number
  /** Waits for its turn to go on, where the execution only waited for a person. */
  readonly goOn: Effect.Effect<void>
  /** Makes sure that the execution is still this process's, where that is not known. */
  readonly confirmLease: () => Effect.Effect<void> | undefined
  readonly recorded: Recorded.Recorded
  /** The journal of another execution that results are taken from. */
  readonly fork: Fork | undefined
  readonly inDoubt: InDoubt.InDoubtPolicy
  /** The code left its journal. */
  readonly onDivergence: (divergence: Divergence) => void
  /** The execution cannot go on, as a call is in doubt. */
  readonly onGiveUp: (message: string) => void
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
  const { builtins, executor, interactions, journal, limits, progress, recorder } = options
  const runFork = Effect.runForkWith(options.context)
  const underWay = new Map<Call, UnderWay>()
  /** Calls that wait for their turn in a fork. */
  const queued = new Set<Call>()
  let closed = false

  const invokeTool = (call: Call) => {
    const builtin = builtins.get(call.path)
    if (builtin !== undefined) return builtin(call.args, call.argsJson?.length ?? 0)
    return executor.tools.invoke(call.path, call.args, {
      argsJsonLength: call.argsJson?.length,
      idempotencyKey: call.id,
      requiresApproval: call.recorded !== undefined && interactions.gatesOf(call).approval,
      onElicitation: interactions.handlerFor(call),
      onStart: (tool) => {
        call.state = "started"
        call.tool = tool
        const { answered } = interactions.gatesOf(call)
        if (answered === 0) return options.confirmLease()
        return recorder.progressed(call.seq, { answersSeen: answered, status: "running" })
      }
    })
  }

  const annotationsOf = (path: string): Effect.Effect<ToolAnnotations> =>
    executor.tools.schema(path).pipe(
      Effect.map(({ annotations }) => annotations),
      Effect.catch(() => Effect.succeed({}))
    )

  /** A timer that had begun waits for what is left of it. */
  const argsNow = (call: Call): unknown => {
    if (call.path !== sleepPath) return call.args
    const { ms } = call.args as { readonly ms: number }
    return { ms: Math.max(0, ms - (options.now() - call.startedAt)) }
  }

  const again = (call: Call) =>
    outcomeOf(
      call,
      Effect.suspend(() => invokeTool(call)),
      limits
    )

  /** Goes on with a recorded call that has no outcome. */
  const goOn = Effect.fnUntraced(function* (call: Call, taken: Taken | undefined): Effect.fn.Return<Outcome> {
    const builtin = builtins.get(call.path)
    if (builtin !== undefined) return yield* outcomeOf(call, builtin(argsNow(call), 0), limits)
    const gates = interactions.gatesOf(call)
    const { answered, asked, doubt } = gates
    const answersSeen = call.recorded?.answersSeen
    const begun = !asked || InDoubt.hasBegun(answersSeen, answered)
    call.begunBefore = InDoubt.mayHaveBegun(answersSeen, gates)
    if (doubt?.status === "resolved" && !begun) return yield* decide(call, responseOf(doubt))
    return yield* call.begunBefore ? repeat(call, taken) : again(call)
  })

  /** Makes a call again that may have had its effect, or asks what became of it. */
  const repeat = Effect.fnUntraced(function* (call: Call, taken: Taken | undefined): Effect.fn.Return<Outcome> {
    const annotations = yield* annotationsOf(call.path)
    call.tool = { annotations }
    // A call that another execution began had another key.
    const sameKey = taken?.inDoubt === undefined
    if (InDoubt.mayRepeat(annotations, sameKey) || options.inDoubt === "repeat") return yield* again(call)
    yield* recorder.progressed(call.seq, { status: "in_doubt" })
    if (options.inDoubt === "fail") return yield* giveUp(call)
    const { doubt } = interactions.gatesOf(call)
    const question = InDoubt.question(call, doubt?.status === "resolved" ? undefined : taken?.inDoubt)
    return yield* decide(call, yield* interactions.askInDoubt(call, question))
  })

  const decide = (call: Call, response: ElicitationResponse): Effect.Effect<Outcome> => {
    const verdict = InDoubt.verdictOf(response)
    switch (verdict._tag) {
      case "Happened":
        return Effect.succeed({ _tag: "Success", json: verdict.resultJson })
      case "DidNotHappen":
        return again(call)
      case "GiveUp":
        return giveUp(call)
    }
  }

  const giveUp = (call: Call): Effect.Effect<never> =>
    Effect.suspend(() => {
      options.onGiveUp(InDoubt.gaveUp(call, options.inDoubt))
      return Effect.never
    })

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
    if (recorded !== undefined) return yield* goOn(call, taken)
    return yield* call.begunBefore ? repeat(call, taken) : again(call)
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
