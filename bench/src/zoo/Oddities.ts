/**
 * Oddities of the tools that a server lists: how they describe themselves, what they say of their effects, and which
 * parts of JSON Schema they use that readers get wrong.
 */
import { Predicate } from "effect"

type Counts = Readonly<Record<string, number>>

const count = (names: ReadonlyArray<string>): Counts => {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

const hints = {
  readOnlyHint: "read-only",
  destructiveHint: "destructive",
  idempotentHint: "idempotent",
  openWorldHint: "open world"
}

/** How many tools say each thing of their effects, among those that say it is so. */
export const annotations = (tools: ReadonlyArray<unknown>): Counts =>
  count(
    tools.flatMap((tool) => {
      const said = Predicate.isObject(tool) ? tool.annotations : undefined
      if (!Predicate.isObject(said)) return []
      return Object.entries(hints).flatMap(([hint, words]) => (said[hint] === true ? [words] : []))
    })
  )

/** Longer than lists and most prompts have room for. */
const longDescription = 4096

const dialectOf = (schema: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  const dialect = /draft-0\d|draft\/20\d\d-\d\d/.exec(String(schema.$schema))?.[0]
  return dialect === undefined ? [] : [dialect.replace("draft/", "")]
}

/** What is odd in one schema node, apart from the nodes below it. */
const inNode = (node: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  const properties = Predicate.isObject(node.properties) ? node.properties : {}
  const required = Array.isArray(node.required) ? node.required.map(String) : []
  const isRegex = (text: unknown): boolean => {
    try {
      return typeof new RegExp(String(text), "u") === "object"
    } catch {
      return false
    }
  }
  const found: Readonly<Record<string, boolean>> = {
    "required with default": required.some((name) => {
      const property = properties[name]
      return Predicate.isObject(property) && "default" in property
    }),
    "required but not described": required.some((name) => !(name in properties)) && "properties" in node,
    "property name with other characters": Object.keys(properties).some((name) => !/^[\w$]+$/.test(name)),
    "several types": Array.isArray(node.type),
    nullable: node.nullable === true,
    "default null": node.default === null,
    patternProperties: "patternProperties" in node,
    propertyNames: "propertyNames" in node,
    tuple: Array.isArray(node.items) || "prefixItems" in node,
    $ref: typeof node.$ref === "string",
    "not, if": "not" in node || "if" in node,
    allOf: "allOf" in node,
    "draft 4 exclusive bound": typeof node.exclusiveMinimum === "boolean" || typeof node.exclusiveMaximum === "boolean",
    "pattern that is no Unicode regex": typeof node.pattern === "string" && !isRegex(node.pattern),
    "beyond 2^53": [node.minimum, node.maximum, node.exclusiveMinimum, node.exclusiveMaximum].some(
      (bound) => typeof bound === "number" && Math.abs(bound) > Number.MAX_SAFE_INTEGER
    )
  }
  return Object.keys(found).filter((name) => found[name])
}

/** Keys below which are values and no schemas. */
const values = new Set(["default", "const", "enum", "examples", "example"])

const inSchema = (node: unknown): ReadonlyArray<string> => {
  if (Array.isArray(node)) return node.flatMap(inSchema)
  if (!Predicate.isObject(node)) return []
  const below = Object.entries(node).flatMap(([key, value]) => {
    if (key === "properties" && Predicate.isObject(value)) return Object.values(value).flatMap(inSchema)
    return values.has(key) ? [] : inSchema(value)
  })
  return [...inNode(node), ...below]
}

const inTool = (tool: unknown): ReadonlyArray<string> => {
  if (!Predicate.isObject(tool)) return ["no object"]
  const { inputSchema, outputSchema, description, name } = tool
  const root = Predicate.isObject(inputSchema) ? inputSchema : {}
  const found: Readonly<Record<string, boolean>> = {
    "no input schema": !Predicate.isObject(inputSchema),
    "input that is no object": Predicate.isObject(inputSchema) && root.type !== "object",
    "alternatives at the root": "anyOf" in root || "oneOf" in root || "allOf" in root,
    "no properties": Predicate.isObject(inputSchema) && !("properties" in root),
    "output schema": outputSchema !== undefined,
    "output that is no object": Predicate.isObject(outputSchema) && outputSchema.type !== "object",
    "no description": typeof description !== "string" || description.trim() === "",
    "long description": typeof description === "string" && description.length > longDescription,
    "name with other characters": !/^[\w-]+$/.test(String(name)),
    "null for what is absent": Object.values(tool).includes(null)
  }
  return [
    ...new Set([
      ...Object.keys(found).filter((key) => found[key]),
      ...dialectOf(root),
      ...inSchema(inputSchema),
      ...inSchema(outputSchema)
    ])
  ]
}

/** How many tools have each oddity, the most frequent first. */
export const oddities = (tools: ReadonlyArray<unknown>): Counts => {
  const names = tools.map((tool) => (Predicate.isObject(tool) ? tool.name : undefined))
  const doubled = names.filter((name, index) => names.indexOf(name) !== index).map(() => "name given twice")
  const counts = Object.entries(count([...doubled, ...tools.flatMap(inTool)]))
  return Object.fromEntries(counts.toSorted((a, b) => b[1] - a[1]))
}

/** Counts as people read them. */
export const print = (counts: Counts): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ")
