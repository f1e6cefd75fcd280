/**
 * The command as a process: its streams, its signals, and the code it ends with.
 *
 * The first Ctrl-C (or SIGTERM, or the end of the terminal) interrupts what runs, so that an execution is recorded as cancelled and
 * sources are closed; a second one, or {@link stopWithinMs} without an end, ends the process at once. Signals that come together are one:
 * a terminal signals every process of a command, and whatever started this one (npm, or the command on its own Node) passes it on again.
 */
import { Effect, Latch, Layer } from "effect"
import { constants } from "node:os"
import { text } from "node:stream/consumers"
import { runCli } from "./Cli.ts"
import { Composition } from "./Composition.ts"
import { locate } from "./DataFolder.ts"
import * as DefectLog from "./DefectLog.ts"
import { CommandFailed, exitCodes } from "./Failure.ts"
import * as Output from "./Output.ts"
import { Process } from "./Process.ts"
import { layerTerminal } from "./Questions.ts"

/**
 * How long a command may take to end once it is told to: longer than all that it waits for then (a sandbox that lets go, the last
 * writes of its history, the processes of its sources) takes together.
 */
const stopWithinMs = 20_000

/** What comes this soon after the first signal is the same one: longer than it takes to be passed on, shorter than a second thought. */
const sameSignalMs = 500

/** The value of `--data-dir` among the words, for reporting what fails before they are parsed. */
const dataDirOf = (args: ReadonlyArray<string>): string | undefined => {
  const index = args.findIndex((arg) => arg === "--data-dir" || arg.startsWith("--data-dir="))
  const arg = args[index]
  return arg === "--data-dir" ? args[index + 1] : arg?.slice("--data-dir=".length)
}

/** Runs the command in this process and ends it. */
export const main = (composition: Composition["Service"]): void => {
  const { argv, env } = process
  const args = argv.slice(2)
  const folder = locate(dataDirOf(args), env)

  const end = (code: number): void => {
    process.exitCode = code
    // What is still open (a pool that shuts down, a socket kept alive) must not hold the command up.
    process.exit()
  }
  const crash = (error: unknown): void => {
    process.stderr.write(`${DefectLog.record(folder, error)}\n`, () => end(exitCodes.failed))
  }
  process.once("uncaughtException", crash)
  process.once("unhandledRejection", crash)

  const services = Layer.mergeAll(
    layerTerminal,
    Layer.succeed(Composition, composition),
    Layer.succeed(Process, {
      env,
      args,
      readStdin: Effect.tryPromise({
        try: () => text(process.stdin),
        catch: () => new CommandFailed({ message: "Standard input cannot be read." })
      }),
      openStdin: () => process.stdin
    }),
    DefectLog.layerLogger(folder)
  ).pipe(Layer.provideMerge(Output.layerProcess(env)))
  const stop = Latch.makeUnsafe()
  let signal: NodeJS.Signals | undefined
  let signalledAt = 0
  const onSignal = (received: NodeJS.Signals): void => {
    const now = performance.now()
    if (signal !== undefined) {
      if (now - signalledAt > sameSignalMs) end(128 + constants.signals[received])
      return
    }
    signal = received
    signalledAt = now
    setTimeout(() => end(128 + constants.signals[received]), stopWithinMs).unref()
    stop.openUnsafe()
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  process.on("SIGHUP", onSignal)

  const program = runCli(args, {
    version: composition.version,
    reportDefect: DefectLog.reporter(folder),
    stop: stop.await
  }).pipe(Effect.provide(services))
  Effect.runCallback(program, {
    onExit: (exit) => {
      const code = exit._tag === "Success" ? exit.value : exitCodes.failed
      end(code === exitCodes.interrupted && signal !== undefined ? 128 + constants.signals[signal] : code)
    }
  })
}
