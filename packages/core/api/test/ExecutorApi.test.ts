import { ExecutorApi } from "@executor/api"
import { assert, describe, it } from "@effect/vitest"
import * as OpenApi from "effect/http-api/OpenApi"

const document = OpenApi.fromApi(ExecutorApi)

const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    operation: operation as OpenApi.OpenAPISpecOperation
  }))
)

describe("the OpenAPI document", () => {
  it("lists every route", () => {
    assert.sameMembers(
      operations.map(({ name }) => name),
      [
        "POST /executions",
        "POST /executions/{id}/resume",
        "POST /executions/{id}/cancel",
        "GET /executions",
        "GET /executions/export",
        "GET /executions/{id}",
        "GET /executions/{id}/tool-calls",
        "GET /executions/{id}/interactions",
        "POST /executions/{id}/fork",
        "POST /executions/{id}/replay",
        "GET /interactions",
        "GET /tools",
        "GET /tools/search",
        "GET /tools/{path}",
        "GET /sources",
        "POST /sources",
        "DELETE /sources/{namespace}",
        "POST /sources/{namespace}/refresh",
        "GET /events",
        "GET /health",
        "GET /openapi.json",
        "GET /docs"
      ]
    )
  })

  it("says what each route and each parameter is for", () => {
    for (const { name, operation } of operations) {
      assert.isString(operation.summary, name)
      for (const parameter of operation.parameters) assert.isString(parameter.description, `${name} ${parameter.name}`)
    }
  })

  it("wants the token for all but what anybody may ask for", () => {
    const open = operations.filter(({ operation }) => operation.security.length === 0).map(({ name }) => name)
    assert.sameMembers(open, ["GET /health", "GET /openapi.json", "GET /docs"])
    assert.strictEqual(document.components.securitySchemes["token"]?.type, "http")
  })

  it("gives numbers, booleans and lists their types", () => {
    const list = operations.find(({ name }) => name === "GET /executions")!.operation
    const types = Object.fromEntries(
      list.parameters.map(({ name, schema }) => [name, (schema as { type?: string }).type])
    )
    assert.include(types, {
      limit: "integer",
      meta: "boolean",
      elicitation: "boolean",
      status: "array",
      code: "string"
    })
    const names = [
      "limit",
      "cursor",
      "status",
      "trigger",
      "tool",
      "from",
      "to",
      "after",
      "code",
      "q",
      "sort",
      "elicitation",
      "meta"
    ]
    assert.sameMembers(Object.keys(types), names)
  })

  it("tells of idempotency keys, and that an execution or a fork may wait", () => {
    const named = (wanted: string) => operations.find(({ name }) => name === wanted)!.operation
    const create = named("POST /executions")
    const key = create.parameters.find(({ name }) => name === "idempotency-key")
    assert.deepInclude(key, { in: "header", required: false })
    assert.deepInclude(key?.schema, { minLength: 1, maxLength: 255 })
    for (const operation of [create, named("POST /executions/{id}/fork")]) {
      assert.includeMembers(Object.keys(operation.responses), ["200", "202", "409"])
    }
  })

  it("declares every failure as a problem document", () => {
    for (const { name, operation } of operations) {
      for (const [status, response] of Object.entries(operation.responses)) {
        if (Number(status) < 400) continue
        assert.deepStrictEqual(Object.keys(response.content ?? {}), ["application/problem+json"], `${name} ${status}`)
      }
    }
  })

  it("refers only to schemas that are there", () => {
    const text = JSON.stringify(document)
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      assert.property(document.components.schemas, name!)
    }
  })

  it("describes an outcome and a divergence once", () => {
    const names = Object.keys(document.components.schemas)
    assert.includeMembers(names, ["FinishedExecution", "Divergence"])
    assert.deepStrictEqual(
      names.filter((name) => /^(FinishedExecution|PausedExecution|Divergence)_/.test(name)),
      []
    )
  })

  it("has no place for what a person typed in answer", () => {
    assert.notInclude(JSON.stringify(document), "responsePrivate")
  })

  it("says what is refused for now, and when to come again", () => {
    const refusing = operations.filter(({ operation }) => 429 in operation.responses)
    assert.sameMembers(
      refusing.map(({ name }) => name),
      ["POST /executions", "POST /executions/{id}/resume", "POST /executions/{id}/fork", "POST /executions/{id}/replay"]
    )
    for (const { name, operation } of refusing) {
      const { content, headers } = operation.responses[429]!
      const { schema } = headers!["retry-after"] as { readonly schema: { readonly description?: string } }
      assert.include(schema.description, "seconds", name)
      assert.deepStrictEqual(content?.["application/problem+json"], {
        schema: { $ref: "#/components/schemas/TooManyExecutionsProblem" }
      })
    }
    const { properties } = document.components.schemas["TooManyExecutionsProblem"] as { readonly properties: object }
    assert.includeMembers(Object.keys(properties), ["type", "status", "detail", "limit", "value", "retryAfterMs"])
  })
})
