/**
 * How a command can fail, and the exit code of each way.
 *
 * Every failure that reaches the top is one of these, with a message that a person can act on; anything else is a defect, and
 * is reported by its correlation id only.
 */
import { Context, type Effect, Schema } from "effect"

/** The exit codes of the command. */
export const exitCodes = {
  completed: 0,
  failed: 1,
  usage: 2,
  waiting: 3,
  /** Ended by Ctrl-C, as shells count it (128 + SIGINT). */
  interrupted: 130
} as const

/** The command was called wrongly; nothing was done. Exit code 2. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  message: Schema.String
}) {}

/** The command could not do what it was asked to. Exit code 1. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String
}) {}

/** What every command can fail with. */
export type Failure = UsageError | CommandFailed

/** The exit code that the process will end with, for a command that has reported its outcome itself. */
export class ExitStatus extends Context.Service<ExitStatus, { readonly set: (code: number) => Effect.Effect<void> }>()(
  "@executor/host-cli/ExitStatus"
) {}
