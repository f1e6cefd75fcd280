/**
 * What an execution costs, with and without its recording, and what 1,000 tool calls cost.
 */
import { Effect } from "effect"
import Database from "better-sqlite3"
import { join } from "node:path"
import { inTurn, median, report, time, timeWithLag } from "./Measure.ts"
import type { Parts } from "./Parts.ts"

const trivial = "return 1 + 1"
const sequential = "let n = 1; for (let i = 0; i < 1000; i++) n = (await tools.math.double({ n: i })).n; return n"
const concurrent = "return (await Promise.all(Array.from({ length: 1000 }, (_, n) => tools.math.double({ n })))).length"

const expectResult = (actual: unknown, expected: unknown) => {
  if (actual !== expected) throw new Error(`the program gave ${String(actual)}; ${String(expected)} was expected`)
}

/** Measures on the given parts; `folder` takes the files of the baselines. */
export const measure = async (parts: Parts, folder: string): Promise<void> => {
  const recorded = async (code: string, expected: unknown) =>
    expectResult((await Effect.runPromise(parts.engine.execute(code))).result, expected)
  const unrecorded = async () =>
    expectResult(
      (await Effect.runPromise(parts.codeExecutor.execute(trivial, { invoke: () => Effect.void }))).result,
      2
    )

  const each = (count: number, run: () => Promise<unknown>) => async () => {
    const times: Array<number> = []
    for (let i = 0; i < count; i++) times.push(await time(run))
    return median(times)
  }
  const single = await inTurn(
    7,
    each(300, () => recorded(trivial, 2)),
    each(300, unrecorded)
  )
  report({ what: "return 1 + 1, not recorded", value: single.baseline, unit: "ms", aim: 0.25 })
  report({
    what: "return 1 + 1, recorded",
    value: single.subject,
    unit: "ms",
    aim: 1,
    baseline: { what: "not recorded", value: single.baseline }
  })

  const rate = (count: number, run: () => Promise<unknown>) => async () => {
    let left = count
    const worker = async () => {
      while (left-- > 0) await run()
    }
    return (count * 1000) / (await time(() => Promise.all(Array.from({ length: 16 }, worker))))
  }
  const throughput = await inTurn(
    5,
    rate(3000, () => recorded(trivial, 2)),
    rate(8000, unrecorded)
  )
  report({ what: "concurrency 16, not recorded", value: throughput.baseline, unit: "per s", aim: 8000 })
  report({
    what: "concurrency 16, recorded",
    value: throughput.subject,
    unit: "per s",
    aim: 2500,
    baseline: { what: "not recorded", value: throughput.baseline }
  })

  const database = new Database(join(folder, "baseline.sqlite"))
  database.pragma("journal_mode = WAL")
  database.pragma("synchronous = NORMAL")
  database.exec("create table call (id text primary key, status text, args text, result text)")
  const insert = database.prepare("insert into call values (?, 'running', ?, null)")
  const finish = database.prepare("update call set status = 'completed', result = ? where id = ?")
  let next = 0
  /** The least that recording could cost: 2,000 bare statements, each committed by itself, and no sandbox. */
  const bareStatements = () =>
    time(async () => {
      for (let n = 0; n < 1000; n++) {
        const id = String(next++)
        insert.run(id, JSON.stringify({ n }))
        finish.run(JSON.stringify({ n: n * 2 }), id)
      }
    })

  for (const [what, code, expected, aim] of [
    ["1,000 sequential tool calls, recorded", sequential, 1998, 300],
    ["1,000 tool calls in one Promise.all, recorded", concurrent, 1000, 150]
  ] as const) {
    const lags: Array<number> = []
    const { baseline, subject } = await inTurn(
      7,
      async () => {
        const { lagP99, ms } = await timeWithLag(() => recorded(code, expected))
        lags.push(lagP99)
        return ms
      },
      bareStatements
    )
    report({ what, value: subject, unit: "ms", aim, baseline: { what: "bare statements", value: baseline } })
    report({ what: "  event loop lag meanwhile, p99", value: median(lags.slice(1)), unit: "ms", aim: 10 })
  }
  database.close()
}
