/**
 * The commands about journals: `fork`, `replay`, and `inbox`, which lists everything that waits for a person.
 */
import type { CallShape, Divergence, ForkReport } from "@executor/execution"
import { readJson } from "@executor/kernel"
import { type ElicitationRequest, maxListLimit } from "@executor/sdk"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { Waiting } from "../Backend.ts"
import { exitCodes, ExitStatus } from "../Failure.ts"
import * as Flags from "../Flags.ts"
import { readText } from "../Input.ts"
import * as Output from "../Output.ts"
import { Process } from "../Process.ts"
import { questionText } from "../Report.ts"
import { printTable } from "../Table.ts"
import { type Opened, open } from "../Target.ts"
import { neutraliseLine, plural, truncate } from "../Text.ts"
import { parseLimit } from "./Catalog.ts"
import { execute, executionId, parseId, submitOptions } from "./Execute.ts"

/** Arguments in a line of text. */
const maxArguments = 200

const callText = ({ argsJson, path }: CallShape): string =>
  `${path}(${truncate(neutraliseLine(argsJson ?? ""), maxArguments)})`

const divergenceText = ({ made, recorded }: Divergence): string => {
  const call = `call ${made?.seq ?? recorded?.seq ?? 0}`
  if (recorded === undefined)
    return made === undefined ? call : `${call}, ${callText(made)}: the journal ends before it`
  const was = callText(recorded)
  if (made === undefined) return `${call}, ${was}: the code did not make it`
  return was === callText(made)
    ? `${call}, ${was}: it has no outcome that can be reused, as it failed or was not told`
    : `${call}: recorded was ${was}, made was ${callText(made)}`
}

const reportText = ({ divergence, recorded, reused }: ForkReport, are: "were" | "would be"): string => {
  const taken = `${reused} of ${recorded} calls ${are} reused`
  return divergence === undefined ? `${taken}.` : `${taken}; the first made anew is ${divergenceText(divergence)}.`
}

const anyBuild = Flags.switchFlag("any-build", "Try it even though another version of the sandbox wrote the journal")

/** `executor fork`. */
export const fork = Command.make(
  "fork",
  {
    id: executionId,
    code: Flag.String("code").pipe(
      Flag.withMetavar("file"),
      Flag.withDescription("The TypeScript file that is to run instead; - for standard input")
    ),
    dryRun: Flags.switchFlag("dry-run", "Only say what would be reused; nothing is called"),
    anyBuild,
    json: Flags.json,
    approve: Flags.approve,
    idempotencyKey: Flags.idempotencyKey,
    ...Flags.limits
  },
  Effect.fn(function* (input) {
    const id = yield* parseId(input.id)
    const { anyBuild, approve } = input
    const code = yield* readText(input.code)
    if (input.dryRun) {
      const { env } = yield* Process
      const { backend, limits } = yield* open(yield* Flags.target, env, { limitFlags: Flags.limitFlagsOf(input) })
      const preview = yield* backend.previewFork(id, code, { approve, limits, anyBuild })
      return yield* input.json ? Output.json(JSON.stringify(preview)) : Output.result(reportText(preview, "would be"))
    }
    const output = yield* Output.Output
    let made: ForkReport | undefined
    const started = ({ backend, limits }: Opened) =>
      Effect.flatMap(backend.fork(id, code, { ...submitOptions(input), limits, anyBuild }), ({ outcome, report }) => {
        made = report
        return Output.notice(reportText(report, "were")).pipe(
          Effect.provideService(Output.Output, output),
          Effect.as(outcome)
        )
      })
    yield* execute(
      input,
      false,
      (opened) => Effect.succeed(started(opened)),
      () => ({ parentExecutionId: id, report: made })
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Run corrected code on the journal of an execution that has ended. Calls that are the same take their recorded results; one that " +
      "failed last is made anew; from the first that is another call, all are made. So a script that failed at its last step does not repeat its writes. Exit codes as of `run`."
  ),
  Command.withShortDescription("Fix and continue"),
  Command.withExamples([
    { command: "executor fork <id> --code fixed.ts --dry-run", description: "See what would be reused" },
    { command: "executor fork <id> --code fixed.ts", description: "Run it" }
  ])
)

/** `executor replay`. */
export const replay = Command.make(
  "replay",
  {
    id: executionId,
    anyBuild,
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const { env } = yield* Process
    const { backend } = yield* open(yield* Flags.target, env)
    const replayed = yield* backend.replay(yield* parseId(input.id), { anyBuild: input.anyBuild })
    if (!replayed.same) yield* (yield* ExitStatus).set(exitCodes.failed)
    if (input.json) return yield* Output.json(JSON.stringify(replayed))
    if (replayed.same)
      return yield* Output.result(`same: ${plural(replayed.calls, "call")}, ${replayed.recorded.status}`)
    if (replayed.divergence !== undefined) {
      return yield* Output.result(`different: at ${divergenceText(replayed.divergence)}`)
    }
    const endText = ({ errorText, resultJson, status }: typeof replayed.recorded) =>
      `${status} ${neutraliseLine(errorText ?? resultJson ?? "")}`.trim()
    yield* Output.result(`different\nrecorded: ${endText(replayed.recorded)}\nreplayed: ${endText(replayed.replayed)}`)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Run an execution that has ended again on its journal alone, and compare the ends. Nothing is called and nothing recorded. Exit " +
      "code 0: the same, 1: different."
  ),
  Command.withShortDescription("Run again for free, and compare"),
  Command.withExamples([{ command: "executor replay <id>", description: "Test a script with its own history" }])
)

const requestOf = ({ interaction }: Waiting) => readJson(interaction.payloadJson) as ElicitationRequest

const questionOf = (waiting: Waiting): string => questionText(requestOf(waiting))

const toolOf = (waiting: Waiting): string => requestOf(waiting).toolPath ?? ""

/** `executor inbox`. */
export const inbox = Command.make(
  "inbox",
  {
    limit: Flags.textFlag("limit", "count", `How many at most, up to ${maxListLimit} (${maxListLimit})`),
    cursor: Flags.textFlag("cursor", "cursor", "Go on where another page ended"),
    json: Flags.json
  },
  Effect.fn(function* ({ cursor, json, limit }) {
    const { env } = yield* Process
    const { backend } = yield* open(yield* Flags.target, env)
    const found = yield* backend.inbox({
      cursor: Option.getOrUndefined(cursor),
      limit: yield* parseLimit(limit, maxListLimit)
    })
    if (json) return yield* Output.json(JSON.stringify(found))
    const { interactions, nextCursor } = found
    if (interactions.length === 0) return yield* Output.notice("Nothing waits for a person.")
    yield* printTable<Waiting>(
      [
        { header: "EXECUTION", value: ({ execution }) => execution.id },
        { header: "QUESTION", value: ({ interaction }) => interaction.id, dispensable: 3 },
        { header: "ASKED", value: ({ interaction }) => new Date(interaction.createdAt).toISOString(), dispensable: 1 },
        { header: "TOOL", value: toolOf, dispensable: 2 },
        { header: "ASKS", value: questionOf, flexible: true }
      ],
      interactions
    )
    if (nextCursor !== undefined) yield* Output.notice(`There are more: --cursor ${nextCursor}`)
    const isForm = (waiting: Waiting) => requestOf(waiting).kind === "form"
    yield* Output.notice(
      "Answer one with: executor resume <execution> --interaction <question> --accept" +
        (interactions.some(isForm)
          ? " (and --content '{...}' for a form: executor executions get <execution> shows what it asks)"
          : "")
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("List everything that waits for a person, over all executions, oldest first."),
  Command.withShortDescription("List what waits for a person"),
  Command.withExamples([{ command: "executor inbox --json", description: "For programs" }])
)
