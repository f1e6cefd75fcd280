/**
 * `key=value` arguments, typed by the input schema of the tool they are for.
 *
 * - `title=Hi` sets a property; what the text means follows from the property's schema: a number, `true` or `false`, one of
 *   an enumeration, text as it is, or JSON where an object or an array is wanted.
 * - `owner.name=Ann` and `items.0.id=7` reach into objects and arrays; `tag=a tag=b` makes an array of the property's items.
 * - `key:=json` takes JSON as it is, whatever the schema says.
 *
 * Nothing is guessed: where a text could mean two things under the schema, or the schema knows no such property, the error
 * says so and shows how to write it without doubt.
 */
import type { JsonSchema } from "@executor/sdk"
import { Result } from "effect"
import { describe, type Resolved, resolve, type Scalar, suggest } from "./SchemaShape.ts"

/** Whether an argument is of this form. JSON never is: no JSON text has a `=` before its first quote or bracket. */
export const isKeyValue = (argument: string): boolean => /^[^={["\s][^=]*=/.test(argument)

interface Assignment {
  readonly argument: string
  readonly path: ReadonlyArray<string>
  readonly text: string
  readonly raw: boolean
}

/** Objects under construction. Maps, so that no name (`__proto__`) is special. */
type Node = { readonly _tag: "Leaf"; json: string } | { readonly _tag: "Branch"; readonly children: Map<string, Node> }

const fail = (message: string): Result.Result<never, string> => Result.fail(message)

const isIndex = (segment: string): boolean => /^(0|[1-9]\d{0,5})$/.test(segment)

const split = (argument: string): Result.Result<{ key: string; text: string; raw: boolean }, string> => {
  const equals = argument.indexOf("=")
  if (equals <= 0) return fail(`${argument}: expected key=value, or key:=json`)
  const raw = argument[equals - 1] === ":"
  const key = argument.slice(0, raw ? equals - 1 : equals)
  return key === ""
    ? fail(`${argument}: expected a name before the "="`)
    : Result.succeed({ key, text: argument.slice(equals + 1), raw })
}

/** Finds the one reading of a dotted key: names that contain dots themselves make several possible. */
const readKey = (
  key: string,
  root: JsonSchema
): Result.Result<{ path: ReadonlyArray<string>; target: Resolved }, string> => {
  const segments = key.split(".")
  if (segments.includes("")) return fail(`${key}: expected names separated by single dots`)
  const readings: Array<{ path: ReadonlyArray<string>; target: Resolved }> = []
  const walk = (from: Resolved, index: number, path: ReadonlyArray<string>): void => {
    if (index === segments.length) {
      readings.push({ path, target: from })
      return
    }
    for (let end = index + 1; end <= segments.length; end++) {
      const name = segments.slice(index, end).join(".")
      const child = from.property(name)
      if (child !== undefined && (end === index + 1 || child.declared)) walk(child, end, [...path, name])
    }
  }
  const target = resolve(root)
  walk(target, 0, [])
  const declared = readings.filter((reading) => reading.target.declared)
  const best = declared.length > 0 ? declared : readings
  if (best.length === 1 && best[0] !== undefined) return Result.succeed(best[0])
  if (best.length > 1) {
    return fail(`${key}: the tool knows several properties that this could name; pass the arguments as JSON`)
  }
  return fail(unknownKey(segments, target))
}

const unknownKey = (segments: ReadonlyArray<string>, root: Resolved): string => {
  let current = root
  for (const [index, segment] of segments.entries()) {
    const child = current.property(segment)
    if (child === undefined) {
      const where = index === 0 ? "the tool" : segments.slice(0, index).join(".")
      const near = suggest(segment, current.names)
      const known =
        near.length > 0
          ? `did you mean ${near.join(" or ")}?`
          : current.names.length > 0
            ? `it has ${current.names.join(", ")}`
            : `it is ${describe(current)}`
      return `${segments.join(".")}: ${where} has no property "${segment}"; ${known}`
    }
    current = child
  }
  return `${segments.join(".")}: no such property`
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const scalarJson = (kind: Scalar, text: string): string | undefined => {
  switch (kind) {
    case "string":
      return JSON.stringify(text)
    case "boolean":
      return text === "true" || text === "false" ? text : undefined
    case "null":
      return text === "null" ? text : undefined
    case "number":
    case "integer": {
      const value = typeof parseJson(text) === "number" ? Number(text) : Number.NaN
      return Number.isFinite(value) && (kind === "number" || Number.isInteger(value)) ? text.trim() : undefined
    }
    case "object": {
      const value = parseJson(text)
      return typeof value === "object" && value !== null && !Array.isArray(value) ? text.trim() : undefined
    }
    case "array":
      return Array.isArray(parseJson(text)) ? text.trim() : undefined
  }
}

/** The JSON texts that a text may stand for at a place of a schema: none where it does not fit, several in doubt. */
export const readings = (text: string, target: Resolved): ReadonlyArray<string> => {
  if (target.values !== undefined) {
    return target.values
      .filter((value) => value === text || JSON.stringify(value) === text)
      .map((value) => JSON.stringify(value))
  }
  // Without any type in the schema every reading of JSON is possible, and text too.
  const kinds: ReadonlyArray<Scalar> = target.kinds ?? ["string", "number", "boolean", "null", "object", "array"]
  const found = kinds.map((kind) => scalarJson(kind, text)).filter((json) => json !== undefined)
  return [...new Set(found)]
}

const interpret = ({ argument, path, raw, text }: Assignment, target: Resolved): Result.Result<string, string> => {
  if (raw) {
    return parseJson(text) === undefined ? fail(`${argument}: expected JSON after ":="`) : Result.succeed(text.trim())
  }
  const [json, ...others] = readings(text, target)
  if (json === undefined) return fail(`${argument}: expected ${describe(target)}`)
  if (others.length === 0) return Result.succeed(json)
  const spellings = [json, ...others].map((reading) => `'${path.join(".")}:=${reading}'`)
  return fail(`${argument}: this could mean ${[json, ...others].join(" or ")}; write ${spellings.join(" or ")}`)
}

const taken = (argument: string, path: ReadonlyArray<string>): Result.Result<never, string> =>
  fail(`${argument}: ${path.join(".")} is given twice`)

const place = (root: Map<string, Node>, assignment: Assignment, json: string): Result.Result<void, string> => {
  let children = root
  for (const segment of assignment.path.slice(0, -1)) {
    const existing = children.get(segment)
    if (existing?._tag === "Leaf") return taken(assignment.argument, assignment.path)
    const branch: Node = existing ?? { _tag: "Branch", children: new Map() }
    children.set(segment, branch)
    children = branch.children
  }
  const last = assignment.path.at(-1) ?? ""
  if (children.has(last)) return taken(assignment.argument, assignment.path)
  children.set(last, { _tag: "Leaf", json })
  return Result.succeed(undefined)
}

const write = (
  children: Map<string, Node>,
  target: Resolved,
  path: ReadonlyArray<string>
): Result.Result<string, string> => {
  const keys = [...children.keys()]
  const asArray = keys.length > 0 && keys.every(isIndex) && target.kinds?.includes("array") === true
  if (
    asArray &&
    keys
      .map(Number)
      .toSorted((a, b) => a - b)
      .some((index, position) => index !== position)
  ) {
    return fail(`${path.join(".")}: expected the items 0 to ${keys.length - 1}, each once`)
  }
  const ordered = asArray ? keys.toSorted((a, b) => Number(a) - Number(b)) : keys
  const parts: Array<string> = []
  for (const key of ordered) {
    const node = children.get(key)
    if (node === undefined) continue
    const child = target.property(key) ?? resolve(true)
    const json = node._tag === "Leaf" ? Result.succeed(node.json) : write(node.children, child, [...path, key])
    if (Result.isFailure(json)) return json
    parts.push(asArray ? json.success : `${JSON.stringify(key)}:${json.success}`)
  }
  return Result.succeed(asArray ? `[${parts.join(",")}]` : `{${parts.join(",")}}`)
}

/**
 * The arguments as JSON text, or what is wrong with them, one line for each.
 */
export const parseKeyValues = (
  args: ReadonlyArray<string>,
  inputSchema: JsonSchema
): Result.Result<string, ReadonlyArray<string>> => {
  const problems: Array<string> = []
  const tree = new Map<string, Node>()
  const lists = new Map<string, { readonly assignments: Array<Assignment>; readonly target: Resolved }>()
  const record = <A>(result: Result.Result<A, string>): A | undefined => {
    if (Result.isSuccess(result)) return result.success
    problems.push(result.failure)
    return undefined
  }
  for (const argument of args) {
    const parts = record(split(argument))
    if (parts === undefined) continue
    const found = record(readKey(parts.key, inputSchema))
    if (found === undefined) continue
    const assignment: Assignment = { argument, path: found.path, text: parts.text, raw: parts.raw }
    if (!parts.raw && found.target.kinds?.includes("array") === true) {
      const key = JSON.stringify(found.path)
      const list = lists.get(key) ?? { assignments: [], target: found.target }
      lists.set(key, list)
      list.assignments.push(assignment)
      continue
    }
    const json = record(interpret(assignment, found.target))
    if (json !== undefined) record(place(tree, assignment, json))
  }
  for (const { assignments, target } of lists.values()) {
    const json = record(readList(assignments, target))
    const [first] = assignments
    if (json !== undefined && first !== undefined) record(place(tree, first, json))
  }
  if (problems.length > 0) return Result.fail(problems)
  const json = record(write(tree, resolve(inputSchema), []))
  return json === undefined ? Result.fail(problems) : Result.succeed(json)
}

/** Several values of one array property, or one that is the whole array as JSON, or one that is its only item. */
const readList = (assignments: ReadonlyArray<Assignment>, target: Resolved): Result.Result<string, string> => {
  const [first] = assignments
  if (first !== undefined && assignments.length === 1) {
    const whole = scalarJson("array", first.text)
    const other = target.kinds?.filter((kind) => kind !== "array") ?? []
    if (whole !== undefined || other.length > 0) return interpret(first, target)
  }
  const items: Array<string> = []
  for (const assignment of assignments) {
    const item = interpret(assignment, target.items)
    if (Result.isFailure(item)) return item
    items.push(item.success)
  }
  return Result.succeed(`[${items.join(",")}]`)
}
