/**
 * The sandbox runtime behind one small interface.
 *
 * A `CodeExecutor` runs one submitted program. All that the program can do to the outside is call tools, and each call
 * reaches the host through the `SandboxToolInvoker` it was started with. Use a runtime package (`@executor/runtime-quickjs`)
 * for a real one.
 *
 * ## The loop
 *
 * Live running and replay are the same loop, so a program must meet the same world both times:
 *
 * - every call is numbered (`seq`, from 0) inside the sandbox at the moment it is made, timers included
 *   (a `setTimeout` is a call of {@link sleepPath}), and reaches the invoker in that order;
 * - outcomes ("settlements") are handed to the program one at a time, its microtasks drained between two of them. An
 *   invoker that numbers its settlements (`settleSeq`, from 0 without gaps) has them delivered in that order,
 *   whichever becomes ready first; without numbers they are delivered as they come;
 * - `Date.now()` inside is the time of the last settlement (`at`), or the start time before the first;
 *   `Math.random()` and `crypto.randomUUID()` draw from the seed. There is no other source of nondeterminism.
 *
 * ## Idle
 *
 * Between two settlements a program comes to rest: its microtasks are drained, and the calls that it made have reached the invoker
 * (all of them, or as many as may be under way at once). Nothing more happens inside until a settlement arrives. The runtime then
 * tells the host, by `onIdle`, how many settlements the program had received by that time. The number makes it exact although
 * the two run side by side: a host that has produced as many knows that the program is idle now, and one that has produced
 * more knows that the program has yet to receive the others, and that it will be told again. A program that ends is not idle.
 *
 * ## The end
 *
 * A program that returns a value is over. A program that comes to its end without a value is over as a process of Node is: when none of its calls
 * is open, apart from timers that it cleared. Either way a line of its console output names what it did not wait for. If a promise was
 * rejected by then and nothing has handled it, a program without a value fails with that error.
 */
import { Context, type Effect } from "effect"
import type { CodeExecutionError } from "./CodeExecutionError.ts"
import type { Limits } from "./Limits.ts"

/** The reserved path that `setTimeout` calls, with `{ ms }`; it settles with nothing when the wait is over. */
export const sleepPath = "executor.sleep"

/** One call as the sandbox makes it. */
export interface ToolInvocation {
  /** Dotted path, `namespace.group.operation`. */
  readonly path: string
  /** The parsed arguments; the program may have passed nothing, which is `undefined`. */
  readonly args: unknown
  /** The arguments as the sandbox wrote them: JSON text, exact to the byte. Absent when nothing was passed. */
  readonly argsJson?: string | undefined
  /** The number of the call in its execution, from 0. A runtime always gives it. */
  readonly seq?: number | undefined
}

/**
 * An outcome with the journal's knowledge of it. An invoker that returns plain values or fails with plain errors needs
 * none of this: the runtime encodes the value, takes the time from its clock and delivers in order of arrival.
 */
export class Settlement {
  readonly outcome:
    | { readonly _tag: "Success"; readonly json: string | undefined }
    | { readonly _tag: "Failure"; readonly error: ToolRejection }
  /** What `Date.now()` says in the sandbox once this is delivered, in milliseconds since the epoch. */
  readonly at: number
  /** The place in the order of delivery, from 0 without gaps. */
  readonly settleSeq: number

  private constructor(outcome: Settlement["outcome"], at: number, settleSeq: number) {
    this.outcome = outcome
    this.at = at
    this.settleSeq = settleSeq
  }

  /** A value, as JSON text (`undefined` for no value). */
  static success(options: {
    readonly json: string | undefined
    readonly at: number
    readonly settleSeq: number
  }): Settlement {
    return new Settlement({ _tag: "Success", json: options.json }, options.at, options.settleSeq)
  }

  /** A rejection. It is a value here, not a failed effect, so that its place in the order is carried too. */
  static failure(options: {
    readonly error: ToolRejection
    readonly at: number
    readonly settleSeq: number
  }): Settlement {
    return new Settlement({ _tag: "Failure", error: options.error }, options.at, options.settleSeq)
  }
}

/** What the program catches when a call fails: an `Error` with these properties. `data` is JSON. */
export interface ToolRejection {
  readonly name: string
  readonly message: string
  /** The error code of the tool's protocol. */
  readonly code?: number | string | undefined
  /** `unknown` where the call may have had its effect; `happened` where it had, and only its result is missing. */
  readonly outcome?: "unknown" | "happened" | undefined
  readonly data?: unknown
}

/**
 * How a sandbox reaches tools. It succeeds with the tool's value, or with a {@link Settlement}. A failure rejects the
 * program's promise with the failure's `name` (or `_tag`), `message` and `data`; a defect rejects it with an opaque
 * message. A `LimitExceeded` ends the execution instead. It is interrupted when the execution is, and when the program
 * ends while the call is open.
 */
export interface SandboxToolInvoker {
  readonly invoke: (call: ToolInvocation) => Effect.Effect<unknown, unknown>
}

/** One line of captured console output. */
export interface LogEntry {
  readonly level: "debug" | "log" | "info" | "warn" | "error"
  readonly message: string
  /** The sandbox's clock when it was written, in milliseconds since the epoch. */
  readonly at: number
}

/** Why a program that ran has no result: it threw, or it passed a limit. */
export interface ExecutionFailure {
  /** `Error`, `TypeError`, ..., or `LimitExceeded`, `SyntaxError`, `UnsettledPromise`, `UnserializableValue`. */
  readonly name: string
  /** For people and models: what was wrong, where, what to do. */
  readonly message: string
  /** Position in the submitted source, from 1, where it is known. */
  readonly line?: number | undefined
  readonly column?: number | undefined
  /** The frames inside the submitted code, positions as submitted; no path of the host. */
  readonly stack?: string | undefined
  /** The limit that was passed, for `LimitExceeded`. */
  readonly limit?: keyof typeof Limits.fields | undefined
}

/** What came of a program that was run. */
export interface ExecuteResult {
  /** The returned value, parsed from `resultJson` when first read: reading 10 MB of it takes the caller 100 ms. */
  readonly result: unknown
  /** The returned value as the sandbox wrote it: JSON text. `undefined` when nothing was returned, or it failed. */
  readonly resultJson: string | undefined
  /** Set when the program did not complete. */
  readonly error?: ExecutionFailure | undefined
  /** Console output in order. */
  readonly logs?: ReadonlyArray<LogEntry> | undefined
}

/** Options of one execution. */
export interface ExecuteOptions {
  /** Defaults to `Limits.defaults`. */
  readonly limits?: Limits | undefined
  /** Seeds `Math.random()` and `crypto.randomUUID()`. Random if absent. An unsigned 32-bit integer. */
  readonly seed?: number | undefined
  /** `Date.now()` before the first settlement, in milliseconds since the epoch. Now if absent. */
  readonly startTime?: number | undefined
  /**
   * Called whenever the program has become idle, with the number of settlements it has received so far, after the invoker was
   * given the calls made until then. A runtime always calls it; it may tell the same number more than once. It must not throw.
   */
  readonly onIdle?: ((received: number) => void) | undefined
  /**
   * Told the console output of an execution that is interrupted, as far as its sandbox could still tell it, before the interruption is
   * over.
   */
  readonly onStopped?: ((logs: ReadonlyArray<LogEntry>) => void) | undefined
}

/**
 * A sandbox runtime. A program that throws, does not compile or passes a limit is a result with an `error`;
 * {@link CodeExecutionError} is for a runtime that could not do its work (a worker that died, a closed pool).
 */
export class CodeExecutor extends Context.Service<
  CodeExecutor,
  {
    readonly execute: (
      code: string,
      invoker: SandboxToolInvoker,
      options?: ExecuteOptions
    ) => Effect.Effect<ExecuteResult, CodeExecutionError>
    /**
     * Names this build of the sandbox and its code transform. A journal is only replayed on the build that wrote it.
     */
    readonly build: string
  }
>()("@executor/kernel/CodeExecutor") {}
