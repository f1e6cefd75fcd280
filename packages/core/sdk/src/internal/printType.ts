/**
 * JSON Schemas as TypeScript types, for people and models to read: compact, with short comments, and safe on any schema.
 *
 * A referenced definition is printed once, under its own name, and referred to by it: cycles end there, and a schema whose
 * definitions multiply each other stays as short as it was. The output is documentation, not a program: what TypeScript
 * cannot say (patterns, ranges) is left out.
 */
import { Predicate } from "effect"
import { shorten } from "./json.ts"
import { neededProperties, takesNull } from "./lenientArguments.ts"
import { resolveReference } from "./schemaPointer.ts"
import { cleanText } from "./text.ts"

/** A signature is read whole, many at a time; a longer one is cut and says so. The schema has the rest. */
export const maxSignatureLength = 8000

/** Types nested deeper are printed as `unknown`. */
const maxDepth = 12
/** Of a longer enumeration only the first ones are shown. */
const maxAlternatives = 24
const maxCommentLength = 160
/** An object type at most this wide, without comments, stays on one line. */
const maxLineLength = 72

interface Printer {
  readonly root: unknown
  /** Names of printed definitions by reference. */
  readonly names: Map<string, string>
  /** References still to be printed as declarations. */
  readonly pending: Array<string>
  /** Characters that may still be printed. */
  budget: number
}

/** One type on one line, at most `length` characters. */
export const printShortType = (root: unknown, schema: unknown, length: number): string =>
  shorten(print(schema, printer(root), 0).replaceAll(/\s*\n\s*/g, " "), length)

/** A call of a tool as TypeScript, with the declarations it needs below it. */
export const printSignature = (path: string, inputSchema: unknown, outputSchema: unknown): string => {
  const input = printer(inputSchema)
  const argument = print(inputSchema, input, 0)
  const parameter = takesNothing(inputSchema) ? "" : `${wantsNothing(inputSchema) ? "input?" : "input"}: ${argument}`
  const output = printer(outputSchema)
  for (const name of input.names.values()) output.names.set(`input ${name}`, name)
  const result = outputSchema === undefined ? "unknown" : print(outputSchema, output, 0)
  const call = `${accessPath(path)}(${parameter}): Promise<${result}>`
  return shorten([call, ...declarations(input), ...declarations(output)].join("\n\n"), maxSignatureLength)
}

/** `tools.github["list-issues"]`. */
export const accessPath = (path: string): string =>
  path
    .split(".")
    .reduce((text, segment) => (isIdentifier(segment) ? `${text}.${segment}` : `${text}[${quote(segment)}]`), "tools")

const printer = (root: unknown): Printer => ({ root, names: new Map(), pending: [], budget: maxSignatureLength })

const declarations = (printer: Printer): ReadonlyArray<string> => {
  const out: Array<string> = []
  for (let reference = printer.pending.shift(); reference !== undefined; reference = printer.pending.shift()) {
    if (printer.budget <= 0) break
    const target = resolveReference(printer.root, reference)
    out.push(`type ${printer.names.get(reference)} = ${print(target, printer, 0)}`)
  }
  return out
}

const print = (schema: unknown, printer: Printer, depth: number): string => {
  if (schema === false) return "never"
  if (!Predicate.isObject(schema) || depth > maxDepth || printer.budget <= 0) return "unknown"
  const text = printSchema(schema, printer, depth)
  const addsNull = schema["nullable"] === true && !takesNull(printer.root, { ...schema, nullable: false })
  const nullable = addsNull ? `${text} | null` : text
  printer.budget -= depth === 0 ? 0 : nullable.length / (depth + 1)
  return nullable
}

const printSchema = (schema: Readonly<Record<string, unknown>>, printer: Printer, depth: number): string => {
  if (typeof schema["$ref"] === "string") return referenceName(schema["$ref"], printer)
  if (Object.hasOwn(schema, "const")) return literal(schema["const"])
  if (Array.isArray(schema["enum"])) return union(schema["enum"].map(literal))
  const alternatives = schema["anyOf"] ?? schema["oneOf"]
  if (Array.isArray(alternatives)) {
    const { anyOf: _anyOf, oneOf: _oneOf, ...base } = schema
    const printed = union(alternatives.map((each) => print(each, printer, depth + 1)))
    return Predicate.isObject(base["properties"]) ? `${printObject(base, printer, depth)} & (${printed})` : printed
  }
  if (Array.isArray(schema["allOf"])) {
    const { allOf, ...base } = schema
    const parts = (allOf as ReadonlyArray<unknown>).map((each) => group(print(each, printer, depth + 1), "|"))
    if (Predicate.isObject(base["properties"])) parts.unshift(printObject(base, printer, depth))
    return intersection(parts)
  }
  const type = schema["type"]
  if (Array.isArray(type)) {
    return union(type.map((each) => printSchema({ ...schema, type: each }, printer, depth)))
  }
  switch (type) {
    case "string":
    case "boolean":
    case "null":
    case "number":
      return type
    case "integer":
      return schema["format"] === "int64" || schema["format"] === "uint64" ? "number | bigint" : "number"
    case "array":
      return printArray(schema, printer, depth)
    case "object":
      return printObject(schema, printer, depth)
    default:
      if (Predicate.isObject(schema["properties"]) || Predicate.isObject(schema["patternProperties"])) {
        return printObject(schema, printer, depth)
      }
      return schema["items"] === undefined && schema["prefixItems"] === undefined
        ? "unknown"
        : printArray(schema, printer, depth)
  }
}

const printArray = (schema: Readonly<Record<string, unknown>>, printer: Printer, depth: number): string => {
  const tuple = schema["prefixItems"] ?? (Array.isArray(schema["items"]) ? schema["items"] : undefined)
  if (Array.isArray(tuple)) return `[${tuple.map((each) => print(each, printer, depth + 1)).join(", ")}]`
  if (schema["items"] === undefined) return "unknown[]"
  const item = print(schema["items"], printer, depth + 1)
  return /^[\w$]+$/.test(item) ? `${item}[]` : `Array<${item}>`
}

const printObject = (schema: Readonly<Record<string, unknown>>, printer: Printer, depth: number): string => {
  const properties = Predicate.isObject(schema["properties"]) ? Object.entries(schema["properties"]) : []
  const required = new Set(neededProperties(schema))
  const rest = schema["additionalProperties"]
  const patterns = Predicate.isObject(schema["patternProperties"]) ? Object.values(schema["patternProperties"]) : []
  const others = [...patterns, ...(Predicate.isObject(rest) ? [rest] : [])]
  const restType = others.length === 0 ? undefined : union(others.map((each) => print(each, printer, depth + 1)))
  if (properties.length === 0) {
    return restType === undefined ? (rest === false ? "{}" : "Record<string, unknown>") : `Record<string, ${restType}>`
  }
  const fields: Array<{ readonly comment: string; readonly text: string }> = []
  for (const [name, property] of properties) {
    if (printer.budget <= 0) {
      fields.push({ comment: "", text: "[more: string]: unknown" })
      break
    }
    fields.push({
      comment: comment(property),
      text: `${isIdentifier(name) ? name : quote(name)}${required.has(name) ? "" : "?"}: ${print(property, printer, depth + 1)}`
    })
  }
  if (restType !== undefined) fields.push({ comment: "", text: `[key: string]: ${restType}` })
  const line = `{ ${fields.map((field) => field.text).join("; ")} }`
  if (line.length <= maxLineLength && !line.includes("\n") && fields.every((field) => field.comment === "")) return line
  const lines = fields.flatMap((field) => (field.comment === "" ? [field.text] : [field.comment, field.text]))
  return `{\n${lines.join("\n").replaceAll(/^/gm, "  ")}\n}`
}

const comment = (schema: unknown): string => {
  const description = Predicate.isObject(schema) ? schema["description"] : undefined
  if (typeof description !== "string") return ""
  const text = cleanText(description.replaceAll(/\s+/g, " ").replaceAll("*/", "* /"), maxCommentLength)
  return text === "" ? "" : `/** ${text} */`
}

const referenceName = (reference: string, printer: Printer): string => {
  const known = printer.names.get(reference)
  if (known !== undefined) return known
  if (resolveReference(printer.root, reference) === undefined) return "unknown"
  const base = (reference === "#" ? "Self" : (reference.split("/").at(-1) ?? "")).replaceAll(/[^\w$]/g, "_")
  const stem = isIdentifier(base) ? base : `T${base}`
  const taken = new Set(printer.names.values())
  let name = stem
  for (let count = 2; taken.has(name); count++) name = `${stem}${count}`
  printer.names.set(reference, name)
  printer.pending.push(reference)
  return name
}

const literal = (value: unknown): string =>
  Predicate.isObjectOrArray(value)
    ? shorten(JSON.stringify(value), maxLineLength)
    : (JSON.stringify(value) ?? "unknown")

const union = (parts: ReadonlyArray<string>): string => {
  const distinct = [...new Set(parts)]
  if (distinct.length === 0) return "never"
  if (distinct.includes("unknown")) return "unknown"
  const shown = distinct.slice(0, maxAlternatives).map((part) => group(part, "&"))
  const more = distinct.length - shown.length
  return shown.join(" | ") + (more > 0 ? ` /* and ${more} more */` : "")
}

const intersection = (parts: ReadonlyArray<string>): string => {
  const distinct = [...new Set(parts)].filter((part) => part !== "unknown" && part !== "Record<string, unknown>")
  return distinct.length === 0 ? "unknown" : distinct.join(" & ")
}

/** Parentheses around a type that has `operator` outside of braces. */
const group = (text: string, operator: "|" | "&"): string =>
  text.includes(` ${operator} `) && !(text.startsWith("{") && text.endsWith("}")) ? `(${text})` : text

const isIdentifier = (text: string): boolean => /^[A-Za-z_$][\w$]*$/.test(text)

const quote = (text: string): string => JSON.stringify(text)

/** Whether no argument fits but an empty object. */
const takesNothing = (schema: unknown): boolean =>
  Predicate.isObject(schema) &&
  schema["additionalProperties"] === false &&
  (!Predicate.isObject(schema["properties"]) || Object.keys(schema["properties"]).length === 0)

/** Whether an empty object is enough. */
const wantsNothing = (schema: unknown): boolean => {
  if (!Predicate.isObject(schema) || schema["type"] !== "object") return false
  return (
    ["anyOf", "oneOf", "allOf", "$ref"].every((key) => !Object.hasOwn(schema, key)) &&
    neededProperties(schema).length === 0
  )
}
