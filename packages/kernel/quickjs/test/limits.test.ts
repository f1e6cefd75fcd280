import { Limits, type LimitName, Settlement, sleepPath } from "@executor/kernel"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { error, layer, limited, run, value } from "./support.ts"

describe("limits", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    const passed: ReadonlyArray<readonly [limit: LimitName, value: number, shown: string, code: string]> = [
      ["cpuTimeMs", 100, "100 ms", "for (;;) {}"],
      ["wallTimeMs", 50, "50 ms", "await tools.never()"],
      ["heapBytes", 8 * 1024 * 1024, "8 MB", "const a = []; for (;;) a.push({})"],
      ["stackBytes", 64 * 1024, "64 KB", "const f = () => f() + 1; f()"],
      ["sourceBytes", 20, "20 bytes", "return 'éééééééé'"],
      ["toolCalls", 3, "3", "for (let i = 0; i < 4; i++) await tools.echo()"],
      ["argumentsBytes", 10, "10 bytes", "await tools.echo('ééééé')"],
      ["toolResultBytes", 100, "100 bytes", "await tools.echo('x'.repeat(99))"],
      ["resultBytes", 10, "10 bytes", "return 'ééééé'"]
    ]
    it.effect.each(passed)("%s ends an execution and says how to go on", ([limit, amount, shown, code]) =>
      Effect.gen(function* () {
        const result = yield* error(code, limited({ [limit]: amount }))
        expect(result).toMatchObject({ name: "LimitExceeded", limit })
        expect(result.message).toContain(`\`${limit}\` is ${shown}`)
        expect(result.message).toContain(`raise the setting \`${limit}\``)
        // Catching it changes nothing.
        if (limit === "sourceBytes" || limit === "stackBytes") return
        const caught = `try { ${code} } catch {} ; await tools.echo(1); return "went on"`
        if (limit !== "resultBytes") expect(yield* error(caught, limited({ [limit]: amount }))).toMatchObject({ limit })
      })
    )

    const kept: ReadonlyArray<readonly [limit: LimitName, value: number, code: string]> = [
      ["sourceBytes", 20, "return 'ééééé'"],
      ["toolCalls", 3, "for (let i = 0; i < 3; i++) await tools.echo(); return 1"],
      ["argumentsBytes", 10, "return await tools.echo('éééé')"],
      ["toolResultBytes", 100, "return await tools.echo('x'.repeat(98))"],
      ["resultBytes", 10, "return 'éééé'"]
    ]
    it.effect.each(kept)("%s allows what just keeps to it", ([limit, amount, code]) =>
      Effect.gen(function* () {
        const result = yield* run(code, limited({ [limit]: amount }))
        expect(result.error).toBeUndefined()
      })
    )

    it.effect("the CPU time is that of the whole execution, and waiting costs none of it", () =>
      Effect.gen(function* () {
        const spin = "const spin = () => { for (let i = 0; i < 3e5; i++); };"
        const many = yield* error(
          `${spin} for (;;) { spin(); await tools.echo() }`,
          limited({ cpuTimeMs: 150, toolCalls: 1e6 })
        )
        expect(many.limit).toBe("cpuTimeMs")
        expect(
          yield* value("await new Promise((r) => setTimeout(r, 300)); return 'rested'", limited({ cpuTimeMs: 150 }))
        ).toBe("rested")
      })
    )

    it.effect.each<readonly [limit: LimitName, value: number, code: string]>([
      // Long enough that it has logged by then, also where a worker must be started first.
      ["wallTimeMs", 2_000, "await tools.never()"],
      ["wallTimeMs", 2_000, "for (;;) {}"],
      ["cpuTimeMs", 50, "for (;;) {}"],
      ["toolResultBytes", 100, "await tools.echo('x'.repeat(99))"]
    ])("what was logged comes with the error of %s (%i: %s)", ([limit, amount, code]) =>
      Effect.gen(function* () {
        const result = yield* run(`console.log("before"); ${code}`, limited({ [limit]: amount }))
        expect(result.error).toMatchObject({ limit })
        expect(result.logs?.map(({ message }) => message)).toEqual(["before"])
      })
    )

    it.effect("the wall time may be longer than a timer can wait", () =>
      Effect.gen(function* () {
        const month = limited({ wallTimeMs: 31 * 24 * 60 * 60 * 1000 })
        expect(yield* value("await new Promise((r) => setTimeout(r, 20)); return 'rested'", month)).toBe("rested")
      })
    )

    it.effect("a settlement's text counts against the limit too", () =>
      Effect.gen(function* () {
        const invoker = {
          invoke: () => Effect.succeed(Settlement.success({ json: `"${"x".repeat(200)}"`, at: 0, settleSeq: 0 }))
        }
        const result = yield* error("await tools.x()", { ...limited({ toolResultBytes: 100 }), invoker })
        expect(result.limit).toBe("toolResultBytes")
      })
    )

    it.effect("calls in flight are limited by waiting", () =>
      Effect.gen(function* () {
        let open = 0
        let most = 0
        const invoker = {
          invoke: () =>
            Effect.gen(function* () {
              most = Math.max(most, ++open)
              yield* Effect.yieldNow
              open--
            })
        }
        const code = "await Promise.all(Array.from({ length: 20 }, () => tools.x())); return 1"
        expect(yield* value(code, { ...limited({ toolCallsInFlight: 3 }), invoker })).toBe(1)
        expect(most).toBe(3)
      })
    )

    it.effect("what waits its turn counts as memory", () =>
      Effect.gen(function* () {
        const flood =
          "const half = 'x'.repeat(5e5); for (let i = 0; i < 200; i++) tools.never(half); await tools.never()"
        expect((yield* error(flood, limited({ heapBytes: 16 * 1024 * 1024 }))).limit).toBe("heapBytes")
        // What has had its turn does not.
        const inTurn = "for (let i = 0; i < 60; i++) await Promise.all([tools.echo(half), tools.echo(half)])"
        expect(
          yield* value(`const half = 'x'.repeat(5e5); ${inTurn}; return 1`, {
            ...limited({ heapBytes: 16 * 1024 * 1024, toolCallsInFlight: 1 })
          })
        ).toBe(1)
      })
    )

    it.effect("logs beyond the limit are dropped, and the last line says how many", () =>
      Effect.gen(function* () {
        const { error, logs } = yield* run(
          "for (let i = 0; i < 1000; i++) console.log('x'.repeat(36)); return 1",
          limited({ logBytes: 1000 })
        )
        expect(error).toBeUndefined()
        expect(logs).toHaveLength(11)
        expect(logs?.[9]?.message).toBe("x".repeat(36))
        expect(logs?.[10]).toMatchObject({ level: "warn" })
        expect(logs?.[10]?.message).toMatch(
          /^\[990 more lines of console output, 35640 bytes, were dropped.*raise the setting `logBytes`/
        )
      })
    )

    it.effect("timers are calls: they wait and count like others", () =>
      Effect.gen(function* () {
        const paths: Array<string> = []
        const invoker = { invoke: ({ path }: { readonly path: string }) => Effect.sync(() => void paths.push(path)) }
        const result = yield* error("for (let i = 0; i < 5; i++) setTimeout(() => {}, i); await tools.x()", {
          ...limited({ toolCalls: 5 }),
          invoker
        })
        expect(result.limit).toBe("toolCalls")
        expect(paths.every((path) => path === sleepPath)).toBe(true)
      })
    )

    it.effect("limits are positive whole numbers", () =>
      Effect.sync(() => {
        expect(() => Limits.with({ cpuTimeMs: 0 })).toThrow("cpuTimeMs")
        expect(() => Limits.with({ toolCalls: 1.5 })).toThrow("toolCalls")
        expect(Limits.with({ wallTimeMs: null }).wallTimeMs).toBeNull()
      })
    )
  })
})
