/**
 * What leases cost: 100 recorded calls with the epoch checked in each write, and without; and how soon abandoned executions go on.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { CodeExecutor } from "@executor/kernel"
import { type Executor, ExecutionId, type ExecutionStore, ScopeId } from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect, Stream } from "effect"
import { join } from "node:path"
import { inTurn, median, report, time } from "../Measure.ts"
import { engineOf } from "./Parts.ts"

const hundred = "for (let i = 0; i < 100; i++) await tools.t.kilobyte({ n: i })"

/** A store whose writes name no epoch. */
const withoutFence = (executor: Executor): Executor => {
  const store = executor.executions
  const executions: ExecutionStore["Service"] = {
    ...store,
    update: (scopeId, id, changes) => store.update(scopeId, id, changes),
    recordToolCall: (input) => store.recordToolCall(input),
    finishToolCall: (scopeId, id, outcome) => store.finishToolCall(scopeId, id, outcome)
  }
  return { ...executor, executions }
}

const abandoned = 10_000

/** Measures in files of the folder. */
export const measure = Effect.fnUntraced(function* (folder: string) {
  const adapter = yield* SqliteAdapter.make({ file: join(folder, "leases.sqlite") })
  const sandbox = yield* QuickJsExecutor.make()
  const { engine } = yield* engineOf(adapter, sandbox)
  const { engine: bare } = yield* engineOf(adapter, sandbox, {}, withoutFence)
  const runs = (of: typeof engine) => async () => {
    const times: Array<number> = []
    for (let i = 0; i < 20; i++) times.push(await time(() => Effect.runPromise(of.execute(hundred))))
    return median(times)
  }
  const { baseline, subject } = yield* Effect.promise(() => inTurn(9, runs(engine), runs(bare)))
  report({
    what: "a live execution of 100 calls",
    value: subject,
    unit: "ms",
    aim: baseline * 1.15,
    baseline: { what: "without checks of the lease", value: baseline }
  })

  const scopeId = ScopeId.make("bench")
  const { executor } = yield* engineOf(adapter, sandbox)
  for (let i = 0; i < abandoned; i++) {
    yield* executor.executions.create({
      id: ExecutionId.make(`abandoned-${i}`),
      scopeId,
      status: "running",
      code: "return 1",
      seed: 1,
      startedAt: 1,
      owner: "gone",
      leaseUntil: 1,
      sandboxBuild: sandbox.build
    })
  }
  const starts: Array<number> = []
  const watched = CodeExecutor.of({
    ...sandbox,
    execute: (code, invoker, options) => {
      starts.push(performance.now())
      return sandbox.execute(code, invoker, options)
    }
  })
  const { engine: recovering } = yield* engineOf(adapter, watched, { recovery: "resume" })
  const finished = Stream.runDrain(
    Stream.take(
      Stream.filter(recovering.events, ({ _tag }) => _tag === "ExecutionFinished"),
      abandoned
    )
  )
  const all = yield* Effect.forkChild(finished, { startImmediately: true })
  const began = performance.now()
  const { continued } = yield* recovering.recover
  if (continued !== abandoned) throw new Error(`${continued} of ${abandoned} go on`)
  all.interruptUnsafe()
  const first = starts[0] ?? Number.NaN
  report({ what: "recover() over 10,000 expired leases starts its first", value: first - began, unit: "ms", aim: 1000 })
  report({ what: "  and has ended them all", value: performance.now() - began, unit: "ms" })
})
