/**
 * Where calls of a real server go wrong, and how: what is recorded, what the script is told, and how often the call took effect.
 */
import { assert, it } from "@effect/vitest"
import { createExecutionEngine, type ExecutionEngine } from "@executor/execution"
import { CodeExecutor } from "@executor/kernel"
import { mcpPlugin } from "@executor/plugin-mcp"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, type ElicitationHandler, type ExecutionId } from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import * as fc from "fast-check"
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const kinds = ["plain", "read", "put", "keyed"] as const
type Kind = (typeof kinds)[number]

/** A call that is never answered has this long. Every other has the default limit of minutes. */
const callTimeoutMillis = 500

const approving: ElicitationHandler = ({ kind }) =>
  Effect.succeed({ action: kind === "approval" ? "accept" : "cancel" })

/**
 * The server as sources, one a kind of tool: `fault_<kind>`, `slow_<kind>` with a short limit, and `gone_<kind>`, whose file is removed after it
 * was added.
 */
const setUp = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "executor-faults-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
  )
  const adapter = yield* SqliteAdapter.make({ file: join(folder, "history.sqlite") })
  const file = fileURLToPath(new URL("./faults/server.ts", import.meta.url))
  const copy = join(folder, "server.ts")
  yield* Effect.promise(() => copyFile(file, copy))
  const plugins = [mcpPlugin()]
  const codeExecutor = yield* CodeExecutor
  /** An engine that can be closed by itself. */
  const open = Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const executor = yield* Scope.provide(createExecutor({ scopes: ["team"], adapter, plugins }), scope)
    const engine = yield* Scope.provide(createExecutionEngine({ executor, codeExecutor }), scope)
    return { executor, engine, close: Scope.close(scope, Exit.void) }
  })
  const first = yield* open
  const sources = kinds.flatMap((kind) => [
    { namespace: `fault_${kind}`, path: file, limits: {} },
    { namespace: `slow_${kind}`, path: file, limits: { callTimeoutMillis } },
    { namespace: `gone_${kind}`, path: copy, limits: {} }
  ])
  yield* Effect.forEach(
    sources,
    ({ limits, namespace, path }) => {
      const config = { transport: "stdio", command: process.execPath, args: [path, folder], ...limits }
      return first.executor.sources.add({ namespace, pluginId: "mcp", config })
    },
    { concurrency: 4, discard: true }
  )
  yield* first.close
  yield* Effect.promise(() => rm(copy))
  const lines = (name: "arrived" | "effects") =>
    Effect.promise(() =>
      readFile(join(folder, name), "utf8").then(
        (text): ReadonlyArray<string> => text.split("\n").filter((line) => line !== ""),
        (): ReadonlyArray<string> => []
      )
    )
  const second = yield* open
  return {
    open,
    run: (code: string) => second.engine.execute(code, { onElicitation: approving }),
    callsOf: (id: ExecutionId) => second.executor.executions.listToolCalls(second.executor.scopes[0], id),
    arrived: lines("arrived"),
    /** How often a call took effect. */
    effects: (key: string) => Effect.map(lines("effects"), (keys) => keys.filter((each) => each === key).length)
  }
})

/** Each kind has servers of its own. */
const forKinds = <E, R>(tryKind: (kind: Kind) => Effect.Effect<void, E, R>) =>
  Effect.forEach(kinds, tryKind, { concurrency: "unbounded", discard: true })

/** Starts an execution in the background, and gives its id. */
const started = Effect.fnUntraced(function* (engine: ExecutionEngine, code: string) {
  const begins = yield* Effect.forkScoped(
    Stream.runHead(Stream.filter(engine.events, (event) => event._tag === "ExecutionStarted"))
  )
  yield* Effect.yieldNow
  yield* Effect.forkDetach(engine.execute(code, { onElicitation: approving }))
  return Option.getOrThrow(yield* Fiber.join(begins))
})

const codeOf = (path: string, args: object) => `
try {
  return await tools.${path}(${JSON.stringify(args)})
} catch (error) {
  return [error.name, error.outcome ?? null]
}`

/** What comes of a call that was sent: its status, and what the script is told. */
const afterSending: { readonly [K in Kind]: readonly [status: string, told: unknown] } = {
  plain: ["in_doubt", ["OutcomeUnknown", "unknown"]],
  read: ["failed", ["ToolFailed", null]],
  put: ["in_doubt", ["OutcomeUnknown", "unknown"]],
  keyed: ["in_doubt", ["OutcomeUnknown", "unknown"]]
}

it.layer(QuickJsExecutor.layer({ workers: 1 }), { excludeTestServices: true })("calls that go wrong", (it) => {
  it.effect("are in doubt from the moment of sending on, whichever way they end", () =>
    Effect.gen(function* () {
      const world = yield* setUp
      const ended = (["exit", "kill", "pipe", "timeout"] as const).flatMap((end) =>
        (["sent", "working", "half"] as const).map((point) => ({ point, end }))
      )
      const answered = [
        { point: "malformed", end: "answer" },
        { point: "late", end: "timeout" }
      ]
      const tryAll = Effect.fnUntraced(function* (kind: Kind) {
        for (const { end, point } of [...ended, ...answered]) {
          const path = `${end === "timeout" ? "slow" : "fault"}_${kind}.${kind}`
          const { executionId, result } = yield* world.run(codeOf(path, { point, end }))
          const [call] = yield* world.callsOf(executionId)
          const made = kind === "plain" ? 1 : 2
          assert.deepStrictEqual(
            [call?.status, result, yield* world.effects(`${executionId}:0`)],
            [...afterSending[kind], point === "sent" ? 0 : made],
            `${path} ${point} ${end}`
          )
        }
        // The servers are usable: nothing late was taken for the answer of another call.
        for (const speed of ["fault", "slow"]) {
          assert.strictEqual((yield* world.run(codeOf(`${speed}_${kind}.${kind}`, {}))).result, "done")
        }
      })
      yield* forKinds(tryAll)
    })
  )

  it.effect("had no effect where they were not sent", () =>
    Effect.gen(function* () {
      const world = yield* setUp
      const tryOne = Effect.fnUntraced(function* (kind: Kind) {
        const { executionId, result } = yield* world.run(codeOf(`gone_${kind}.${kind}`, {}))
        const [call] = yield* world.callsOf(executionId)
        assert.deepStrictEqual([call?.status, result], ["failed", ["SourceUnavailable", null]])
      })
      yield* forKinds(tryOne)
      assert.deepStrictEqual(yield* world.arrived, [])
    })
  )

  it.effect("are in doubt where they are cancelled, or the engine closes", () =>
    Effect.gen(function* () {
      const world = yield* setUp
      const tryAll = Effect.fnUntraced(function* (kind: Kind) {
        for (const point of ["sent", "working", "half"]) {
          for (const how of ["cancelled", "closed"] as const) {
            const { close, engine } = yield* world.open
            const code = codeOf(`fault_${kind}.${kind}`, { point, end: "none" })
            const { executionId: id } = yield* Effect.scoped(started(engine, code))
            yield* world.arrived.pipe(Effect.delay(10), Effect.repeat({ until: (keys) => keys.includes(`${id}:0`) }))
            if (how === "cancelled") yield* engine.cancel(id)
            yield* close
            const [call] = yield* world.callsOf(id)
            assert.deepStrictEqual(
              [call?.status, yield* world.effects(`${id}:0`)],
              [kind === "read" ? "failed" : "in_doubt", point === "sent" ? 0 : 1],
              `${kind} ${point} ${how}`
            )
          }
        }
      })
      yield* forKinds(tryAll)
    })
  )

  it.effect("never took effect more often than is safe, and never without being told", () =>
    Effect.gen(function* () {
      const world = yield* setUp
      const calls = fc.array(
        fc.record({
          kind: fc.constantFrom(...kinds),
          point: fc.constantFrom("sent", "working", "half", "malformed", undefined, undefined),
          end: fc.constantFrom("exit", "kill", "pipe")
        }),
        { minLength: 1, maxLength: 4 }
      )
      const services = yield* Effect.context<never>()
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(calls, fc.boolean(), (made, together) =>
            Effect.runPromiseWith(services)(
              Effect.gen(function* () {
                const each = made.map(
                  ({ kind, ...args }) => `() => tools.fault_${kind}.${kind}(${JSON.stringify(args)})`
                )
                const told = `const told = (call) => call().then(() => "completed", (error) => error.outcome ?? "failed")`
                const body = together
                  ? `return await Promise.all([${each.join(", ")}].map(told))`
                  : `const all = []; for (const call of [${each.join(", ")}]) all.push(await told(call)); return all`
                const { executionId, result } = yield* world.run(`${told}; ${body}`)
                const recorded = yield* world.callsOf(executionId)
                for (const [seq, { kind }] of made.entries()) {
                  const status = recorded.find((call) => call.seq === seq)?.status
                  const effects = yield* world.effects(`${executionId}:${seq}`)
                  const what = (result as ReadonlyArray<string>)[seq]
                  assert.strictEqual(what, status === "in_doubt" ? "unknown" : status)
                  assert.isAtMost(effects, kind === "plain" ? 1 : 2)
                  if (status === "completed") assert.isAtLeast(effects, 1)
                  if (status === "failed" && kind !== "read") assert.strictEqual(effects, 0)
                }
              })
            )
          ),
          { numRuns: Number(process.env["EXECUTOR_PROPERTY_RUNS"] ?? 8) }
        )
      )
    })
  )
})
