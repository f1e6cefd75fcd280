/**
 * What the commands take from the process they run in.
 */
import { Context, type Effect } from "effect"
import type { Environment } from "./DataFolder.ts"
import type { Failure } from "./Failure.ts"

/** The process as the commands see it. */
export class Process extends Context.Service<
  Process,
  {
    readonly env: Environment
    /** The words after the command's name. */
    readonly args: ReadonlyArray<string>
    /** All of standard input as text. */
    readonly readStdin: Effect.Effect<string, Failure>
    /** Standard input as it arrives. */
    readonly openStdin: () => AsyncIterable<Uint8Array>
  }
>()("@executor/host-cli/Process") {}
