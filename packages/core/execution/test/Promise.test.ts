/**
 * The engine with promises.
 */
import { createExecutionEngine, ExecutionRefused, type InteractionAnswer } from "@executor/execution/promise"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, tool } from "@executor/sdk/promise"
import { assert, describe, it } from "vitest"

const make = async () => {
  const begun = Promise.withResolvers<void>()
  const tools = [
    tool({ name: "remove", description: "Removes.", requiresApproval: true, handler: async () => "removed" }),
    tool({
      name: "wait",
      description: "Waits.",
      handler: () => {
        begun.resolve()
        return new Promise(() => undefined)
      }
    })
  ]
  const executor = await createExecutor({
    plugins: [definePlugin({ id: "local", staticSources: [{ namespace: "local", tools }] })]
  })
  const engine = await createExecutionEngine({ executor, codeExecutor: QuickJsExecutor.layer({ workers: 1 }) })
  return {
    executor,
    engine,
    begun: begun.promise,
    [Symbol.asyncDispose]: async () => {
      await engine.close()
      await executor.close()
    }
  }
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("expected a rejection"),
    (error: unknown) => error
  )

describe("an engine with promises", () => {
  it("executes, and asks a handler that gives a promise", async () => {
    await using made = await make()
    const finished = await made.engine.execute("return await tools.local.remove()", {
      onElicitation: async ({ toolPath }) => ({ action: toolPath === "local.remove" ? "accept" : "decline" })
    })
    assert.strictEqual(finished.result, "removed")
    const [scope] = made.executor.scopes
    const { execution } = await made.executor.executions.get(scope, finished.executionId)
    assert.strictEqual(execution.triggerKind, "sdk")
    assert.strictEqual(await made.engine.droppedWrites(), 0)
    assert.include(await made.engine.getDescription(), "- local (2 tools)")
  })

  it("pauses, resumes and tells what happens", async () => {
    await using made = await make()
    const events = made.engine.events()[Symbol.asyncIterator]()
    const first = events.next()
    const paused = await made.engine.executeWithPause("return await tools.local.remove()")
    if (paused.status !== "paused") return assert.fail("it asks nothing")
    assert.strictEqual((await first).value._tag, "ExecutionStarted")
    const answer: InteractionAnswer = { action: "accept", interactionId: paused.execution.interaction.id }
    const finished = await made.engine.resume(paused.execution.id, answer)
    assert.strictEqual(finished.status, "completed")
    await events.return?.()
    return undefined
  })

  it("rejects with the same errors, and with the reason of a signal, which cancels", async () => {
    await using made = await make()
    assert.instanceOf(await rejection(made.engine.execute(" ")), ExecutionRefused)
    const controller = new AbortController()
    const running = rejection(made.engine.execute("await tools.local.wait()", { signal: controller.signal }))
    await made.begun
    controller.abort(new Error("enough"))
    assert.strictEqual(((await running) as Error).message, "enough")
    const [scope] = made.executor.scopes
    const { executions } = await made.executor.executions.list(scope)
    assert.strictEqual(executions[0]?.execution.status, "cancelled")
  })

  it("runs journals again", async () => {
    await using made = await make()
    const { executionId } = await made.engine.execute("throw new Error(String(await tools.search({ query: 'x' })))")
    assert.isTrue((await made.engine.replay(executionId)).same)
    const fixed = "return (await tools.search({ query: 'x' })).length"
    assert.deepInclude(await made.engine.previewFork(executionId, fixed), { reused: 1, recorded: 1 })
    const { outcome } = await made.engine.fork(executionId, fixed)
    assert.strictEqual(outcome.status, "completed")
    assert.deepStrictEqual(await made.engine.recover(), { continued: 0, ended: 0, expired: 0 })
  })

  it("leaves what waits for a person waiting when it is closed", async () => {
    const made = await make()
    const paused = await made.engine.executeWithPause("return await tools.local.remove()")
    await made.engine.close()
    if (paused.status !== "paused") return assert.fail("it asks nothing")
    const [scope] = made.executor.scopes
    const { execution } = await made.executor.executions.get(scope, paused.execution.id)
    assert.strictEqual(execution.status, "waiting_for_interaction")
    return made.executor.close()
  })
})
