/**
 * Making a call until it has an outcome: once, again where that is safe, or until a person has said what became of it. See `InDoubt`.
 *
 * A call may be in doubt for two reasons, and both come to the same: its process ended before its outcome was written (`goOn`, `repeat`), or
 * it was sent and nobody knows what came of it (`make`). The second is found out live, so it is repeated by itself at most
 * {@link maxRepeats} times: a server that ends over a call may end over each.
 */
import { holdsExact, type Limits, sleepPath } from "@executor/kernel"
import type { ElicitationRequest, ElicitationResponse, Executor, ToolAnnotations } from "@executor/sdk"
import { Effect } from "effect"
import type * as BuiltinTools from "./BuiltinTools.ts"
import type { Taken } from "./Fork.ts"
import * as InDoubt from "./InDoubt.ts"
import { type Interactions, responseOf } from "./Interactions.ts"
import type { Call } from "./Journal.ts"
import * as Outcomes from "./Outcomes.ts"
import type { Recorder } from "./Recorder.ts"

/** How often a call is made again without asking anybody after its outcome could not be known. */
export const maxRepeats = 1

/** What calls are made with. */
export interface AttemptsOptions {
  readonly executor: Executor
  readonly builtins: ReturnType<typeof BuiltinTools.make>
  readonly interactions: Interactions
  readonly recorder: Recorder
  readonly limits: Limits
  readonly now: () => number
  /** Makes sure that the execution is still this process's, where that is not known. */
  readonly confirmLease: () => Effect.Effect<void> | undefined
  readonly inDoubt: InDoubt.InDoubtPolicy
  /** The execution cannot go on, as a call is in doubt. */
  readonly onGiveUp: (message: string) => void
}

/** Makes the calls of one execution. */
export interface Attempts {
  /** Makes a call that has not begun. */
  readonly make: (call: Call) => Effect.Effect<Outcomes.Outcome>
  /** Goes on with a recorded call that has no outcome. */
  readonly goOn: (call: Call, taken: Taken | undefined) => Effect.Effect<Outcomes.Outcome>
  /** Makes a call again that may have had its effect in a process that is gone, or asks what became of it. */
  readonly repeat: (call: Call, taken: Taken | undefined) => Effect.Effect<Outcomes.Outcome>
}

/** Makes the attempts of an execution that is about to start. */
export const make = (options: AttemptsOptions): Attempts => {
  const { builtins, executor, inDoubt: policy, interactions, limits, recorder } = options

  const invokeTool = (call: Call) => {
    const builtin = builtins.get(call.path)
    if (builtin !== undefined) return builtin(argsNow(call), call.argsJson?.length ?? 0)
    return executor.tools.invoke(call.path, call.args, {
      argsJsonLength: call.argsJson?.length,
      argsHoldExact: holdsExact(call.args),
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

  /** A timer that had begun waits for the rest of its time. */
  const argsNow = (call: Call): unknown => {
    if (call.path !== sleepPath || call.recorded === undefined) return call.args
    const { ms } = call.args as { readonly ms: number }
    return { ms: Math.max(0, ms - (options.now() - call.startedAt)) }
  }

  /** Makes a call, and again while that is safe. `earlier` says why an attempt before may have had its effect. */
  const makeWith = Effect.fnUntraced(function* (
    call: Call,
    repeats: number,
    earlier: string | undefined
  ): Effect.fn.Return<Outcomes.Outcome> {
    const invoked = Effect.suspend(() => invokeTool(call))
    const made = yield* Outcomes.attempt(call, invoked, limits)
    const annotations = call.tool?.annotations ?? {}
    const mayRepeat = policy === "repeat" || InDoubt.mayRepeat(annotations, true)
    if (made._tag === "Unknown" && mayRepeat && repeats > 0) return yield* makeWith(call, repeats - 1, made.why)
    if (annotations.readOnly === true) return made._tag === "Unknown" ? Outcomes.unanswered(made.why) : made
    const settled = stillUnknown(made, earlier)
    if (settled._tag !== "Unknown") return settled
    // The code may call it again as well.
    if (policy === "repeat" || annotations.idempotent === true) return Outcomes.unknown(call, settled.why)
    call.begunBefore = true
    return yield* settleDoubt(call, settled)
  })

  const make = (call: Call) => makeWith(call, maxRepeats, undefined)

  const goOn: Attempts["goOn"] = Effect.fnUntraced(function* (call, taken) {
    if (builtins.has(call.path)) return yield* make(call)
    const gates = interactions.gatesOf(call)
    const { answered, asked, doubt } = gates
    const answersSeen = call.recorded?.answersSeen
    const begun = !asked || InDoubt.hasBegun(answersSeen, answered)
    call.begunBefore = InDoubt.mayHaveBegun(answersSeen, gates)
    if (doubt?.status === "resolved" && !begun) return yield* decide(call, responseOf(doubt), InDoubt.nobodyCouldSay)
    return yield* call.begunBefore ? repeat(call, taken) : make(call)
  })

  const repeat: Attempts["repeat"] = Effect.fnUntraced(function* (call, taken) {
    const annotations = yield* annotationsOf(call.path)
    call.tool = { annotations }
    // A call that another execution began had another key.
    const sameKey = taken?.inDoubt === undefined
    const { doubt } = interactions.gatesOf(call)
    const isAsked = doubt?.status === "pending"
    if (policy === "repeat" || (InDoubt.mayRepeat(annotations, sameKey) && !isAsked)) {
      return yield* makeWith(call, maxRepeats, InDoubt.processEnded)
    }
    const earlier = doubt?.status === "resolved" ? undefined : taken?.inDoubt
    const known = earlier ?? { why: InDoubt.processEnded }
    return yield* settleDoubt(call, known, isAsked ? (JSON.parse(doubt.payloadJson) as ElicitationRequest) : undefined)
  })

  /** Finds out what became of a call as the policy says. A question that waits for its answer already is asked as it was. */
  const settleDoubt = Effect.fnUntraced(function* (
    call: Call,
    known: InDoubt.Known,
    asked?: ElicitationRequest
  ): Effect.fn.Return<Outcomes.Outcome> {
    // While it waits for a person it does nothing, and another process may go on with it.
    call.state = "open"
    yield* recorder.progressed(call.seq, { status: "in_doubt" })
    if (policy === "fail") return yield* giveUp(call)
    const answer = yield* interactions.askInDoubt(call, asked ?? InDoubt.question(call, known))
    return yield* decide(call, answer, asked === undefined && "why" in known ? known.why : InDoubt.nobodyCouldSay)
  })

  const decide = (call: Call, response: ElicitationResponse, why: string): Effect.Effect<Outcomes.Outcome> => {
    const verdict = InDoubt.verdictOf(response)
    switch (verdict._tag) {
      case "Happened":
        return Effect.succeed({ _tag: "Success", json: verdict.resultJson })
      case "DidNotHappen":
        return make(call)
      case "Unknown":
        return Effect.succeed(Outcomes.unknown(call, why))
      case "GiveUp":
        return giveUp(call)
    }
  }

  const giveUp = (call: Call): Effect.Effect<never> =>
    Effect.suspend(() => {
      options.onGiveUp(InDoubt.gaveUp(call, policy))
      return Effect.never
    })

  return { make, goOn, repeat }
}

/** A repeated attempt that fails says nothing of the one before. */
const stillUnknown = (made: Outcomes.Attempt, earlier: string | undefined): Outcomes.Attempt =>
  earlier === undefined || made._tag !== "Failure" || made.error.outcome !== undefined
    ? made
    : { _tag: "Unknown", why: `${InDoubt.sentence(earlier)} It was made again, and failed: ${made.error.message}` }
