/**
 * Questions put to the person at the terminal: approvals, forms and pages to visit.
 *
 * Everything is shown on stderr, so that stdout stays the result's own. Nothing that a tool says can pass for the command's own
 * words: its text is made safe and stands indented under a line that names the tool. Enter alone never approves.
 */
import type { InteractionAnswer } from "@executor/execution"
import type { ElicitationRequest } from "@executor/sdk"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { Effect, FileSystem, Layer, Path, Predicate, Queue, Scope, Terminal } from "effect"
import { Prompt } from "effect/cli"
import { readings } from "./KeyValue.ts"
import { notice, Output } from "./Output.ts"
import { describe, type Resolved, resolve } from "./SchemaShape.ts"
import { neutralise, neutraliseLine } from "./Text.ts"

/** How long the system may take to hand over keys that were pressed already when the terminal is taken hold of. */
const typedAhead = "30 millis"

/**
 * The terminal of this process, taken hold of when it is first used, with its display on stderr. Keys that were pressed before a
 * question stands there are dropped: they were no answer to it.
 */
export const layerTerminal: Layer.Layer<Terminal.Terminal, never, Output> = Layer.effect(
  Terminal.Terminal,
  Effect.gen(function* () {
    const { stderr } = yield* Output
    const terminal = yield* Effect.cached(Scope.provide(NodeTerminal.make(), yield* Effect.scope))
    return Terminal.make({
      columns: Effect.sync(() => stderr.columns ?? 0),
      rows: Effect.flatMap(terminal, ({ rows }) => rows),
      size: Effect.flatMap(terminal, ({ size }) => size),
      readInput: Effect.flatMap(terminal, ({ readInput }) => readInput).pipe(
        Effect.tap((keys) => Effect.andThen(Effect.sleep(typedAhead), Effect.ignore(Queue.clear(keys))))
      ),
      readLine: Effect.flatMap(terminal, ({ readLine }) => readLine),
      display: stderr.write
    })
  })
)

const services = Layer.merge(FileSystem.layerNoop({}), Path.layer)

const indent = (text: string): string => neutralise(text).replace(/^/gm, "    ")

const header = (request: ElicitationRequest): string => {
  const tool = request.toolPath === undefined ? "The program" : neutraliseLine(request.toolPath)
  switch (request.kind) {
    case "approval":
      return `${tool} wants your approval:`
    case "form":
      return `${tool} asks:`
    case "url":
      return `${tool} wants you to visit a page:`
  }
}

const details = (request: ElicitationRequest): ReadonlyArray<string> => {
  const lines = [request.message]
  if (request.kind === "approval" && request.args !== undefined) {
    // Most messages have the arguments in them, and they stand below in full.
    lines[0] = request.message.replace(` with ${JSON.stringify(request.args)}`, () => "")
    lines.push(JSON.stringify(request.args, null, 2))
  }
  if (request.url !== undefined) lines.push(request.url)
  return lines
}

interface Field {
  readonly name: string
  readonly label: string
  readonly place: Resolved
  readonly required: boolean
  readonly initial: unknown
}

const fieldsOf = (requestedSchema: unknown): ReadonlyArray<Field> => {
  if (!Predicate.isObject(requestedSchema)) return []
  const schema: { readonly [key: string]: unknown } = requestedSchema
  const root = resolve(schema)
  const required = Array.isArray(schema["required"]) ? schema["required"] : []
  return root.names.map((name) => {
    const property: unknown = Predicate.isObject(schema["properties"]) ? schema["properties"][name] : undefined
    const text = (key: string): string => {
      const value: unknown = Predicate.isObject(property) ? property[key] : undefined
      return typeof value === "string" ? neutraliseLine(value) : ""
    }
    const title = text("title") === "" ? neutraliseLine(name) : text("title")
    return {
      name,
      label: text("description") === "" ? title : `${title} (${text("description")})`,
      place: root.property(name) ?? resolve(true),
      required: required.includes(name),
      initial: Predicate.isObject(property) ? property["default"] : undefined
    }
  })
}

/** A choice to leave a field out. */
const nothing = Symbol.for("@executor/host-cli/Questions/nothing")

const choose = (field: Field, values: ReadonlyArray<unknown>): Prompt.Prompt<unknown> => {
  // Leaving out a field with a default is no choice: the default would be filled in.
  const optional =
    field.required || field.initial !== undefined ? [] : [{ title: "(no answer)", value: nothing, selected: false }]
  const known = values.some((value) => value === field.initial)
  const choices = values.map((value, index) => ({
    title: neutraliseLine(typeof value === "string" ? value : JSON.stringify(value)),
    value,
    selected: known ? value === field.initial : index === 0
  }))
  return Prompt.Select<unknown>({ message: field.label, choices: [...choices, ...optional] })
}

const typed = (field: Field): Prompt.Prompt<unknown> => {
  const initial =
    field.initial === undefined ? "" : typeof field.initial === "string" ? field.initial : JSON.stringify(field.initial)
  return Prompt.String({
    message: `${field.label}${field.required ? "" : " (optional)"}`,
    default: neutraliseLine(initial),
    validate: (text) =>
      (text === "" && !field.required) || readings(text, field.place).length > 0
        ? Effect.succeed(text)
        : Effect.fail(`expected ${describe(field.place)}`)
  }).pipe(
    Prompt.map((text) => {
      const [json] = readings(text, field.place)
      return json === undefined || (text === "" && !field.required) ? nothing : JSON.parse(json)
    })
  )
}

const promptFor = (field: Field): Prompt.Prompt<unknown> => {
  if (field.place.values !== undefined) return choose(field, field.place.values)
  if (field.place.kinds?.length === 1 && field.place.kinds[0] === "boolean") return choose(field, [true, false])
  const { items } = field.place
  if (field.place.kinds?.includes("array") === true && items.values !== undefined) {
    return Prompt.MultiSelect<unknown>({
      message: field.label,
      choices: items.values.map((value) => ({
        title: neutraliseLine(typeof value === "string" ? value : JSON.stringify(value)),
        value,
        selected: Array.isArray(field.initial) && field.initial.includes(value)
      }))
    })
  }
  return typed(field)
}

const agreeOrDecline = (agree: string) =>
  Prompt.Select<"accept" | "decline">({
    message: "Your answer",
    choices: [
      { title: agree, value: "accept" },
      { title: "Decline", value: "decline" }
    ]
  })

/**
 * Asks one question. Fails with `QuitError` when the person leaves it with Esc, Ctrl-C or Ctrl-D.
 */
export const ask = Effect.fn("Questions.ask")(function* (request: ElicitationRequest) {
  yield* notice(`\n${header(request)}\n${details(request).map(indent).join("\n")}`)
  if (request.kind === "approval") {
    const approved = yield* Prompt.run(Prompt.Confirm({ message: "Approve?", initial: false }))
    const answer: InteractionAnswer = { action: approved ? "accept" : "decline" }
    return answer
  }
  const action = yield* Prompt.run(agreeOrDecline(request.kind === "form" ? "Answer" : "Done"))
  if (action === "decline" || request.kind === "url") return { action } satisfies InteractionAnswer
  const content: Array<readonly [name: string, value: unknown]> = []
  for (const field of fieldsOf(request.requestedSchema)) {
    const value = yield* Prompt.run(promptFor(field))
    if (value !== nothing) content.push([field.name, value])
  }
  return { action, content: Object.fromEntries(content) } satisfies InteractionAnswer
}, Effect.provide(services))

/** Asks the person at the terminal whether to do something. Enter alone is no. */
export const confirm = (message: string) =>
  Effect.provide(Prompt.run(Prompt.Confirm({ message, initial: false })), services)
