/**
 * A tool that asks first, answered in code: inline while the script runs, and later by resuming the paused execution.
 *
 * Run it with `npx node examples/approval.ts` after `npm run build`.
 */
import { createExecutionEngine } from "@executor/execution"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, MemoryAdapter, tool } from "@executor/sdk"
import { Effect, Schema } from "effect"

const mail = definePlugin({
  id: "mail",
  staticSources: [
    {
      namespace: "mail",
      tools: [
        tool({
          name: "send",
          description: "Sends a message.",
          input: Schema.Struct({ to: Schema.String, text: Schema.String }),
          requiresApproval: true,
          handler: ({ to }) => ({ sentTo: to })
        })
      ]
    }
  ]
})

const code = `return await tools.mail.send({ to: "ada@example.com", text: "Hello" })`

const program = Effect.gen(function* () {
  const adapter = MemoryAdapter.make()
  const executor = yield* createExecutor({ scopes: ["example"], adapter, plugins: [mail] })
  const engine = yield* createExecutionEngine({ executor, codeExecutor: yield* QuickJsExecutor.make() })

  const inline = yield* engine.execute(code, {
    onElicitation: (question) => {
      console.log("asked:", question.kind, question.toolPath, JSON.stringify(question.args))
      return Effect.succeed({ action: "accept" })
    }
  })
  console.log("inline:", JSON.stringify(inline.result))

  const paused = yield* engine.executeWithPause(code)
  if (paused.status !== "paused") throw new Error("it should have waited for an answer")
  console.log("paused:", paused.execution.interaction.request.kind)
  const declined = yield* engine.resume(paused.execution.id, { action: "decline", resolvedBy: "ada" })
  if (declined.status === "paused") throw new Error("it should have ended")
  console.log("declined:", declined.status, declined.error?.name)
})

await Effect.runPromise(Effect.scoped(program))
