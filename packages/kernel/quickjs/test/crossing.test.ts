import { readJson, type SandboxToolInvoker } from "@executor/kernel"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { error, layer, run, tools, value } from "./support.ts"

describe("what crosses", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    const written: ReadonlyArray<readonly [code: string, json: string | undefined]> = [
      ["return undefined", undefined],
      ["", undefined],
      ["return null", "null"],
      ["return { a: undefined, b: [undefined, 1], c: 'é\\n' }", '{"b":[null,1],"c":"é\\n"}'],
      ["return new Date(0)", '"1970-01-01T00:00:00.000Z"'],
      ["return new Map([['a', new Map([['b', 1]])]])", '{"a":{"b":1}}'],
      ["return [new Set([1, 'a']), new Set()]", '[[1,"a"],[]]'],
      ["return [new Uint8Array(2), new Float64Array([1.5]), new Int8Array()]", "[[0,0],[1.5],[]]"],
      ["return { e: new TypeError('no') }", '{"e":{"name":"TypeError","message":"no"}}'],
      [
        "return { o: Object.create(null), b: new Boolean(true), s: new String('s'), n: new Number(2) }",
        '{"o":{},"b":true,"s":"s","n":2}'
      ],
      ["return { toJSON: () => ({ a: new Date(0) }) }", '{"a":"1970-01-01T00:00:00.000Z"}'],
      ["class P { x = 1; #y = 2 } return new P()", '{"x":1}'],
      ["return [new URL('http://a.test/?b=1'), -0, 1e21, '\\ud800']", '["http://a.test/?b=1",0,1e+21,"\\ud800"]'],
      ["const a = [1]; return { a, b: a }", '{"a":[1],"b":[1]}'],
      ["return JSON.parse('{\"__proto__\":1}')", '{"__proto__":1}'],
      ["return Object.assign(new Map([['a', 1]]), { x: 1 })", '{"a":1}'],
      ["return { 'a-b': 10n, c: Object(2n), d: new BigUint64Array(1) }", '{"a-b":10,"c":2,"d":[0]}']
    ]
    it.effect.each(written)("%s", ([code, json]) =>
      Effect.gen(function* () {
        const result = yield* run(code)
        expect(result.error).toBeUndefined()
        expect(result.resultJson).toBe(json)
        expect(result.result).toEqual(json === undefined ? undefined : JSON.parse(json))
        // The same rules hold for arguments.
        const body = code.replace(/\breturn (?!\(\))/, "const v = ").replace(/^(?!.*const v)/, "const v = undefined;")
        let seen: string | undefined = "no call"
        yield* run(`${body}\nawait tools.take(v)`, {
          invoker: { invoke: ({ argsJson }) => Effect.sync(() => void (seen = argsJson)) }
        })
        expect(seen).toBe(json)
      })
    )

    const refused: ReadonlyArray<readonly [code: string, message: string]> = [
      ["return { items: [1, { callback() {} }] }", "result.items[1].callback is a function"],
      ["return Symbol('x')", "result is a symbol"],
      ["return { p: Promise.resolve(1) }", "result.p is a promise: await it first"],
      ["return [NaN]", "result[0] is NaN"],
      ["return { x: -Infinity }", "result.x is -Infinity"],
      ["return new Float32Array([NaN])", "result[0] is NaN"],
      ["return new Date(NaN)", "result is an invalid Date"],
      ["return { m: new Map([[1, 2]]) }", "result.m is a Map with a key that is not a string"],
      ["return /x/", "result is a RegExp"],
      ["return [new WeakMap()]", "result[0] is a WeakMap"],
      ["return new ArrayBuffer(1)", "result is an ArrayBuffer"],
      ["return new DataView(new ArrayBuffer(1))", "result is a DataView"],
      ["return (function* () {})()", "result is a generator"],
      ["return [1].values()", "result is"],
      ["class P { #y = 2 } return new P()", "result is an object of a class without any properties"],
      ["return new URLSearchParams('a=1')", "result is a URLSearchParams"],
      ["return new Proxy(new Map(), {})", "result is a Proxy"],
      ["return { call: tools.github.issues }", "result.call is the tool github.issues itself"],
      ["return tools", "result is the tool tools itself"],
      ["const a = { b: [] }; a.b.push(a); return a", "result.b[0] is the same object as result"],
      ["let a = 1; for (let i = 0; i < 300; i++) a = [a]; return a", "nested deeper than 256 levels"],
      [
        "const wide = {}; for (let i = 0; i < 65537; i++) wide['k' + i] = 0; return { wide }",
        "result.wide is an object of 65537 properties, more than 65536: send a list of entries"
      ],
      [
        "return new Map(Array.from({ length: 65537 }, (_, i) => [String(i), 0]))",
        "an object of 65537 properties, more than 65536"
      ]
    ]
    it.effect.each(refused)("%s is refused", ([code, message]) =>
      Effect.gen(function* () {
        const result = yield* error(code)
        expect(result.name).toBe("UnserializableValue")
        expect(result.message).toContain(message)
      })
    )

    it.effect("an argument that cannot cross rejects the call, which is not made", () =>
      Effect.gen(function* () {
        const calls: Array<string> = []
        const result = yield* value(
          "try { await tools.save({ a: [() => 1] }) } catch (e) { return [e.name, e.message, e instanceof TypeError] }",
          { invoker: { invoke: ({ path }) => Effect.sync(() => void calls.push(path)) } }
        )
        expect(result).toEqual(["UnserializableValue", expect.stringContaining("input.a[0] is a function"), true])
        expect(calls).toEqual([])
      })
    )

    it.effect("a tool's result crosses by the same rules", () =>
      Effect.gen(function* () {
        const give = (given: unknown) => ({ invoker: { invoke: () => Effect.succeed(given) } })
        expect(yield* value("return await tools.x()", give({ d: new Date(0), s: new Set([1]), u: undefined }))).toEqual(
          {
            d: "1970-01-01T00:00:00.000Z",
            s: [1]
          }
        )
        expect(yield* value("return [await tools.x()]", give(undefined))).toEqual([null])
        expect(yield* value("return typeof await tools.x()", give(undefined))).toBe("undefined")
        const refused = yield* error("return await tools.x()", give({ a: [Symbol("s")] }))
        expect(refused.name).toBe("UnserializableValue")
        expect(refused.message).toContain("the tool's result.a[0] is a symbol")
      })
    )

    it.effect("numbers that a number cannot hold arrive and leave as they were written", () =>
      Effect.gen(function* () {
        const one = "[9007199254740993,-9223372036854775808,1152921504606847000,0.1234567890123456789,1e400]"
        const text = `{"a":${one},"#1":["#1","##",1e+21,5]}`
        let taken: string | undefined
        const invoker: SandboxToolInvoker = {
          invoke: ({ argsJson, args, path }) => {
            if (path === "give") return Effect.succeed(readJson(text, { wideIntegers: true }))
            if (path === "double") return Effect.succeed(2 ** 60)
            if (path === "no")
              return Effect.fail({ name: "No", message: "#1", data: { id: JSON.rawJSON("9007199254740993") } })
            taken = argsJson
            return Effect.succeed(args)
          }
        }
        const code = `
          const given = await tools.give()
          const [big, small, round, decimal, far] = given.a
          const failed = await tools.no().catch((error) => error)
          return [await tools.take({ one: given.a, big: 2n ** 64n, raw: JSON.rawJSON("1e999"), list: new BigInt64Array([-1n]) }),
            [big, small, round].map((each) => typeof each), given["#1"], typeof decimal, decimal * 2, \`\${decimal}\`,
            JSON.stringify([decimal, far]), (await tools.double()) === 2 ** 60, failed.message, failed.data]`
        const result = yield* run(code, { invoker })
        const sent = `{"one":${one},"big":18446744073709551616,"raw":1e999,"list":[-1]}`
        expect(taken).toBe(sent)
        expect(result.resultJson).toBe(
          `[${sent},["bigint","bigint","bigint"],["#1","##",1e+21,5],"object",0.24691357802469135,"0.1234567890123456789",` +
            `"[0.1234567890123456789,1e400]",true,"#1",{"id":9007199254740993}]`
        )
        expect(JSON.stringify((result.result as ReadonlyArray<unknown>)[0])).toBe(sent)
      })
    )

    it.effect("a failure arrives as an Error with name, message and data, and the place of the call", () =>
      Effect.gen(function* () {
        const code =
          "try {\n  await tools.fail()\n} catch (e) { return [e instanceof Error, e.name, e.message, e.data] }"
        expect(yield* value(code)).toEqual([true, "NotFound", "There is no such thing", { id: 7 }])
        const uncaught = yield* error("const a = 1\n\n  await tools.fail()")
        expect(uncaught).toMatchObject({ name: "NotFound", message: "There is no such thing", line: 3 })
      })
    )

    it.effect("a failure that cannot be read arrives as a failure", () =>
      Effect.gen(function* () {
        const unreadable = new Proxy(
          {},
          {
            get: () => {
              throw new Error("secret of the host")
            }
          }
        )
        const result = yield* error("await tools.x()", { invoker: { invoke: () => Effect.fail(unreadable) } })
        expect(result).toMatchObject({ name: "Error", message: "The call failed" })
      })
    )

    it.effect("a defect arrives without its details", () =>
      Effect.gen(function* () {
        const result = yield* error("await tools.die()")
        expect(result.message).not.toContain("secret")
        expect(result.message).toContain("internal error")
      })
    )

    it.effect("large values cross both ways unharmed", () =>
      Effect.gen(function* () {
        const rows = Array.from({ length: 20_000 }, (_, id) => ({ id, [`k${id}`]: `é${id}` }))
        expect(yield* value("return await tools.rows()", { invoker: { invoke: () => Effect.succeed(rows) } })).toEqual(
          rows
        )
        expect(
          yield* value(
            "return await tools.echo(Array.from({ length: 20000 }, (_, id) => ({ id, ['k' + id]: 'é' + id })))",
            { invoker: tools }
          )
        ).toEqual(rows)
      })
    )
  })
})
