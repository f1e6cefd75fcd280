/**
 * Reading an export back into a history, line by line: every line is checked before anything of its unit is written.
 *
 * Units are written as they fill up, so an import that ends at a line that is wrong has written those before it; run again
 * when the line is right, it leaves these as they are.
 */
import {
  ArchivedExecution,
  ArchivedInteraction,
  ArchivedToolCall,
  type ArchiveRecord,
  type Executor,
  type ImportResult,
  isTerminal,
  maxPayloadBytes
} from "@executor/sdk"
import { Effect, Predicate, Result, Schema, SchemaIssue, Stream } from "effect"
import { CommandFailed, UsageError } from "./Failure.ts"
import { LineUnreadable, readLines } from "./Lines.ts"

/** Holds code, result and logs of the largest size, with what JSON escapes in them. */
const maxLineBytes = 12 * maxPayloadBytes

/** A unit of work is written when it has this many lines, or this many characters. */
const unitLines = 500
const unitChars = 2 * 1024 * 1024

/** What an import did, or had done before it failed. */
export interface Imported extends ImportResult {
  /** Executions that had not ended when they were exported, and were left out. */
  readonly unfinished: number
}

const strict = { onExcessProperty: "error" } as const
type Decoder = (value: unknown) => Result.Result<ArchiveRecord, Schema.SchemaError>
const decoders: { readonly [type in ArchiveRecord["type"]]: Decoder } = {
  execution: Schema.decodeUnknownResult(ArchivedExecution, strict),
  toolCall: Schema.decodeUnknownResult(ArchivedToolCall, strict),
  interaction: Schema.decodeUnknownResult(ArchivedInteraction, strict)
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "UnexpectedKey" ? "there is no such field" : SchemaIssue.defaultLeafHook(issue))
})

const parseJson = (text: string): Result.Result<unknown, string> =>
  Result.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) => `it is not JSON (${cause instanceof Error ? cause.message : String(cause)})`
  })

/** A line as a record, or what is wrong with it. */
const parseRecord = (line: string): Result.Result<ArchiveRecord, string> =>
  Result.gen(function* () {
    const value = yield* parseJson(line)
    const type = Predicate.hasProperty(value, "type") ? value.type : undefined
    if (type !== "execution" && type !== "toolCall" && type !== "interaction") {
      return yield* Result.fail("type: expected execution, toolCall or interaction")
    }
    const record: ArchiveRecord = yield* Result.mapError(decoders[type](value), ({ issue }) => {
      const [first] = formatIssue(issue).issues
      return `${(first?.path ?? []).map(String).join(".") || type}: ${first?.message ?? "not valid"}`
    })
    for (const [field, text] of Object.entries(record)) {
      if (!field.endsWith("Json") || typeof text !== "string") continue
      yield* Result.mapError(parseJson(text), (message) => `${field}: ${message}`)
    }
    return record
  })

/** Imports what `source` has, called `name` in errors, into the scope that the executor writes to. */
export const importHistory = Effect.fn("Import.importHistory")(function* (
  { executions, scopes }: Executor,
  source: AsyncIterable<Uint8Array>,
  name: string
) {
  const [scopeId] = scopes
  const total = { executions: 0, toolCalls: 0, interactions: 0, existing: 0, unfinished: 0 }
  let number = 0
  let unit: Array<ArchiveRecord> = []
  let chars = 0
  let current: { readonly id: string; readonly hasEnded: boolean } | undefined

  const wrong = (line: number, message: string) => {
    const before = total.executions + total.existing
    const advice =
      before === 0
        ? "Nothing was imported."
        : `${before} executions before it are there; they are left as they are next time.`
    return new UsageError({ message: `${name}, line ${line}: ${message}. ${advice}` })
  }

  const write = Effect.gen(function* () {
    if (unit.length === 0) return
    const result = yield* Effect.mapError(executions.importRecords(scopeId, unit), ({ message }) => {
      const first = number - unit.length + 1
      return new CommandFailed({ message: `${name}, up to line ${number} (from about line ${first}): ${message}` })
    })
    total.executions += result.executions
    total.toolCalls += result.toolCalls
    total.interactions += result.interactions
    total.existing += result.existing
    unit = []
    chars = 0
  })

  const take = Effect.fnUntraced(function* (line: string) {
    number++
    if (line.trim() === "") return
    const record = yield* Effect.mapError(Effect.fromResult(parseRecord(line)), (message) => wrong(number, message))
    if (record.type === "execution") {
      current = { id: record.id, hasEnded: isTerminal(record.status) }
      if (!current.hasEnded) total.unfinished++
    } else if (record.executionId !== current?.id) {
      return yield* wrong(number, `executionId: expected that of the execution before it, not "${record.executionId}"`)
    }
    if (current?.hasEnded !== true) return
    unit.push(record)
    chars += line.length
    if (unit.length >= unitLines || chars >= unitChars) yield* write
  })

  const unreadable = (cause: unknown) =>
    cause instanceof LineUnreadable
      ? wrong(cause.line, cause.message)
      : new UsageError({
          message: `${name} cannot be read (${cause instanceof Error ? cause.message : String(cause)})`
        })
  yield* Stream.fromAsyncIterable(readLines(source, maxLineBytes), unreadable).pipe(
    Stream.runForEach((lines) => Effect.forEach(lines, take, { discard: true }))
  )
  yield* write
  const imported: Imported = total
  return imported
})
