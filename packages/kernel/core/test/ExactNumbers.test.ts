import { encodeJson, exactLiteral, holdsExact, parseJson, readJson, tagNumbers } from "@executor/kernel"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"

/** Numbers that a number holds, and the shortest text of each. */
const held: ReadonlyArray<readonly [written: string, shortest: string]> = [
  ["0", "0"],
  ["-0.0", "0"],
  ["1.0", "1"],
  ["1e2", "100"],
  ["0.1", "0.1"],
  ["0.30000000000000004", "0.30000000000000004"],
  ["12.500000000000000000000", "12.5"],
  ["9007199254740991", "9007199254740991"],
  ["1152921504606847000", "1152921504606847000"],
  ["1e308", "1e+308"],
  ["0e999", "0"]
]

const lost = [
  "9007199254740993",
  "-9223372036854775808",
  "18446744073709551615",
  "123456789012345678901234567890",
  "0.1234567890123456789",
  "0.10000000000000001",
  "9007199254740993.0",
  "1.23456789012345678e5",
  "1e400",
  "-1e-400",
  "1e-999999999999999999999",
  // A long run of zeros inside takes no longer than any other digits.
  `0.1${"0".repeat(200_000)}1`
]

const places = (number: string) => [
  number,
  `[${number}]`,
  ` { "a" : ${number}, "b":[ -1,${number} ] }`,
  `["#",${number}]`
]

describe("numbers that a number cannot hold", () => {
  it.effect("keep their text, and the others stay numbers", () =>
    Effect.gen(function* () {
      for (const [written, shortest] of held) {
        const value = readJson(written)
        assert.deepStrictEqual([typeof value, JSON.stringify(value)], ["number", shortest])
        assert.isFalse(holdsExact(readJson(`[${written}]`)))
      }
      for (const text of lost.flatMap(places)) {
        const value = readJson(text)
        const plain = text.replaceAll(" ", "")
        assert.isTrue(holdsExact(value))
        assert.strictEqual(JSON.stringify(value), plain)
        assert.strictEqual(yield* encodeJson(value, { root: "value" }), plain)
      }
      const wide = { wideIntegers: true }
      assert.strictEqual(typeof readJson("1152921504606847000"), "number")
      assert.strictEqual(typeof readJson("1152921504606847000", wide), "object")
      assert.strictEqual(
        yield* encodeJson([2 ** 60, 2n ** 60n], { root: "value", ...wide }),
        "[1.152921504606847e+18,1152921504606846976]"
      )
      assert.strictEqual(yield* encodeJson([2 ** 60], { root: "value" }), "[1152921504606847000]")
    })
  )

  it.effect("are found in large text, wherever it is cut", () =>
    Effect.gen(function* () {
      const items = Array.from({ length: 9000 }, (_, i) => `{"id":${9_007_199_254_740_993n + BigInt(2 * i)},"n":${i}}`)
      for (const text of [`[${items.join(",")}]`, `{"a":{"list":[${items.join(",")}]},"b":1e400}`]) {
        const value = yield* parseJson(text)
        assert.isTrue(holdsExact(value))
        assert.strictEqual(yield* encodeJson(value, { root: "value" }), text)
      }
      assert.isFalse(holdsExact(yield* parseJson(JSON.stringify(Array.from({ length: 50_000 }, (_, i) => i / 7)))))
    })
  )

  it("no text is changed, for any JSON", () => {
    const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,24})(\.\d{1,24})?([eE][-+]?\d{1,3})?$/)
    const json: fc.Memo<string> = fc.memo((depth) =>
      depth <= 1
        ? fc.oneof(
            digits,
            fc.string().map((text) => JSON.stringify(text)),
            fc.constantFrom('"#1"', '"##1n"', '"a\\"#1"')
          )
        : fc.oneof(
            json(1),
            fc.array(json(depth - 1), { maxLength: 4 }).map((items) => `[${items.join(",")}]`),
            fc
              .uniqueArray(fc.tuple(fc.constantFrom("#1", "a", "__proto__", "#"), json(depth - 1)), {
                maxLength: 3,
                selector: ([key]) => key
              })
              .map((entries) => `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`)
          )
    )
    /** The decimal value of each number in a text, by integers. */
    const decimals = (text: string) =>
      (text.match(/"(?:[^"\\]|\\.)*"|-?\d[\d.]*(?:[eE][-+]?\d+)?/g) ?? []).map((token) => {
        const [, sign = "", whole = "", fraction = "", exponent = "0"] =
          /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(token) ?? []
        if (whole === "") return token
        const kept = `${whole}${fraction}`.replace(/^0+/, "").replace(/0+$/, "")
        const dropped = `${whole}${fraction}`.replace(/^0+/, "").length - kept.length
        return kept === "" ? "0" : `${sign}${kept}e${Number(exponent) - fraction.length + dropped}`
      })
    const untagged = (text: string) =>
      JSON.stringify(
        JSON.parse(text, (_, value: unknown) =>
          typeof value !== "string" || !value.startsWith("#")
            ? value
            : value[1] === "#"
              ? value.slice(1)
              : JSON.rawJSON(value.slice(1))
        )
      )
    // Keys that are integers would come first, and one of them is `__proto__`: own properties all the same.
    fc.assert(
      fc.property(json(3), (text) => {
        const strings = (each: string) => decimals(JSON.stringify(readJson(each)))
        assert.deepStrictEqual(
          strings(text),
          decimals(text.replaceAll(/"(?:[^"\\]|\\.)*"/g, (each) => JSON.stringify(JSON.parse(each))))
        )
        const tagged = tagNumbers(text)
        if (tagged !== undefined) assert.deepStrictEqual(decimals(untagged(tagged)), strings(text))
        const literal: unknown = text.includes("__proto__")
          ? readJson(text)
          : new Function(`return ${exactLiteral(text)}`)()
        const written = JSON.stringify(literal, (_, value: unknown) =>
          typeof value === "bigint" ? JSON.rawJSON(String(value)) : value
        )
        assert.deepStrictEqual(decimals(written), strings(text))
      }),
      { numRuns: 1000 }
    )
  })
})
