/**
 * The whole command: its tree, and what becomes of each way it can end.
 */
import { Cause, Console, Effect, Exit, Fiber, FileSystem, Layer, Path, Stdio, type Terminal } from "effect"
import { CliError, Command } from "effect/cli"
import { ChildProcessSpawner } from "effect/process"
import { describe, search, sources } from "./commands/Catalog.ts"
import { doctor } from "./commands/Doctor.ts"
import { call, cancel, resume, run } from "./commands/Execute.ts"
import { executions } from "./commands/Executions.ts"
import { fork, inbox, replay } from "./commands/Journals.ts"
import { mcp, serve, token } from "./commands/Serve.ts"
import type { Composition } from "./Composition.ts"
import { CommandFailed, exitCodes, ExitStatus, type Failure, UsageError } from "./Failure.ts"
import * as Flags from "./Flags.ts"
import { notice, Output, rendered, styled } from "./Output.ts"
import type { Process } from "./Process.ts"
import { neutralise } from "./Text.ts"
import * as Usage from "./Usage.ts"

/** The command with all its commands. */
const command = Flags.root.pipe(
  Command.withDescription(
    "Runs TypeScript that calls tools, records everything, and asks before tools change something. It works on a data folder " +
      "of its own, without any server, or on a server (--server)."
  ),
  Command.withExamples([
    {
      command: "executor sources add mcp everything -- npx -y @modelcontextprotocol/server-everything",
      description: "Add a source of tools"
    },
    { command: "executor search add two numbers", description: "Find a tool" },
    { command: "executor call everything.get-sum a=2 b=40", description: "Call it" },
    { command: "executor run script.ts", description: "Run a script that calls many" },
    { command: "executor executions list", description: "See what was done" }
  ]),
  Command.withSubcommands([
    { group: "Do", commands: [run, call, inbox, resume, cancel, fork, replay] },
    { group: "Look", commands: [search, describe, sources, executions] },
    { group: "Serve and maintain", commands: [serve, mcp, token, doctor] }
  ])
)

/**
 * What parsing asks of a platform beside a terminal. Only file flags and the wizard, which this command does not have, would
 * use it.
 */
const parsing: Layer.Layer<Exclude<Command.Environment, Terminal.Terminal>> = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(
    ChildProcessSpawner.ChildProcessSpawner,
    ChildProcessSpawner.make(() => Effect.die("no flag starts a process"))
  )
)

/** Reports what is no typed failure, and gives the message for the person: it must say nothing of the inside. */
export type DefectReporter = (cause: Cause.Cause<unknown>) => Effect.Effect<string>

const isFailure = (error: unknown): error is Failure => error instanceof UsageError || error instanceof CommandFailed

/**
 * Runs the command on words as a shell gives them. It succeeds with the exit code: everything that goes wrong is reported on
 * stderr, and what `stop` interrupted is `130` unless the command says otherwise.
 */
export const runCli = Effect.fn("Cli.run")(function* (
  args: ReadonlyArray<string>,
  options: {
    readonly version: string
    readonly reportDefect: DefectReporter
    /** Ends when the command is to be interrupted. */
    readonly stop: Effect.Effect<void>
  }
): Effect.fn.Return<number, never, Output | Process | Composition | Terminal.Terminal> {
  let code: number | undefined
  const status = ExitStatus.of({ set: (value) => Effect.sync(() => void (code = value)) })
  // Completions are printed with the console, which knows nothing of a reader that goes away.
  const printed: Array<string> = []
  const console_: Console.Console = Object.assign(Object.create(console), {
    log: (text: string) => void printed.push(`${text}\n`)
  })
  const running = yield* Command.runWith(command, { version: options.version })(args).pipe(
    Effect.provideService(ExitStatus, status),
    Effect.provideService(Console.Console, console_),
    Effect.provide([parsing, Usage.layer]),
    Effect.forkChild
  )
  yield* Effect.forkChild(Effect.andThen(options.stop, Fiber.interrupt(running)))
  const exit = yield* Fiber.await(running)
  yield* rendered(printed.join(""))
  if (Exit.isSuccess(exit)) return code ?? exitCodes.completed
  return yield* report(exit.cause, code, args, options.reportDefect)
})

const report = Effect.fnUntraced(function* (
  cause: Cause.Cause<unknown>,
  code: number | undefined,
  args: ReadonlyArray<string>,
  reportDefect: DefectReporter
) {
  if (Cause.hasInterruptsOnly(cause)) return code ?? exitCodes.interrupted
  const { stderr } = yield* Output
  const error = Cause.squash(cause)
  if (!Cause.hasDies(cause) && CliError.isCliError(error)) {
    return error._tag === "ShowHelp" && error.errors.length === 0 && args.length === 0
      ? exitCodes.completed
      : exitCodes.usage
  }
  if (!Cause.hasDies(cause) && isFailure(error)) {
    yield* stderr.write(`${styled(stderr, "red", "error")}: ${neutralise(error.message)}\n`)
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failed
  }
  yield* notice(yield* reportDefect(cause))
  return exitCodes.failed
})
