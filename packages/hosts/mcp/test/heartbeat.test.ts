/**
 * Progress while nothing happens: a client that gives up after a time without any holds on.
 */
import { Admission, createExecutionEngine } from "@executor/execution"
import { McpHost } from "@executor/host-mcp"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, MemoryAdapter, tool } from "@executor/sdk"
import { Client, InMemoryTransport } from "@modelcontextprotocol/client"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"

it.effect("goes on while a tool runs, a call waits in line, or a person thinks", () =>
  Effect.gen(function* () {
    const slow = yield* Deferred.make<string>()
    const demo = definePlugin({
      id: "demo",
      staticSources: [
        {
          namespace: "demo",
          tools: [
            tool({ name: "slow", description: "Takes its time.", handler: () => Deferred.await(slow) }),
            tool({ name: "send", description: "Asks first.", requiresApproval: true, handler: () => "sent" })
          ]
        }
      ]
    })
    const executor = yield* createExecutor({ scopes: ["test"], adapter: MemoryAdapter.make(), plugins: [demo] })
    const engine = yield* createExecutionEngine({
      executor,
      codeExecutor: yield* QuickJsExecutor.make(),
      admission: Admission.make({ concurrentExecutions: 1 })
    })
    const factory = yield* McpHost.make({ engine, executor, version: "0" })
    const thought = Promise.withResolvers<{ action: "accept"; content: Record<string, string> }>()
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const [ours, theirs] = InMemoryTransport.createLinkedPair()
        await (await factory({ era: "legacy" })).connect(theirs)
        const client = new Client(
          { name: "test-client", version: "1" },
          { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "legacy" } }
        )
        client.setRequestHandler("elicitation/create", () => thought.promise)
        await client.connect(ours)
        return client
      }),
      (client) => Effect.promise(() => client.close())
    )
    const execute = Effect.fnUntraced(function* (code: string) {
      const told = yield* Queue.unbounded<{ progress: number; message?: string | undefined }>()
      const onprogress = (each: { progress: number; message?: string | undefined }) => Queue.offerUnsafe(told, each)
      const answer = yield* Effect.forkChild(
        Effect.promise(() => client.callTool({ name: "execute", arguments: { code } }, { onprogress }))
      )
      let last = 0
      /** The next notification with this text, while time goes by. */
      const next = (part: string): Effect.Effect<void> =>
        Effect.gen(function* () {
          const passing = yield* Effect.forkChild(
            Effect.forever(
              Effect.andThen(
                TestClock.adjust("1 second"),
                Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
              )
            )
          )
          const { message = "", progress } = yield* Queue.take(told)
          yield* Fiber.interrupt(passing)
          assert.isAbove(progress, last)
          last = progress
          if (!message.includes(part)) yield* next(part)
        })
      return { answer, next }
    })

    const first = yield* execute(`const a = await tools.demo.slow(); return [a, await tools.demo.send()]`)
    for (let again = 0; again < 3; again++) yield* first.next("Runs demo.slow; 1 tool call so far")
    const second = yield* execute(`return 2`)
    for (let again = 0; again < 3; again++) yield* second.next("Waits in line")
    yield* Deferred.succeed(slow, "done")
    for (let again = 0; again < 3; again++) yield* first.next("Waits for a person to answer: Allow demo.send")
    thought.resolve({ action: "accept", content: {} })
    for (const [call, result] of [
      [first, ["done", "sent"]],
      [second, 2]
    ] as const) {
      assert.deepInclude((yield* Fiber.join(call.answer)).structuredContent, { status: "completed", result })
    }
  }).pipe(Effect.scoped)
)
