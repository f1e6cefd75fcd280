/**
 * The commands that run something: `run`, `call`, `resume` and `cancel`.
 */
import { Limits } from "@executor/kernel"
import { ExecutionId, ExecutionInteractionId } from "@executor/sdk"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Backend, type Outcome } from "../Backend.ts"
import { converse } from "../Conversation.ts"
import { type Failure, UsageError } from "../Failure.ts"
import * as Flags from "../Flags.ts"
import { parseJsonObject, readText } from "../Input.ts"
import * as Output from "../Output.ts"
import { Process } from "../Process.ts"
import { report } from "../Report.ts"
import type { LimitChanges } from "../Settings.ts"
import { type Opened, open } from "../Target.ts"
import { neutralise } from "../Text.ts"
import * as ToolArguments from "../ToolArguments.ts"

/** Tells of a record that is not whole, once the outcome is told: it is the smaller news. */
const reportDropped = Effect.fnUntraced(function* (
  { backend, keepsHistory, logFile }: Opened,
  { execution: { historyProblem } }: Outcome
) {
  const dropped = yield* backend.droppedWrites
  if (dropped > 0) {
    return yield* Output.notice(
      `warning: ${dropped} ${dropped === 1 ? "write" : "writes"} of the history failed, so the record of this execution is incomplete. ` +
        `The cause is in ${logFile}, if that can be written; see also: executor doctor`
    )
  }
  // A server tells of its own. That nothing is kept here was said at the start.
  if (keepsHistory && historyProblem !== undefined) yield* Output.notice(`warning: ${neutralise(historyProblem)}`)
})

/**
 * Opens the backend, runs what `start` makes of it to its end, and reports. `isNew` tells a new execution, which needs no history, from
 * one that goes on. `more` is what the JSON also has.
 */
export const execute = Effect.fn("Execute.execute")(function* (
  input: { readonly json: boolean; readonly [flag: string]: unknown },
  isNew: boolean,
  start: (opened: Opened) => Effect.Effect<Effect.Effect<Outcome, Failure>, Failure, Process>,
  more: () => object = () => ({})
) {
  const { env } = yield* Process
  const opened = yield* open(yield* Flags.target, env, {
    limitFlags: Flags.limitFlagsOf(input),
    inDoubtFlags: Flags.inDoubtFlagsOf(input),
    runsCode: isNew
  })
  const first = yield* start(opened)
  const started = performance.now()
  const outcome = yield* Effect.provideService(converse(first), Backend, opened.backend)
  const { dataDir, keepsHistory, server } = opened
  yield* report(outcome, {
    json: input.json,
    waitedMs: performance.now() - started,
    server,
    dataDir,
    keepsHistory,
    more: more()
  })
  yield* reportDropped(opened, outcome)
}, Effect.scoped)

export const submitOptions = (input: {
  readonly approve: ReadonlyArray<string>
  readonly idempotencyKey: Option.Option<string>
}) => ({ approve: input.approve, idempotencyKey: Option.getOrUndefined(input.idempotencyKey) })

const readCode = Effect.fnUntraced(function* (file: Option.Option<string>, eval_: Option.Option<string>) {
  if (Option.isSome(eval_)) {
    if (Option.isSome(file)) return yield* new UsageError({ message: "Give a file or -e code, not both." })
    return eval_.value
  }
  if (Option.isNone(file)) {
    return yield* new UsageError({ message: "Give a file to run, - for standard input, or -e code." })
  }
  return yield* readText(file.value)
})

/** `executor run`. */
export const run = Command.make(
  "run",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("The TypeScript file; - for standard input"),
      Argument.optional
    ),
    eval: Flags.textFlag("eval", "code", "Run this code").pipe(Flag.withAlias("e")),
    json: Flags.json,
    approve: Flags.approve,
    idempotencyKey: Flags.idempotencyKey,
    ...Flags.limits,
    ...Flags.inDoubt
  },
  Effect.fn(function* (input) {
    const code = yield* readCode(input.file, input.eval)
    yield* execute(input, true, ({ backend, limits }) =>
      Effect.succeed(backend.submit(code, { ...submitOptions(input), limits }))
    )
  })
).pipe(
  Command.withDescription(
    "Run TypeScript that calls tools. The returned value goes to stdout, console output and errors to stderr. Exit code 0: " +
      "completed, 1: failed or cancelled, 2: wrong usage, 3: waits for an answer."
  ),
  Command.withShortDescription("Run a script"),
  Command.withExamples([
    { command: "executor run script.ts", description: "Run a file" },
    { command: "executor run -e 'return await tools.search({ query: \"issues\" })'", description: "Run some code" },
    { command: "cat script.ts | executor run - --json", description: "Run standard input; print one JSON object" },
    {
      command: "executor run script.ts --approve 'github.*' --cpu-limit 2s",
      description: "Grant tools beforehand, with a limit"
    }
  ])
)

/** The arguments of a call have a limit of their own, and the program that carries them is not the person's code. */
const withRoomFor = (code: string, limits: LimitChanges): LimitChanges => {
  const bytes = Buffer.byteLength(code)
  return bytes > Limits.defaults.sourceBytes ? { ...limits, sourceBytes: bytes } : limits
}

/** `executor call`. */
export const call = Command.make(
  "call",
  {
    tool: Argument.String("tool").pipe(Argument.withDescription("The tool's path, such as github.issues.create")),
    arguments: Argument.String("arguments").pipe(
      Argument.withDescription("The arguments: JSON, key=value for each property, - for standard input, or @file"),
      Argument.variadic()
    ),
    json: Flags.json,
    approve: Flags.approve,
    idempotencyKey: Flags.idempotencyKey,
    ...Flags.limits,
    ...Flags.inDoubt
  },
  Effect.fn(function* (input) {
    if (!/^[^.\s]+(\.[^.\s]+)*$/.test(input.tool)) {
      return yield* new UsageError({ message: `"${input.tool}" is no tool path; they look like github.issues.create` })
    }
    yield* execute(
      input,
      true,
      Effect.fnUntraced(function* ({ backend, limits }) {
        const args = yield* ToolArguments.read(input.tool, input.arguments, backend.describeTool(input.tool))
        const code = ToolArguments.program(input.tool, args)
        return backend.submit(code, { ...submitOptions(input), limits: withRoomFor(code, limits) })
      })
    )
  })
).pipe(
  Command.withDescription(
    "Call one tool. The arguments are JSON, or key=value typed by the tool's input schema: nested.key=1 reaches inside, a key " +
      "given twice makes an array, and key:=json takes JSON as it is. The call is recorded like any execution. Exit codes as of `run`."
  ),
  Command.withShortDescription("Call one tool"),
  Command.withExamples([
    { command: 'executor call github.issues.create \'{"title":"Hi"}\'', description: "Arguments as JSON" },
    {
      command: "executor call github.issues.create title=Hi labels=bug labels=ui",
      description: "Arguments by property"
    },
    { command: "executor call github.issues.create @issue.json", description: "Arguments from a file" }
  ])
)

export const executionId = Argument.String("id").pipe(Argument.withDescription("The execution's id"))

/** An id as it was typed. */
export const parseId = (text: string): Effect.Effect<ExecutionId, UsageError> =>
  text === "" ? Effect.fail(new UsageError({ message: "The id is empty." })) : Effect.succeed(ExecutionId.make(text))

/** `executor resume`. */
export const resume = Command.make(
  "resume",
  {
    id: executionId,
    accept: Flags.switchFlag("accept", "Agree"),
    decline: Flags.switchFlag("decline", "Say no: the call fails, the program goes on (a call in doubt: give up)"),
    cancel: Flags.switchFlag("cancel", "Walk away from the question"),
    content: Flags.textFlag(
      "content",
      "json",
      "With --accept: what a form asked for, as a JSON object; fields left out have its defaults"
    ),
    interaction: Flags.textFlag("interaction", "id", "Which question, when several wait; the oldest without it"),
    anyBuild: Flags.switchFlag("any-build", "Go on even though another version of the sandbox wrote its journal"),
    json: Flags.json
  },
  Effect.fn(function* (input) {
    const id = yield* parseId(input.id)
    const actions = (["accept", "decline", "cancel"] as const).filter((action) => input[action])
    const [action] = actions
    if (action === undefined || actions.length > 1) {
      return yield* new UsageError({ message: "Give one of --accept, --decline and --cancel." })
    }
    if (Option.isSome(input.content) && action !== "accept") {
      return yield* new UsageError({ message: "--content goes with --accept only." })
    }
    const content = Option.isSome(input.content) ? yield* parseJsonObject("--content", input.content.value) : undefined
    const interactionId = Option.isSome(input.interaction)
      ? ExecutionInteractionId.make(input.interaction.value)
      : undefined
    yield* execute(input, false, ({ backend }) =>
      Effect.succeed(backend.resume(id, { action, content, interactionId, anyBuild: input.anyBuild }))
    )
  })
).pipe(
  Command.withDescription(
    "Answer a question that an execution waits with, and wait for what comes next: its end, or its next question. Exit codes as of `run`."
  ),
  Command.withShortDescription("Answer a waiting execution"),
  Command.withExamples([
    { command: "executor resume <id> --accept", description: "Approve" },
    { command: 'executor resume <id> --accept --content \'{"name":"Ann"}\'', description: "Fill in a form" },
    {
      command: 'executor resume <id> --accept --content \'{"outcome":"did_not_happen"}\'',
      description: "Have a call in doubt made again"
    }
  ])
)

/** `executor cancel`. */
export const cancel = Command.make(
  "cancel",
  { id: executionId },
  Effect.fn(function* (input) {
    const id = yield* parseId(input.id)
    const { env } = yield* Process
    const { backend } = yield* open(yield* Flags.target, env)
    yield* backend.cancel(id)
    yield* Output.notice(`Cancelled ${id}`)
  }, Effect.scoped)
).pipe(
  Command.withDescription("End an execution that runs or waits, as cancelled."),
  Command.withExamples([
    { command: "executor cancel <id> --server http://127.0.0.1:4788", description: "Cancel on a server" }
  ])
)
