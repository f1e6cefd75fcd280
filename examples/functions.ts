/**
 * Functions of your own code as tools: a script calls two of them at once, and the history says what happened.
 *
 * Run it with `npx node examples/functions.ts` after `npm run build`.
 */
import { createExecutionEngine } from "@executor/execution"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, tool } from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect, Schema } from "effect"

const inventory = definePlugin({
  id: "inventory",
  staticSources: [
    {
      namespace: "inventory",
      description: "What is on the shelves.",
      tools: [
        tool({
          name: "count",
          description: "How many of an item there are.",
          input: Schema.Struct({ item: Schema.String }),
          annotations: { readOnly: true },
          handler: ({ item }) => Effect.succeed({ item, count: item.length * 3 })
        })
      ]
    }
  ]
})

const code = `
  const items: Array<string> = ["bolt", "washer", "nut"]
  const counts = await Promise.all(items.map((item) => tools.inventory.count({ item })))
  return counts.filter(({ count }) => count < 15)
`

const program = Effect.gen(function* () {
  const adapter = yield* SqliteAdapter.make({ file: ":memory:" })
  const executor = yield* createExecutor({ scopes: ["example"], adapter, plugins: [inventory] })
  const engine = yield* createExecutionEngine({ executor, codeExecutor: yield* QuickJsExecutor.make() })

  const { executionId, result } = yield* engine.execute(code)
  console.log("result:", JSON.stringify(result))

  const [scope] = executor.scopes
  for (const call of yield* executor.executions.listToolCalls(scope, executionId)) {
    console.log(`call ${call.seq}: ${call.toolPath} ${call.argsJson} -> ${call.resultJson}`)
  }
  const { execution } = yield* executor.executions.get(scope, executionId)
  console.log("trigger:", execution.triggerKind)
})

await Effect.runPromise(Effect.scoped(program))
