import { type ToolInvocation } from "@executor/kernel"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { error, layer, limited, run, value } from "./support.ts"

/** Notes the calls it gets, and answers each a turn later. */
const recorder = () => {
  const calls: Array<readonly [path: string, argsJson: string | undefined]> = []
  return {
    calls,
    invoke: ({ args, argsJson, path }: ToolInvocation) =>
      Effect.suspend(() => {
        calls.push([path, argsJson])
        return path.endsWith("fails")
          ? Effect.fail({ name: "Sad", message: "It failed" })
          : Effect.as(Effect.yieldNow, args)
      })
  }
}

const names =
  "toJSON then constructor __proto__ toString valueOf hasOwnProperty propertyIsEnumerable catch finally length name prototype call apply bind arguments caller".split(
    " "
  )

describe("the `tools` of a program", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("calls tools of any name, at the end of a path and in it", () =>
      Effect.gen(function* () {
        const invoker = recorder()
        const code = names
          .map(
            (name) =>
              `await tools.x["${name}"]({ n: 1 }); await tools.x["${name}"]["${name}"](); await tools["${name}"].y(null)`
          )
          .join("\n")
        yield* value(code, { invoker })
        expect(invoker.calls).toEqual(
          names.flatMap((name) => [
            [`x.${name}`, '{"n":1}'],
            [`x.${name}.${name}`, undefined],
            [`${name}.y`, "null"]
          ])
        )
      })
    )

    it.effect("says what to do with a tool that is only looked at, and calls none", () =>
      Effect.gen(function* () {
        const invoker = recorder()
        const call = 'call it, as in await tools.x["a-b"]({ ... })'
        const text = `[tool x.a-b: ${call}]`
        const find = /tools\.search\(.*tools\.executor\.sources\.list\(\)/
        const x = 'tools.x["a-b"]'
        for (const [code, shown] of [
          [`return String(${x}) + \`\${${x}}\``, text + text],
          [`return JSON.parse(JSON.stringify({ of: ${x} })).of`, text],
          [`return JSON.parse(JSON.stringify(${x}))`, text]
        ] as const) {
          expect(yield* value(code, { invoker })).toBe(shown)
        }
        expect(yield* value("return JSON.stringify(tools) + String(tools)", { invoker })).toMatch(find)
        expect(yield* value("return String(tools.x)", { invoker })).toContain(
          'tools.search({ query: "...", namespace: "x" })'
        )

        const awaited = yield* run(
          `const t = await ${x}; console.log(t, ${x}); await Promise.all([${x}]); return typeof t.then`,
          {
            invoker
          }
        )
        expect(awaited.result).toBe("undefined")
        const warning = `${x} was awaited, but not called, so nothing was done: ${call}`
        expect(awaited.logs?.map(({ message }) => message)).toEqual([warning, `${text} ${text}`, warning])

        for (const code of [`return ${x}`, `return { of: ${x} }`, `await tools.y(${x})`]) {
          expect((yield* error(code, { invoker })).message).toContain(`the tool x.a-b itself: ${call}`)
        }
        for (const code of [
          "return Object.keys(tools)",
          "return { ...tools }",
          "for (const name in tools) return name",
          "return 'x' in tools",
          "return Object.hasOwn(tools, 'x')",
          "return tools.hasOwnProperty('x')",
          "return tools()",
          "return tools"
        ]) {
          expect((yield* error(code, { invoker })).message).toMatch(find)
        }
        for (const code of [
          `return [...${x}]`,
          `for (const item of ${x}) return item`,
          `for await (const item of ${x}) return item`
        ]) {
          expect((yield* error(code, { invoker })).message).toContain(`is no list: ${call}`)
        }
        for (const [code, use] of [
          ["tools.x.list.map((each) => each)", "(await tools.x.list({ ... })).map(...)"],
          ["tools.x.list.catch(() => 1)", "tools.x.list({ ... }).catch(...)"]
        ] as const) {
          expect((yield* error(`return await ${code}`, { invoker })).message).toContain(use)
        }
        expect(invoker.calls).toEqual([])
      })
    )

    it.effect("are where a namespace that is used as a global leads to", () =>
      Effect.gen(function* () {
        expect((yield* error("return await github.issues.list()")).message).toMatch(
          /^github is not defined\. If it is a namespace of tools, write tools\.github/
        )
        expect((yield* error("await fetch('http://a/')")).message).toMatch(
          /^fetch is not defined\. There is no network here/
        )
        expect((yield* error("return unheardOf")).message).toBe("unheardOf is not defined")
      })
    )
  })
})

describe("a program that does not wait for what it calls", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    const writes = "async function main() { for (let n = 0; n < 20; n++) await tools.x.write({ n }); return 'all' }\n"

    it.effect("goes on after its end until nothing is under way any more, as in Node", () =>
      Effect.gen(function* () {
        for (const [code, count] of [
          ["main()", 20],
          ["main().then(() => tools.x.write({ n: 20 }))", 21],
          ["setTimeout(main, 5)", 21],
          ["const sleep = (ms) => new Promise((r) => setTimeout(r, ms)); sleep(1).then(main)", 21],
          ["Promise.resolve().then(main); return", 20]
        ] as const) {
          const invoker = recorder()
          const { error, logs = [], resultJson } = yield* run(writes + code, { invoker })
          expect([error, resultJson, invoker.calls.length]).toEqual([undefined, undefined, count])
          const warning = "The program came to its end while "
          expect(logs.filter(({ message }) => message.startsWith(warning)).length).toBe(1)
        }
        const { logs } = yield* run(writes + "main()", { invoker: recorder() })
        expect(logs?.[0]?.message).toContain("tools.x.write was still under way")
        expect(logs?.[0]?.message).toContain("`return await main()`")
      })
    )

    it.effect("is not held up by a timer that was cleared, nor by a promise that nothing can settle", () =>
      Effect.gen(function* () {
        const ended = yield* run("const id = setTimeout(() => {}, 1e9); clearTimeout(id); new Promise(() => {})")
        expect([ended.error, ended.logs]).toEqual([undefined, []])
        expect((yield* error("clearTimeout(setTimeout(() => {}, 1e9)); await new Promise(() => {})")).name).toBe(
          "UnsettledPromise"
        )
      })
    )

    it.effect("ends by its limits if it goes on for ever", () =>
      Effect.gen(function* () {
        const endless = "async function main() { for (;;) await tools.x.write() }; main()"
        expect((yield* error(endless, { ...limited({ toolCalls: 50 }), invoker: recorder() })).limit).toBe("toolCalls")
        const busy = "const main = () => Promise.resolve().then(main); main()"
        expect((yield* error(busy, limited({ cpuTimeMs: 200 }))).limit).toBe("cpuTimeMs")
      })
    )

    it.effect("fails with the error that nothing handled", () =>
      Effect.gen(function* () {
        for (const code of [
          "async function main() { await tools.x.write(); await tools.x.fails() }\nmain()",
          "tools.x.fails()",
          "await new Promise(async () => { await tools.x.fails() })"
        ]) {
          const failure = yield* error(code, { invoker: recorder() })
          expect([failure.name, failure.message, failure.line !== undefined]).toEqual(["Sad", "It failed", true])
        }
        expect((yield* error("async function main() { await github.issues.list() }\nmain()")).message).toContain(
          "tools.github"
        )
        const late =
          "const p = tools.x.fails(); await tools.x.write(); await tools.x.write(); return await p.catch((e) => e.name)"
        expect((yield* run(late, { invoker: recorder() })).result).toBe("Sad")
      })
    )

    it.effect("is over when it returns a value, and is told what it left", () =>
      Effect.gen(function* () {
        const left = yield* run(
          writes + "tools.x.fails(); await tools.x.write(); main(); setTimeout(main, 1e6); return 7",
          {
            invoker: recorder()
          }
        )
        expect([left.error, left.result]).toEqual([undefined, 7])
        const [rejection, warning] = left.logs ?? []
        expect(rejection?.message).toMatch(/^A promise was rejected, and nothing handled it: Sad: It failed/)
        expect(warning?.message).toMatch(/^The program returned while tools\.x\.write, a timer were still under way\./)
      })
    )
  })
})
