/**
 * How the command shows its help, its version, and what was wrong with the way it was called.
 *
 * Help that was asked for goes to stdout. A wrong call gets one short message on stderr that names what was wrong and where to
 * read more, not the whole help.
 */
import { Effect, Layer } from "effect"
import { CliConfig, CliOutput, GlobalFlag, type HelpDoc } from "effect/cli"
import type { CliError } from "effect/cli"
import { notice, Output, rendered, styled } from "./Output.ts"
import { neutralise } from "./Text.ts"

/** The words of an error of parsing, on as few lines as they need. */
const errorText = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnknownSubcommand": {
      const parent = error.parent?.join(" ") ?? "executor"
      const near = error.suggestions.length > 0 ? ` Did you mean ${error.suggestions.join(" or ")}?` : ""
      return `"${parent}" has no command "${error.subcommand}".${near}`
    }
    case "UnrecognizedOption": {
      const near = error.suggestions.length > 0 ? ` Did you mean ${error.suggestions.join(" or ")}?` : ""
      return `There is no flag ${error.option} here.${near}`
    }
    case "MissingArgument":
      return `<${error.argument}> is missing.`
    case "MissingOption":
      return `--${error.option} is missing.`
    default:
      return error.message
  }
}

/** Where the words of another program follow, the usage shows the `--` before them. */
const usageOf = (doc: HelpDoc.HelpDoc): string => doc.usage.replace(" <command...>", " -- <command...>")

const isGroup = (doc: HelpDoc.HelpDoc): boolean => (doc.subcommands ?? []).length > 0

const withoutOptionalValue = (flag: HelpDoc.FlagDoc): HelpDoc.FlagDoc => ({
  ...flag,
  type: flag.type === "[=boolean]" ? "boolean" : flag.type
})

/** The help as text: without the types that say nothing (`string`, the optional value of a switch). */
const format = (doc: HelpDoc.HelpDoc, colors: boolean): string => {
  const tidy: HelpDoc.HelpDoc = {
    ...doc,
    usage: usageOf(doc),
    flags: doc.flags.map(withoutOptionalValue),
    ...(doc.args === undefined ? {} : { args: doc.args.map((arg) => ({ ...arg, type: "" })) })
  }
  const text = CliOutput.defaultFormatter({ colors }).formatHelpDoc(tidy).trim()
  // The last group of commands is not set off from the examples.
  const examples = colors ? "\u001b[1mEXAMPLES" : "EXAMPLES"
  return `${text.replace(`\n${examples}`, `\n\n${examples}`).replace(`\n\n\n${examples}`, `\n\n${examples}`)}\n`
}

const presenter = (output: Output["Service"]): CliOutput.Presenter => {
  const present = Effect.fnUntraced(function* (event: CliOutput.Presenter.Event) {
    switch (event._tag) {
      case "Version":
        return yield* rendered(`${event.version}\n`)
      case "Help": {
        // Naming a group without one of its commands is a wrong call; naming nothing at all asks what there is.
        if (event.reason === "Implicit" && event.commandPath.length > 1) {
          return yield* output.stderr.write(format(event.helpDoc, output.stderr.color))
        }
        return yield* rendered(format(event.helpDoc, output.stdout.color))
      }
      case "InvalidInvocation": {
        const lines = [...new Set(event.errors.map(errorText))].map(neutralise)
        const path = event.commandPath.join(" ")
        yield* output.stderr.write(`${styled(output.stderr, "red", "error")}: ${lines.join("\n       ")}\n`)
        if (!isGroup(event.helpDoc)) yield* notice(`Usage: ${usageOf(event.helpDoc)}`)
        return yield* notice(`See: ${path} --help`)
      }
    }
  })
  return { present: (event) => Effect.provideService(present(event), Output, output) }
}

/** The built-in flags of the command, and how their output looks. */
export const layer: Layer.Layer<never, never, Output> = Layer.unwrap(
  Effect.map(Output, (output) =>
    Layer.mergeAll(
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
      CliOutput.layerPresenter(presenter(output))
    )
  )
)
