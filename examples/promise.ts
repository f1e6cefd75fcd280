/**
 * The same without Effect: plain promises, functions that may be async, and an approval answered in code.
 *
 * Run it with `npx node examples/promise.ts` after `npm run build`.
 */
import { createExecutionEngine } from "@executor/execution/promise"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, tool } from "@executor/sdk/promise"

const greetings = definePlugin({
  id: "greetings",
  staticSources: [
    {
      namespace: "greetings",
      tools: [
        tool({
          name: "length",
          description: "How long a greeting is.",
          input: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
          handler: async ({ text }: { text: string }) => text.length
        }),
        tool({
          name: "send",
          description: "Sends a greeting.",
          input: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
          requiresApproval: true,
          handler: async () => true
        })
      ]
    }
  ]
})

await using executor = await createExecutor({ plugins: [greetings] })
await using engine = await createExecutionEngine({ executor, codeExecutor: QuickJsExecutor.layer() })

const counted = await engine.execute(`return await tools.greetings.length({ text: "Hello" }) + 37`)
console.log("result:", counted.result)

const sent = await engine.execute(`return await tools.greetings.send({ text: "Hello" })`, {
  onElicitation: (question) => {
    console.log("asked:", question.kind, question.toolPath)
    return { action: "accept" }
  }
})
console.log("sent:", sent.result)
