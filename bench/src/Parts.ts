/**
 * The system under measurement: the real sandbox, the real engine, a real SQLite file, and one function as a tool.
 */
import { createExecutionEngine } from "@executor/execution"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, tool } from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect, Schema } from "effect"
import { join } from "node:path"

const plugin = definePlugin({
  id: "bench",
  staticSources: [
    {
      namespace: "math",
      tools: [
        tool({
          name: "double",
          description: "Twice the number.",
          input: Schema.Struct({ n: Schema.Finite }),
          annotations: { readOnly: true },
          handler: ({ n }) => ({ n: n * 2 })
        })
      ]
    }
  ]
})

/** The parts, with the history in a file of `folder`. They close with the scope. */
export const make = Effect.fnUntraced(function* (folder: string) {
  const adapter = yield* SqliteAdapter.make({ file: join(folder, "executor.sqlite") })
  const executor = yield* createExecutor({ scopes: ["bench"], adapter, plugins: [plugin] })
  const codeExecutor = yield* QuickJsExecutor.make()
  const engine = yield* createExecutionEngine({ executor, codeExecutor })
  return { executor, codeExecutor, engine }
})

export type Parts = Effect.Success<ReturnType<typeof make>>
