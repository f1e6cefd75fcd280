/**
 * MCP's tools in our words. Each is read by itself, as what it plainly means; a tool that cannot be offered is left out by name.
 */
import { type JsonSchema, type OmittedTool, type ToolDefinition, type ToolList, ToolPath } from "@executor/sdk"
import { Predicate, Result } from "effect"
import { contentKey } from "./Results.ts"

/** What a server says in the `_meta` of a tool that recognises a call by its key: MCP has no hint for it. */
const acceptsKeyMeta = "executor/acceptsIdempotencyKey"

/** The tools of a server. Of two with one name only the first can be called, so only that is kept. */
export const toTools = (tools: ReadonlyArray<unknown>): ToolList => {
  const omitted: Array<OmittedTool> = []
  const read = new Map<string, Omit<ToolDefinition, "name">>()
  tools.forEach((tool, index) => {
    const result = readTool(tool)
    const name = nameOf(tool)
    if (Result.isFailure(result)) omitted.push({ name: name ?? `number ${index + 1}`, reason: result.failure })
    else if (name !== undefined && !read.has(name)) read.set(name, result.success)
    else omitted.push({ name: name ?? "", reason: "a tool before it has the same name" })
  })
  const names = [...read.keys()]
  const segments = ToolPath.toSegments(names)
  return {
    tools: names.flatMap((original, index) => {
      const tool = read.get(original)
      const name = segments[index] ?? original
      return tool === undefined ? [] : [{ ...tool, name, binding: name === original ? undefined : original }]
    }),
    omitted
  }
}

const nameOf = (tool: unknown): string | undefined =>
  Predicate.isObject(tool) && typeof tool["name"] === "string" && tool["name"] !== "" ? tool["name"] : undefined

const readTool = (tool: unknown): Result.Result<Omit<ToolDefinition, "name" | "binding">, string> => {
  if (!Predicate.isObject(tool)) return Result.fail(`it is ${kindOf(tool)}, no object`)
  if (nameOf(tool) === undefined)
    return Result.fail(`its name is ${tool["name"] === "" ? "empty" : kindOf(tool["name"])}`)
  return Result.map(readInputSchema(tool["inputSchema"]), (inputSchema) => {
    const annotations = Predicate.isObject(tool["annotations"]) ? tool["annotations"] : {}
    const hint = (theirs: string, ours: "readOnly" | "destructive" | "idempotent") =>
      typeof annotations[theirs] === "boolean" ? { [ours]: annotations[theirs] } : {}
    const meta = tool["_meta"]
    return {
      title: text(tool["title"]) ?? text(annotations["title"]),
      description: text(tool["description"]) ?? "",
      inputSchema,
      outputSchema: readOutputSchema(tool["outputSchema"]),
      requiresApproval: annotations["readOnlyHint"] !== true,
      annotations: {
        ...hint("readOnlyHint", "readOnly"),
        ...hint("destructiveHint", "destructive"),
        ...hint("idempotentHint", "idempotent"),
        ...(Predicate.isObject(meta) && meta[acceptsKeyMeta] === true ? { acceptsIdempotencyKey: true } : {})
      }
    }
  })
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const kindOf = (value: unknown): string =>
  value == null
    ? "missing"
    : Array.isArray(value)
      ? "a list"
      : typeof value === "object"
        ? "an object"
        : `a ${typeof value}`

/** Any object. */
const anyObject: JsonSchema = { type: "object" }

/** Arguments are always an object, so a schema that does not say so is one of objects. */
const readInputSchema = (given: unknown): Result.Result<JsonSchema, string> => {
  const schema = parsed(given)
  if (schema == null || schema === true) return Result.succeed(anyObject)
  if (schema === false) return Result.succeed({ ...anyObject, properties: {}, additionalProperties: false })
  if (!Predicate.isObject(schema)) {
    return Result.fail(`its input schema is ${typeof schema === "string" ? "text that is no JSON" : kindOf(schema)}`)
  }
  const type = schema["type"] ?? "object"
  return type === "object" || (Array.isArray(type) && type.includes("object"))
    ? Result.succeed({ ...schema, type })
    : Result.fail(`its input schema is not one of an object: its type is ${JSON.stringify(type).slice(0, 80)}`)
}

/** Some servers send a schema as JSON text. */
const parsed = (schema: unknown): unknown => {
  if (typeof schema !== "string") return schema
  try {
    return JSON.parse(schema) as unknown
  } catch {
    return schema
  }
}

/**
 * What a script gets, as far as the server promises it: see `Results.ts`. A schema that says nothing, or that is none, is left out: it never
 * hides a tool.
 */
const readOutputSchema = (given: unknown): JsonSchema | undefined => {
  const schema = parsed(given)
  if (!Predicate.isObject(schema) || Object.keys(schema).length === 0) return undefined
  const type = schema["type"]
  if (type != null && type !== "object" && !(Array.isArray(type) && type.includes("object"))) {
    const here = rebased(schema, "#/anyOf/0", maxDepth)
    const beside = { structuredContent: { $ref: "#/anyOf/0" }, content: parts }
    return { anyOf: [here, { ...anyObject, properties: beside, required: Object.keys(beside) }] }
  }
  const { $ref, ...rest } = schema
  const all = Array.isArray(rest["allOf"]) ? (rest["allOf"] as ReadonlyArray<unknown>) : []
  const properties = Predicate.isObject(schema["properties"]) ? schema["properties"] : {}
  return {
    ...rest,
    // A reference stands alone.
    ...(typeof $ref === "string" ? { allOf: [...all, { $ref }] } : {}),
    properties: { ...properties, ...(Object.hasOwn(properties, contentKey) ? {} : { [contentKey]: parts }) }
  }
}

const parts = { type: "array" }

/** No schema that is stored is deeper. */
const maxDepth = 200

/** The schema with its references to itself, for another place in a document. */
const rebased = (schema: unknown, place: string, depth: number): unknown => {
  if (depth === 0) return schema
  if (Array.isArray(schema)) return schema.map((each) => rebased(each, place, depth - 1))
  if (!Predicate.isObject(schema)) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === "$ref" && typeof value === "string" && value.startsWith("#")
        ? place + value.slice(1)
        : rebased(value, place, depth - 1)
    ])
  )
}
