/**
 * Engines over one SQLite file, as processes have them, with tools that say what they do.
 */
import { createExecutionEngine, type ExecutionEngineOptions } from "@executor/execution"
import type { CodeExecutor } from "@executor/kernel"
import { createExecutor, type DBAdapter, definePlugin, type Executor, tool } from "@executor/sdk"
import { Effect, Schema } from "effect"

const text = "x".repeat(1000)

const plugin = definePlugin({
  id: "bench",
  staticSources: [
    {
      namespace: "t",
      tools: [
        tool({
          name: "kilobyte",
          description: "Gives 1 KB.",
          input: Schema.Struct({ n: Schema.Finite }),
          annotations: { readOnly: true },
          handler: ({ n }) => ({ n, text })
        }),
        tool({ name: "guarded", description: "Asks first.", requiresApproval: true, handler: () => "done" })
      ]
    }
  ]
})

/** An engine with an executor of its own. */
export const engineOf = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  codeExecutor: CodeExecutor["Service"],
  options: Partial<ExecutionEngineOptions> = {},
  change: (executor: Executor) => Executor = (executor) => executor
) {
  const executor = change(yield* createExecutor({ scopes: ["bench"], adapter, plugins: [plugin] }))
  const engine = yield* createExecutionEngine({ executor, codeExecutor, ...options })
  return { engine, executor }
})
