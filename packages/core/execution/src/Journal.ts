/**
 * The journal of one execution: its tool calls, in the order they were made and in the order they settled.
 *
 * ## The protocol
 *
 * A call passes through these states; the row shows the words in brackets:
 *
 * 1. **open** (`running`): the sandbox made it and numbered it (`seq`). The intent is written before anything else is done for it.
 * 2. **started** (`running`): everything was checked and approved, and the tool was invoked. From now on it may have had an effect.
 * 3. **settled** (`completed`, `failed`, or `in_doubt` where the code is told that nobody knows it): the outcome is JSON text. In one synchronous step the call takes its
 *    time and the next `settleSeq`; then the outcome is written; then it is handed to the sandbox, which delivers
 *    outcomes in the order of `settleSeq` even where a later write was done sooner. So the code sees nothing
 *    that was not written, and the rows tell in which order it saw them.
 *
 * An execution that is **continued** from its journal makes its calls again. What the journal knows is not written again: see
 * `Recorded` for the order in which the code is told what it had been told, and `InDoubt` for calls without an outcome.
 *
 * When the program has ended nothing is handed to it any more: an outcome that arrives then is recorded without a `settleSeq`. A
 * call that never gets one is closed: `in_doubt` if it was started and is not read-only, since nobody knows whether it took
 * effect, `failed` otherwise.
 */
import { Settlement, type ToolInvocation } from "@executor/kernel"
import {
  type ExecutionId,
  ExecutionToolCallId,
  type JournaledCall,
  type Tool,
  type ToolCallStatus
} from "@executor/sdk"
import { Effect } from "effect"
import type { Events } from "./Events.ts"
import { closed } from "./OpenCalls.ts"
import type { Outcome } from "./Outcomes.ts"
import type { Recorded } from "./Recorded.ts"
import type { Recorder } from "./Recorder.ts"

/** One call of the execution. */
export interface Call {
  readonly id: ExecutionToolCallId
  readonly seq: number
  readonly path: string
  readonly args: unknown
  /** The arguments as JSON text; null for none. */
  readonly argsJson: string | null
  readonly startedAt: number
  state: "open" | "started" | "settled"
  /** Whether its intent is written. */
  intended: boolean
  /** What is known of the tool once the call has started. */
  tool: Pick<Tool, "annotations"> | undefined
  /** What the journal has of it, where the execution is continued. */
  readonly recorded: JournaledCall | undefined
  /** Whether it may have had an effect in a process that is gone. */
  begunBefore: boolean
}

/** What a journal is made with. */
export interface JournalOptions {
  readonly executionId: ExecutionId
  readonly recorder: Recorder
  readonly events: Events
  readonly recorded: Recorded
  /** Milliseconds since the epoch; never goes backwards. */
  readonly now: () => number
}

/** The journal of one execution. */
export interface Journal {
  /** Calls made so far. */
  readonly count: () => number
  /** Takes the numbers from recorded outcomes that the code has not seen; done before the program starts. */
  readonly unnumber: Effect.Effect<void>
  /** Takes a call in, in the order of `seq`. */
  readonly open: (invocation: ToolInvocation) => Call
  /** Writes the intent. */
  readonly intend: (call: Call) => Effect.Effect<void>
  /** Numbers the outcome, writes it, and gives what the sandbox is to be told. */
  readonly settle: (call: Call, outcome: Outcome) => Effect.Effect<Settlement>
  /** From now on no outcome is numbered. */
  readonly endProgram: () => void
  /** Closes a call that the code is told nothing of: with its outcome, where that is known from another execution. */
  readonly abandon: (call: Call, why: string, known?: Outcome) => Effect.Effect<void>
}

/** Makes an empty journal. */
export const make = ({ executionId, recorder, events, now, recorded }: JournalOptions): Journal => {
  let nextSeq = 0
  let nextSettleSeq = recorded.told
  let programEnded = false

  const finish = (
    call: Call,
    status: ToolCallStatus,
    at: number,
    settleSeq: number | null,
    text: { readonly resultJson?: string | null; readonly errorText?: string }
  ) => {
    call.state = "settled"
    const durationMs = at - call.startedAt
    return Effect.map(recorder.outcome(call.id, { status, settleSeq, completedAt: at, durationMs, ...text }), () =>
      events.publish({ _tag: "ToolCallFinished", executionId, seq: call.seq, toolPath: call.path, status, at })
    )
  }

  const intend: Journal["intend"] = (call) => {
    const { argsJson, id, path: toolPath, seq, startedAt } = call
    call.intended = true
    return Effect.map(recorder.intent({ id, seq, toolPath, startedAt, argsJson }), () =>
      events.publish({ _tag: "ToolCallStarted", executionId, seq, toolPath, at: startedAt })
    )
  }

  const settle: Journal["settle"] = (call, outcome) => {
    const at = now()
    const settleSeq = programEnded ? null : nextSettleSeq++
    const place = { at, settleSeq: settleSeq ?? nextSettleSeq }
    if (outcome._tag === "Success") {
      return Effect.as(
        finish(call, "completed", at, settleSeq, { resultJson: outcome.json ?? null }),
        Settlement.success({ json: outcome.json, ...place })
      )
    }
    const status = outcome.error.outcome === "unknown" ? "in_doubt" : "failed"
    return Effect.as(
      finish(call, status, at, settleSeq, { errorText: outcome.errorText }),
      Settlement.failure({ error: outcome.error, ...place })
    )
  }

  return {
    count: () => nextSeq,
    unnumber: Effect.forEach(
      recorded.behindGap,
      ({ call: { completedAt, durationMs, errorText, id, resultJson, startedAt, status } }) => {
        const times = { completedAt: completedAt ?? startedAt, durationMs: durationMs ?? 0 }
        return recorder.outcome(id, { status, settleSeq: null, ...times, resultJson, errorText })
      },
      { concurrency: "unbounded", discard: true }
    ),
    open: (invocation) => {
      const seq = invocation.seq ?? nextSeq
      if (seq !== nextSeq) throw new Error(`call ${seq} reached the journal where ${nextSeq} was expected`)
      nextSeq++
      const known = recorded.at(seq)
      return {
        id: ExecutionToolCallId.make(`${executionId}:${seq}`),
        seq,
        path: invocation.path,
        // Large arguments are parsed when they are first read, which a call that is not made again never does.
        get args() {
          return invocation.args
        },
        argsJson: invocation.argsJson ?? null,
        startedAt: known?.call.startedAt ?? now(),
        state: "open",
        intended: known !== undefined,
        tool: undefined,
        recorded: known,
        begunBefore: false
      }
    },
    intend,
    settle,
    endProgram: () => {
      programEnded = true
    },
    abandon: (call, why, known) => {
      const inDoubt = (call.state === "started" || call.begunBefore) && call.tool?.annotations.readOnly !== true
      const { errorText, status } = closed(why, inDoubt)
      const close = Effect.suspend(() =>
        known === undefined ? finish(call, status, now(), null, { errorText }) : Effect.asVoid(settle(call, known))
      )
      return call.intended ? close : Effect.andThen(intend(call), close)
    }
  }
}
