/**
 * One process of the contention (see `contention.ts`): `process.ts <file> <role> <name>`. It works in a loop until its standard input
 * ends, and prints a line a round. Anything that fails ends it with the error and exit code 1.
 */
import { DBExecutionStore, ExecutionId, ExecutionToolCallId, ScopeId } from "@executor/sdk"
import { Rollups, SqliteAdapter } from "@executor/storage-drizzle"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import assert from "node:assert/strict"
import { callsOf, keptScope, keptSwept, statusOf, sweptScope, toolOf } from "./plan.ts"

const [file = "", role = "", name = ""] = process.argv.slice(2)
const kept = ScopeId.make(keptScope)
const swept = ScopeId.make(sweptScope)

process.stdin.resume()
const goesOn = (): boolean => !process.stdin.readableEnded

/** Writes whole executions as the engine does; what it prints is in the database for good. */
const write = Effect.gen(function* () {
  const store = DBExecutionStore.make(yield* SqliteAdapter.make({ file }))
  let slowest = 0
  const execute = Effect.fnUntraced(function* (scopeId: ScopeId, id: ExecutionId, round: number) {
    yield* store.create({ id, scopeId, status: "running", code: `return ${round} // ${name}`, triggerKind: name })
    for (let seq = 0; seq < callsOf(round); seq++) {
      const call = { id: ExecutionToolCallId.make(`${id}:${seq}`), toolPath: toolOf(round, seq), startedAt: Date.now() }
      yield* store.recordToolCall({ ...call, executionId: id, scopeId, seq, argsJson: `{"round":${round}}` })
      const outcome = { status: "completed", settleSeq: seq, resultJson: `"${id}"`, durationMs: 1 } as const
      yield* store.finishToolCall(scopeId, call.id, { ...outcome, completedAt: Date.now() })
    }
    const end = { status: statusOf(round), completedAt: Date.now(), durationMs: round % 100, resultJson: `"${id}"` }
    yield* store.update(scopeId, id, end)
  })
  for (let round = 0; goesOn(); round++) {
    const started = performance.now()
    yield* execute(kept, ExecutionId.make(`${name}-${round}`), round)
    slowest = Math.max(slowest, performance.now() - started)
    yield* execute(swept, ExecutionId.make(`${name}-swept-${round}`), round)
    if (round % 10 === 9) yield* store.sweep(swept, { keepNewest: keptSwept })
    console.log(`done ${round}`)
  }
  console.log(`slowest ${slowest}`)
})

/** Reads pages, counts and single executions, and compares them with each other. */
const read = Effect.gen(function* () {
  const adapter = yield* SqliteAdapter.make({ file })
  const store = DBExecutionStore.make(adapter)
  let known = 0
  for (let round = 0; goesOn(); round++) {
    const total = yield* adapter.count({ table: "execution", where: { op: "eq", column: "scope_id", value: kept } })
    // The counts of `meta` are read one after the other, and executions end between: they are compared when all is still.
    const { executions } = yield* store.list(kept, { limit: 50, includeMeta: true })
    assert.ok(total >= known, `There were ${known} executions, and now ${total}.`)
    known = total
    const times = executions.map(({ execution }) => execution.createdAt)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => b - a)
    )
    const ended = executions.find(({ execution }) => execution.completedAt !== null)?.execution
    if (ended !== undefined) {
      const { execution } = yield* store.get(kept, ended.id)
      assert.equal(execution.resultJson, `"${ended.id}"`)
      assert.equal((yield* store.listToolCalls(kept, ended.id)).length, ended.toolCallCount)
      const found = yield* store.list(kept, { codeQuery: execution.code, limit: 100 })
      assert.ok(found.executions.some((each) => each.execution.id === ended.id))
    }
    yield* store.list(swept, { toolPathFilter: ["chaos.*"], statusFilter: ["failed"], includeMeta: true })
    console.log(`done ${round}`)
  }
})

/** Makes the counters anew, as `executor doctor --repair` does: where nobody spoils them they are right, and afterwards always. */
const repair = Effect.gen(function* () {
  yield* SqliteAdapter.make({ file, reads: "inline" })
  for (let round = 0; goesOn(); round++) {
    const isSpoiled = round % 2 === 1
    if (isSpoiled) spoil()
    else assert.deepEqual(yield* Rollups.check({ database: file }), [])
    const rebuilt = yield* Rollups.repair({ database: file })
    for (const { removed, table, written } of rebuilt) {
      if (!isSpoiled) assert.deepEqual([table, written, removed], [table, 0, 0])
    }
    assert.deepEqual(yield* Rollups.check({ database: file }), [])
    console.log(`done ${round}`)
    yield* Effect.yieldNow
  }
})

/** Makes counters wrong, behind the back of everybody. */
const spoil = (): void => {
  const database = new Database(file, { timeout: 5_000 })
  try {
    database.exec("UPDATE execution_rollup SET executions = executions + 3")
  } finally {
    database.close()
  }
}

const roles: { readonly [role: string]: Effect.Effect<void, unknown, Scope.Scope> } = {
  write,
  read,
  repair
}

await Effect.runPromise(Effect.scoped(roles[role] ?? Effect.die(new Error(`There is no role "${role}".`))))
