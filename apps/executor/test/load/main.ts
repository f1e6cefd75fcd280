/**
 * The load as a command, on the command as it is built:
 *
 *     node --conditions=@executor/source apps/executor/test/load/main.ts --count 5000 --database sqlite|postgres [--kill] [-- flags of serve]
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { reportOf } from "./report.ts"
import { type LoadOptions, runLoad } from "./run.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "2000" },
    database: { type: "string", default: "sqlite" },
    kill: { type: "boolean", default: false },
    settle: { type: "string", default: "600" }
  }
})

const options: LoadOptions = {
  database: values.database === "postgres" ? "Postgres" : "SQLite",
  count: Number(values.count),
  kill: values.kill,
  flags: positionals,
  settleWithin: `${Number(values.settle)} seconds`
}

console.log(reportOf(options, await Effect.runPromise(Effect.scoped(runLoad(options)))))
