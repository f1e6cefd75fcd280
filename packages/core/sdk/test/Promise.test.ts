import { assert, describe, it } from "vitest"
import {
  createExecutor,
  definePlugin,
  ElicitationDeclined,
  ExecutionId,
  ScopeId,
  tool,
  ToolFailed,
  ToolInputInvalid,
  ToolNotFound
} from "@executor/sdk/promise"
import { z } from "zod"

const make = () => {
  const state = { aborted: false }
  const local = definePlugin({
    id: "local",
    staticSources: [
      {
        namespace: "local",
        tools: [
          tool({
            name: "greet",
            description: "Greets.",
            input: z.object({ name: z.string() }),
            handler: async ({ name }) => `Hello ${name.toUpperCase()}`
          }),
          tool({ name: "fail", description: "Fails.", handler: () => Promise.reject(new Error("out of order")) }),
          tool({ name: "remove", description: "Removes.", requiresApproval: true, handler: () => "removed" }),
          tool({
            name: "ask",
            description: "Asks.",
            handler: async (_, { elicit }) => (await elicit({ kind: "form", message: "Name?" })).content
          }),
          tool({
            name: "wait",
            description: "Waits.",
            handler: (_, { signal }) =>
              new Promise((_, reject) => {
                signal.addEventListener("abort", () => {
                  state.aborted = true
                  reject(new Error("aborted"))
                })
              })
          })
        ]
      }
    ]
  })
  return { state, executor: createExecutor({ plugins: [local] }) }
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("expected a rejection"),
    (error: unknown) => error
  )

describe("an executor with promises", () => {
  it("invokes, lists, searches and describes", async () => {
    await using executor = await make().executor
    assert.strictEqual(await executor.tools.invoke("local.greet", { name: "Ada" }), "Hello ADA")
    assert.deepStrictEqual(executor.scopes, [ScopeId.make("default")])
    assert.strictEqual((await executor.sources.list())[0]?.toolCount, 5)
    assert.strictEqual((await executor.tools.search({ query: "greets" }))[0]?.tool.path, "local.greet")
    assert.include((await executor.tools.schema("local.greet")).signature, "tools.local.greet(input: { name: string })")
  })

  it("rejects with the same error classes", async () => {
    await using executor = await make().executor
    assert.instanceOf(await rejection(executor.tools.invoke("local.nope")), ToolNotFound)
    assert.instanceOf(await rejection(executor.tools.invoke("local.greet", {})), ToolInputInvalid)
    assert.instanceOf(await rejection(executor.tools.invoke("local.remove")), ElicitationDeclined)
    const failed = await rejection(executor.tools.invoke("local.fail"))
    assert(failed instanceof ToolFailed)
    assert.strictEqual(failed.message, "out of order")
    const id = ExecutionId.make("018f0000-0000-7000-8000-000000000000")
    assert.propertyVal(
      await rejection(executor.executions.get(ScopeId.make("default"), id)),
      "_tag",
      "ExecutionNotFound"
    )
  })

  it("asks through a promise, and tools ask through one", async () => {
    await using executor = await make().executor
    const onElicitation = async () => ({ action: "accept", content: { name: "Ada" } }) as const
    assert.strictEqual(await executor.tools.invoke("local.remove", {}, { onElicitation }), "removed")
    assert.deepStrictEqual(await executor.tools.invoke("local.ask", {}, { onElicitation }), { name: "Ada" })
    const broken = () => Promise.reject(new Error("no terminal"))
    assert.propertyVal(
      await rejection(executor.tools.invoke("local.remove", {}, { onElicitation: broken })),
      "message",
      "no terminal"
    )
  })

  it("an aborted signal ends the call and reaches the handler", async () => {
    const { state, executor: made } = make()
    await using executor = await made
    const controller = new AbortController()
    const call = rejection(
      executor.tools.invoke(
        "local.wait",
        {},
        { signal: controller.signal, onStart: () => queueMicrotask(() => controller.abort("enough")) }
      )
    )
    assert.strictEqual(await call, "enough")
    assert.isTrue(state.aborted)
    assert.strictEqual(
      await rejection(executor.tools.invoke("local.greet", { name: "x" }, { signal: controller.signal })),
      "enough"
    )
  })
})
