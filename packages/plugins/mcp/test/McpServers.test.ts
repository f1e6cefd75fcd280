import { readFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { type Executor, ToolFailed, ToolInputInvalid } from "@executor/sdk"
import { Context, Effect, Layer } from "effect"
import { add, call, makeExecutor, npmServer, temporaryFolder, withVariable } from "./Support.ts"

class Catalog extends Context.Service<Catalog, { readonly executor: Executor; readonly folder: string }>()(
  "test/Catalog"
) {
  /** Three real servers from npm, each started once. */
  static readonly layer = Layer.effect(
    Catalog,
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* withVariable("MEMORY_FILE_PATH", `${folder}/memory.jsonl`)
      const executor = yield* makeExecutor()
      const everything = yield* add(executor, "everything", npmServer("everything"))
      assert.deepStrictEqual(everything.notes, [
        "It also offers resources and prompts, which are not passed on: only its tools are."
      ])
      yield* add(executor, "files", npmServer("filesystem", folder))
      yield* add(executor, "memory", { ...npmServer("memory"), env: ["MEMORY_FILE_PATH"] })
      return { executor, folder }
    })
  )
}

layer(Catalog.layer)("servers from npm", (it) => {
  it.effect("their tools are found, described, and know which of them need approval", () =>
    Effect.gen(function* () {
      const { executor } = yield* Catalog
      const sources = yield* executor.sources.list()
      assert.deepStrictEqual(
        sources.map((source) => source.namespace),
        ["everything", "files", "memory"]
      )
      for (const { description } of sources) assert.match(description, /^MCP server: [^\s/\\]+$/)
      const found = yield* executor.tools.search({ query: "write file", namespace: "files" })
      assert.strictEqual(found[0]?.tool.path, "files.write_file")
      assert.isTrue(found[0]?.tool.requiresApproval)
      const list = yield* executor.tools.schema("files.list_directory")
      assert.isFalse(list.requiresApproval)
      assert.deepInclude(list.annotations, { readOnly: true })
      const write = yield* executor.tools.schema("files.write_file")
      assert.deepInclude(write.annotations, { readOnly: false, idempotent: true })
      assert.include(list.signature, "tools.files.list_directory(input: { path: string }")
    })
  )

  it.effect("text, structured content and several parts come back as a script expects them", () =>
    Effect.gen(function* () {
      const { executor } = yield* Catalog
      assert.strictEqual(yield* call(executor, "everything.echo", { message: "hi" }), "Echo: hi")
      const weather = yield* call(executor, "everything.get-structured-content", { location: "Chicago" })
      assert.hasAllKeys(weather, ["temperature", "conditions", "humidity"])
      const image = yield* call(executor, "everything.get-tiny-image")
      assert.hasAllKeys(image, ["content"])
    })
  )

  it.effect("a written file is on disk, and a refused path is the tool's failure in its own words", () =>
    Effect.gen(function* () {
      const { executor, folder } = yield* Catalog
      yield* call(executor, "files.write_file", { path: `${folder}/a.txt`, content: "hello" })
      assert.strictEqual(readFileSync(`${folder}/a.txt`, "utf8"), "hello")
      const error = yield* Effect.flip(call(executor, "files.read_text_file", { path: "/etc/hostname" }))
      assert(error instanceof ToolFailed)
      assert.include(error.message, "Access denied")
    })
  )

  it.effect("input is checked before the server sees it", () =>
    Effect.gen(function* () {
      const { executor } = yield* Catalog
      const error = yield* Effect.flip(call(executor, "everything.get-sum", { a: "1" }))
      assert(error instanceof ToolInputInvalid)
      assert.sameMembers(
        error.issues.map((issue) => issue.field),
        ["a", "b"]
      )
    })
  )

  it.effect("its questions reach the handler of the call, with a form", () =>
    Effect.gen(function* () {
      const { executor } = yield* Catalog
      const result = yield* call(executor, "everything.trigger-elicitation-request", {}, (request) => {
        assert.strictEqual(request.kind, "form")
        assert.strictEqual(request.toolPath, "everything.trigger-elicitation-request")
        assert.nestedProperty(request.requestedSchema, "properties.name")
        return Effect.succeed({ action: "accept", content: { name: "Ada" } })
      })
      assert.include(JSON.stringify(result), "Ada")
    })
  )

  it.effect("state is kept between calls, where the named variable of the environment says", () =>
    Effect.gen(function* () {
      const { executor, folder } = yield* Catalog
      const entities = [{ name: "Ada", entityType: "person", observations: ["wrote the first program"] }]
      yield* call(executor, "memory.create_entities", { entities })
      const graph = yield* call(executor, "memory.search_nodes", { query: "Ada" })
      assert.deepNestedPropertyVal(graph, "entities", entities)
      assert.include(readFileSync(`${folder}/memory.jsonl`, "utf8"), "Ada")
    })
  )

  it.effect("concurrent calls each get their own answer", () =>
    Effect.gen(function* () {
      const { executor } = yield* Catalog
      const sums = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, index) => index),
        (index) => call(executor, "everything.get-sum", { a: index, b: 1 }),
        { concurrency: "unbounded" }
      )
      sums.forEach((sum, index) => assert.strictEqual(sum, `The sum of ${index} and 1 is ${index + 1}.`))
    })
  )
})
