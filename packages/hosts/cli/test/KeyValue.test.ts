/**
 * `key=value` arguments: each value means what the schema says it means, or is refused.
 */
import { isKeyValue, parseKeyValues } from "@executor/host-cli"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"

const object = (properties: { readonly [name: string]: unknown }, more: { readonly [key: string]: unknown } = {}) => ({
  type: "object",
  properties,
  ...more
})

const parsed = (args: ReadonlyArray<string>, schema: { readonly [key: string]: unknown }): unknown =>
  Result.match(parseKeyValues(args, schema), {
    onSuccess: (json) => JSON.parse(json),
    onFailure: (problems) => assert.fail(problems.join("\n"))
  })

const problems = (args: ReadonlyArray<string>, schema: { readonly [key: string]: unknown }): string =>
  Result.match(parseKeyValues(args, schema), {
    onSuccess: (json) => assert.fail(`${json} was expected to be refused`),
    onFailure: (problems) => problems.join("\n")
  })

describe("isKeyValue", () => {
  it("never takes JSON for a key and a value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.boolean(), (value, pretty) => {
        assert.isFalse(isKeyValue(JSON.stringify(value, null, pretty ? 2 : 0)))
      })
    )
  })
})

describe("parseKeyValues", () => {
  it("types values by the schema", () => {
    const schema = object({
      title: { type: "string" },
      count: { type: "integer" },
      ratio: { type: "number" },
      urgent: { type: "boolean" },
      nothing: { type: "null" },
      kind: { enum: ["bug", "feature", 3] },
      more: { type: "object" }
    })
    assert.deepStrictEqual(
      parsed(["title=5", "count=5", "ratio=-1.5e3", "urgent=true", "nothing=null", "kind=3", 'more={"a":[1]}'], schema),
      { title: "5", count: 5, ratio: -1500, urgent: true, nothing: null, kind: 3, more: { a: [1] } }
    )
    assert.deepStrictEqual(parsed(["title=", "kind=bug"], schema), { title: "", kind: "bug" })
    assert.deepStrictEqual(parsed(["title=a=b"], schema), { title: "a=b" })
  })

  it("keeps any text of a string property as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.deepStrictEqual(parsed([`title=${text}`], object({ title: { type: "string" } })), { title: text })
      })
    )
  })

  it("takes any JSON with := and keeps it", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.stringify(value)
        assert.strictEqual(JSON.stringify(parsed([`x:=${json}`], object({ x: {} }))), `{"x":${json}}`)
      })
    )
  })

  it("reaches into objects and arrays, and makes arrays of repeated keys", () => {
    const schema = object({
      owner: object({ name: { type: "string" }, address: object({ zip: { type: "string" } }) }),
      labels: { type: "array", items: { type: "string" } },
      points: { type: "array", items: object({ x: { type: "number" }, y: { type: "number" } }) }
    })
    assert.deepStrictEqual(
      parsed(
        [
          "owner.name=Ann",
          "labels=a",
          "owner.address.zip=07",
          "labels=b",
          "points.1.x=3",
          "points.0.x=1",
          "points.0.y=2"
        ],
        schema
      ),
      {
        owner: { name: "Ann", address: { zip: "07" } },
        labels: ["a", "b"],
        points: [{ x: 1, y: 2 }, { x: 3 }]
      }
    )
    assert.deepStrictEqual(parsed(["labels=a"], schema), { labels: ["a"] })
    assert.deepStrictEqual(parsed(['labels=["a","b"]'], schema), { labels: ["a", "b"] })
  })

  it("follows references and alternatives", () => {
    const schema = object(
      { id: { $ref: "#/$defs/Id" }, size: { anyOf: [{ type: "integer" }, { const: "max" }] } },
      { $defs: { Id: { type: "integer" } } }
    )
    assert.deepStrictEqual(parsed(["id=7"], schema), { id: 7 })
    const recursive = {
      $ref: "#/$defs/Node",
      $defs: { Node: object({ value: { type: "number" }, next: { $ref: "#/$defs/Node" } }) }
    }
    assert.deepStrictEqual(parsed(["value=1", "next.next.value=3"], recursive), {
      value: 1,
      next: { next: { value: 3 } }
    })
  })

  it("refuses what does not fit, and says what was expected", () => {
    const schema = object({
      count: { type: "integer" },
      urgent: { type: "boolean" },
      kind: { enum: ["bug", "feature"] }
    })
    assert.include(problems(["count=1.5"], schema), "count=1.5: expected a whole number")
    assert.include(problems(["count=0x10"], schema), "expected a whole number")
    assert.include(problems(["count="], schema), "expected a whole number")
    assert.include(problems(["urgent=yes"], schema), "expected true or false")
    assert.include(problems(["kind=other"], schema), 'expected one of "bug", "feature"')
    assert.include(problems(["cuont=1"], schema), "did you mean count?")
    assert.include(problems(["count.x=1"], schema), "count.x")
    assert.include(problems(["count=1", "count=2"], schema), "given twice")
    assert.include(problems(["count:=nope"], schema), "expected JSON")
    assert.strictEqual(problems(["count=a", "urgent=b"], schema).split("\n").length, 2)
  })

  it("guesses nothing where a text has two meanings", () => {
    const schema = object({ id: { type: ["string", "integer"] }, any: {}, note: { type: ["string", "null"] } })
    assert.include(problems(["id=5"], schema), `write 'id:="5"' or 'id:=5'`)
    assert.include(problems(["any=true"], schema), "this could mean")
    assert.include(problems(["note=null"], schema), "this could mean")
    assert.deepStrictEqual(parsed(["id=x5", "any=hello", "note=hi"], schema), { id: "x5", any: "hello", note: "hi" })
    assert.deepStrictEqual(parsed(["id:=5", 'any:="true"'], schema), { id: 5, any: "true" })
    const dotted = object({ "a.b": { type: "string" }, a: object({ b: { type: "string" } }) })
    assert.include(problems(["a.b=1"], dotted), "several properties")
    assert.include(problems(["a=1", "a.b=1"], object({ a: {} })), "could mean")
    assert.include(problems(["a:=1", "a.b=x"], object({ a: {} })), "given twice")
    assert.include(problems(["list.0=a", "list.2=b"], object({ list: { type: "array" } })), "expected the items 0 to 1")
  })

  it("sets properties of any name, and no prototype", () => {
    const json = parseKeyValues(["__proto__.polluted=yes", "constructor=x"], {})
    assert.deepStrictEqual(json, Result.succeed('{"__proto__":{"polluted":"yes"},"constructor":"x"}'))
    assert.isUndefined(({} as { polluted?: unknown }).polluted)
  })
})
