/**
 * The whole command in this process, over a real engine and sandbox with rows in memory: what goes in are words, standard input
 * and keys, what comes out are the two streams and the exit code.
 */
import {
  CommandFailed,
  Composition,
  type LimitChanges,
  type McpSettings,
  type LocalParts,
  Output,
  Process,
  runCli
} from "@executor/host-cli"
import { type Admission, createExecutionEngine } from "@executor/execution"
import { Limits } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, MemoryAdapter, tool } from "@executor/sdk"
import { type Cause, Context, Deferred, Effect, Layer, Option, Queue, Scope, Terminal } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"

/** Tools of every kind that the commands treat differently. */
const plugin = definePlugin({
  id: "test",
  staticSources: [
    {
      namespace: "shop",
      description: "A shop.",
      tools: [
        tool({
          name: "add",
          description: "Adds numbers.",
          input: {
            type: "object",
            properties: { a: { type: "number" }, b: { type: "number" } },
            required: ["a", "b"],
            additionalProperties: false
          },
          annotations: { readOnly: true },
          handler: (input) => {
            const { a, b } = input as { readonly a: number; readonly b: number }
            return a + b
          }
        }),
        tool({
          name: "order-now",
          description: "Orders \u001b[31mred\u001b[0m things.",
          input: { type: "object", properties: { item: { type: "string" } } },
          requiresApproval: true,
          handler: (input) => ({ ordered: input })
        }),
        tool({
          name: "ask",
          description: "Asks a person.",
          handler: (_, context) =>
            context.elicit({
              kind: "form",
              message: "Who are you?",
              toolPath: context.path,
              requestedSchema: {
                type: "object",
                properties: {
                  name: { type: "string", title: "Your name" },
                  age: { type: "integer" },
                  color: { type: "string", enum: ["red", "green"] },
                  news: { type: "boolean" },
                  nick: { type: "string" }
                },
                required: ["name", "age", "color", "news"]
              }
            })
        }),
        tool({
          name: "wait",
          description: "Never comes back.",
          annotations: { readOnly: true },
          handler: () => Effect.never
        })
      ]
    }
  ]
})

/** What a command left behind. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** How a command is called. */
export interface Call {
  readonly stdin?: string
  readonly env?: { readonly [name: string]: string }
  /** Puts the command at a terminal, where these keys are pressed as soon as something reads them. */
  readonly keys?: ReadonlyArray<string>
  /** Interrupts the command once this text is on one of the streams. */
  readonly interruptAt?: string
}

const key = (text: string): Terminal.UserInput => ({
  input: text.length === 1 ? Option.some(text) : Option.none(),
  key: { name: text, ctrl: false, meta: false, shift: false }
})

/** A sink that keeps what is written, and looks for a text in it. */
const makeSink = (isTerminal: boolean, onText: (text: string) => Effect.Effect<unknown>) => {
  let written = ""
  return {
    isOpen: true,
    isTerminal,
    color: false,
    columns: isTerminal ? 80 : undefined,
    write: (text: string) =>
      Effect.suspend(() => {
        written += text
        return Effect.asVoid(onText(written))
      }),
    read: () => written
  }
}

/** The command over one engine whose history lives as long as the service. */
export class Command extends Context.Service<
  Command,
  {
    readonly run: (args: ReadonlyArray<string>, call?: Call) => Effect.Effect<Ended>
    readonly parts: LocalParts
    readonly folder: string
    /** The bounds that servers were started with, oldest first. */
    readonly admissions: ReadonlyArray<Admission.AdmissionOptions>
    /** How the servers that were started treat their clients. */
    readonly mcpSettings: ReadonlyArray<McpSettings>
  }
>()("test/Command") {}

const makeParts = Effect.fnUntraced(function* (limits: LimitChanges) {
  const adapter = MemoryAdapter.make()
  const executor = yield* createExecutor({ scopes: ["default"], adapter, plugins: [plugin] })
  const codeExecutor = yield* QuickJsExecutor.make({ workers: 1 })
  const engine = yield* createExecutionEngine({ executor, codeExecutor, limits: Limits.with(limits) })
  const parts: LocalParts = { adapter, executor, engine: Effect.succeed(engine), keepsHistory: true }
  return parts
})

/** Key presses, then the end of input. */
const makeTerminal = (keys: ReadonlyArray<string>, display: (text: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const queue = yield* Queue.make<Terminal.UserInput, Cause.Done>()
    for (const pressed of keys) yield* Queue.offer(queue, key(pressed))
    yield* Queue.end(queue)
    return Terminal.make({
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      size: Effect.never,
      readInput: Effect.succeed(queue),
      readLine: Effect.fail(new Terminal.QuitError()),
      display
    })
  })

/** The service, with a data folder of its own. */
export const layerCommand: Layer.Layer<Command> = Layer.effect(
  Command,
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "executor-cli-test-"))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true }))
    )
    const scope = yield* Scope.Scope
    const parts = yield* Effect.orDie(makeParts({}))
    const unavailable = Effect.fail(new CommandFailed({ message: "not in this test" }))
    const admissions: Array<Admission.AdmissionOptions> = []
    const mcpSettings: Array<McpSettings> = []
    const noteAdmission = (admission: Admission.AdmissionOptions) => Effect.sync(() => admissions.push(admission))
    const composition = Composition.of({
      version: "1.2.3",
      openLocal: ({ limits }) =>
        Object.keys(limits).length === 0
          ? Effect.succeed(parts)
          : Effect.orDie(makeParts(limits)).pipe(Scope.provide(scope)),
      serve: ({ admission }) => Effect.andThen(noteAdmission(admission), unavailable),
      mcp: ({ admission, mcp }) =>
        Effect.suspend(() => {
          mcpSettings.push(mcp)
          return Effect.andThen(noteAdmission(admission), Effect.die(new Error("a secret of the inside")))
        }),
      sandboxBuild: Effect.succeed(QuickJsExecutor.build),
      token: () => Effect.succeed("the-token"),
      readToken: () => Effect.succeed(undefined),
      inspectDatabase: () => unavailable,
      tryWrite: () => unavailable,
      inspectSpace: () => unavailable,
      giveSpaceBack: () => Effect.succeed(5 * 1024 * 1024),
      enableGivingBack: () => unavailable,
      checkCounters: () => unavailable,
      repairCounters: () => unavailable
    })
    const run = Effect.fnUntraced(function* (args: ReadonlyArray<string>, call: Call = {}) {
      const interrupted = yield* Deferred.make<void>()
      const watch = (text: string) =>
        call.interruptAt !== undefined && text.includes(call.interruptAt)
          ? Deferred.succeed(interrupted, undefined)
          : Effect.void
      const atTerminal = call.keys !== undefined
      const stdout = makeSink(false, watch)
      const stderr = makeSink(atTerminal, watch)
      const code = yield* runCli(args, {
        version: "1.2.3",
        reportDefect: () => Effect.succeed("a bug, id 42"),
        stop: Deferred.await(interrupted)
      }).pipe(
        Effect.provideService(Composition, composition),
        Effect.provideService(Output, { stdout, stderr, canAsk: atTerminal }),
        Effect.provideService(Process, {
          args,
          env: { HOME: folder, EXECUTOR_DATA_DIR: folder, ...call.env },
          readStdin: Effect.succeed(call.stdin ?? ""),
          openStdin: () => Readable.from([Buffer.from(call.stdin ?? "")])
        }),
        Effect.provideServiceEffect(Terminal.Terminal, makeTerminal(call.keys ?? [], stderr.write))
      )
      return { code, stdout: stdout.read(), stderr: stderr.read() }
    })
    return Command.of({ run, parts, folder, admissions, mcpSettings })
  })
)
