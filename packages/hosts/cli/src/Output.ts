/**
 * What the command prints and where: results on stdout, everything else on stderr.
 *
 * A reader that goes away (`executor executions list | head -1`) is no error: later writes are dropped quietly and the
 * command goes on to its end.
 */
import { Context, Effect, Layer, Predicate } from "effect"
import { isatty } from "node:tty"
import { neutralise, neutraliseJson } from "./Text.ts"

/** A stream that the command writes to. */
export interface Sink {
  readonly write: (text: string) => Effect.Effect<void>
  /** `false` once its reader has gone away. */
  readonly isOpen: boolean
  readonly isTerminal: boolean
  readonly color: boolean
  /** The width of the terminal; absent where there is none. */
  readonly columns: number | undefined
}

/** The outlets of the command. */
export class Output extends Context.Service<
  Output,
  {
    readonly stdout: Sink
    readonly stderr: Sink
    /** Whether a person can be asked: input and stderr are terminals. */
    readonly canAsk: boolean
  }
>()("@executor/host-cli/Output") {}

/** Styles of text on a terminal. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow"

const codes: { readonly [style in Style]: number } = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 }

/** Styles text where the sink shows colours. The text must be safe already. */
export const styled = (sink: Sink, style: Style, text: string): string =>
  sink.color ? `\u001b[${codes[style]}m${text}\u001b[0m` : text

/** Prints text from anywhere as a result, with one newline at its end. */
export const result = (text: string): Effect.Effect<void, never, Output> =>
  Output.use(({ stdout }) => stdout.write(`${neutralise(text).replace(/\n$/, "")}\n`))

/** Prints JSON text as a result. */
export const json = (text: string): Effect.Effect<void, never, Output> =>
  Output.use(({ stdout }) => stdout.write(`${neutraliseJson(text)}\n`))

/** Prints text that is safe already (a table, say) as a result. */
export const rendered = (text: string): Effect.Effect<void, never, Output> =>
  Output.use(({ stdout }) => stdout.write(text))

/** Prints a line that is no result. */
export const notice = (text: string): Effect.Effect<void, never, Output> =>
  Output.use(({ stderr }) => stderr.write(`${neutralise(text).replace(/\n$/, "")}\n`))

const isPresent = (value: string | undefined): boolean => value !== undefined && value !== ""

const makeSink = (stream: NodeJS.WriteStream, env: { readonly [name: string]: string | undefined }): Sink => {
  let open = true
  // Without a listener a broken pipe would end the process with a stack trace.
  stream.on("error", () => {
    open = false
  })
  const isTerminal = stream.isTTY === true
  const forced = isPresent(env["FORCE_COLOR"]) && env["FORCE_COLOR"] !== "0"
  return {
    get isOpen() {
      return open
    },
    isTerminal,
    color: !isPresent(env["NO_COLOR"]) && env["TERM"] !== "dumb" && (isTerminal || forced),
    get columns() {
      return isTerminal && Predicate.isNumber(stream.columns) && stream.columns > 0 ? stream.columns : undefined
    },
    write: (text) =>
      Effect.callback<void>((resume) => {
        if (!open || text === "") return resume(Effect.void)
        stream.write(text, () => resume(Effect.void))
      })
  }
}

/** The streams of this process. */
export const layerProcess = (env: { readonly [name: string]: string | undefined }): Layer.Layer<Output> =>
  Layer.sync(Output, () => ({
    stdout: makeSink(process.stdout, env),
    stderr: makeSink(process.stderr, env),
    canAsk: isatty(0) && isatty(2) && env["TERM"] !== "dumb"
  }))
