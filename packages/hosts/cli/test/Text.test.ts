/**
 * Text from anywhere on a terminal: it shows, and does nothing.
 */
import { displayWidth, neutralise, neutraliseJson, neutraliseLine, renderTable, truncate } from "@executor/host-cli"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"

// oxlint-disable-next-line no-control-regex
const dangerous = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/
const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom("\u001b", "\u009b", "\r", "\n", "\t", "\u202e", "\u0007"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 })
  )
})

describe("neutralise", () => {
  it("lets no control character through, and keeps plain text", () => {
    assert.strictEqual(neutralise("a\u001b[31mb\u009b2Jc\u202ed\re"), "a\\x1b[31mb\\x9b2Jc\\u202ed\\x0de")
    assert.strictEqual(neutralise("one\r\ntwo\n\tthree – ünï 漢字 🎉"), "one\ntwo\n\tthree – ünï 漢字 🎉")
    fc.assert(fc.property(anyText, (text) => assert.notMatch(neutralise(text), dangerous)))
    fc.assert(fc.property(anyText, (text) => assert.notMatch(neutraliseLine(text), /[\n\t]/)))
  })

  it("changes JSON in its spelling only", () => {
    fc.assert(
      fc.property(fc.jsonValue(), anyText, (value, text) => {
        const json = JSON.stringify({ value, text })
        const safe = neutraliseJson(json)
        assert.notMatch(safe, dangerous)
        assert.strictEqual(JSON.stringify(JSON.parse(safe)), json)
      })
    )
  })
})

describe("truncate", () => {
  it("never takes more cells than it may, and leaves what fits", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, width) => {
        const cut = truncate(text, width)
        assert.isAtMost(displayWidth(cut), width)
        if (displayWidth(text) <= width) assert.strictEqual(cut, text)
      })
    )
  })
})

describe("renderTable", () => {
  const columns = [
    { header: "NAME", value: (row: { name: string; count: number }) => row.name, flexible: true },
    { header: "COUNT", value: (row: { name: string; count: number }) => String(row.count), align: "right" as const }
  ]

  it("aligns by what a terminal shows", () => {
    const table = renderTable(columns, [
      { name: "漢字", count: 7 },
      { name: "plain", count: 12 }
    ])
    assert.strictEqual(table, "NAME   COUNT\n漢字       7\nplain     12\n")
  })

  it("keeps each row on one line within the width, whatever is in it", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ name: anyText, count: fc.nat() })), (rows) => {
        const lines = renderTable(columns, rows, { width: 40 }).trimEnd().split("\n")
        assert.strictEqual(lines.length, rows.length + 1)
        for (const line of lines) {
          assert.isAtMost(displayWidth(line), 40)
          assert.notMatch(line, dangerous)
        }
      })
    )
  })

  it("leaves out dispensable columns, one after the other, where cutting is not enough", () => {
    const wide = [
      { header: "ID", value: () => "0123456789" },
      { header: "WHEN", value: () => "yesterday", dispensable: 2 },
      { header: "TOOK", value: () => "1.0 s", dispensable: 1 },
      { header: "CODE", value: () => "return await tools.shop.add({})", flexible: true }
    ]
    const headers = (width: number) => renderTable(wide, [{}], { width }).split("\n")[0]?.split(/ +/)
    assert.deepStrictEqual(headers(80), ["ID", "WHEN", "TOOK", "CODE"])
    assert.deepStrictEqual(headers(42), ["ID", "WHEN", "TOOK", "CODE"])
    assert.deepStrictEqual(headers(41), ["ID", "WHEN", "CODE"])
    assert.deepStrictEqual(headers(30), ["ID", "CODE"])
    assert.deepStrictEqual(headers(5), ["ID", "CODE"])
  })
})
