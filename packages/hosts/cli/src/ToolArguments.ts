/**
 * The arguments of `executor call`, in any of the ways they can be written, and the program that makes the call.
 */
import { exactLiteral, readJson } from "@executor/kernel"
import type { ToolSchema } from "@executor/sdk"
import { Effect, Predicate, Result } from "effect"
import { type Failure, UsageError } from "./Failure.ts"
import { parseJson, readFileText, readText } from "./Input.ts"
import { isKeyValue, parseKeyValues } from "./KeyValue.ts"

/**
 * The arguments as JSON text; `undefined` when the tool wants none and none were given. The schema is only asked for where
 * it is needed.
 */
export const read = Effect.fn("ToolArguments.read")(function* (
  path: string,
  words: ReadonlyArray<string>,
  describeTool: Effect.Effect<ToolSchema, Failure>
) {
  const [first, second] = words
  if (first === undefined) {
    const { inputSchema } = yield* describeTool
    return Predicate.isObject(inputSchema) && inputSchema["type"] === "object" ? "{}" : undefined
  }
  if (words.every((word) => word !== "-" && !word.startsWith("@") && isKeyValue(word))) {
    const { inputSchema } = yield* describeTool
    const json = parseKeyValues(words, inputSchema)
    if (Result.isSuccess(json)) return json.success
    return yield* new UsageError({
      message: `The arguments do not fit ${path}:\n${json.failure.map((line) => `  ${line}`).join("\n")}\nSee: executor describe ${path}`
    })
  }
  if (second !== undefined) {
    const stray = words.find((word) => !isKeyValue(word)) ?? second
    return yield* new UsageError({
      message: `"${stray}" is no key=value, and JSON has to be the only argument (quote it): executor call ${path} '{"key": "value"}'`
    })
  }
  if (first === "-") return yield* checked("Standard input", yield* readText("-"))
  if (first.startsWith("@")) return yield* checked(first.slice(1), yield* readFileText(first.slice(1)))
  return yield* Effect.mapError(
    checked(`The argument ${first}`, first),
    ({ message }) => new UsageError({ message: `${message}. It can also be key=value for each property.` })
  )
})

const checked = Effect.fnUntraced(function* (name: string, text: string) {
  yield* parseJson(name, text)
  return text.trim()
})

const identifier = /^[A-Za-z_$][\w$]*$/

/**
 * The program that calls one tool. The arguments become a literal of it: JSON is one, but for the key `__proto__`, which a
 * literal would take as the prototype, and numbers that a number cannot hold, which become BigInts or their text.
 */
export const program = (path: string, argumentsJson: string | undefined): string => {
  const member = path
    .split(".")
    .map((segment) => (identifier.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`))
    .join("")
  if (argumentsJson === undefined) return `return await tools${member}()`
  const exact = exactLiteral(argumentsJson)
  const isLiteral = !exact.includes("__proto__") && !exact.includes("\\u")
  const literal = isLiteral
    ? exact
    : exactLiteral(JSON.stringify(readJson(argumentsJson))).replace(/(?<!\\)"__proto__":/g, '["__proto__"]:')
  return `return await tools${member}(${literal})`
}
