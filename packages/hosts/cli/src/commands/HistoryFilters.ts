/**
 * The flags that select executions, for the commands that list and export them.
 */
import { moment as momentFromText, splitList } from "@executor/api"
import { ExecutionStatus, type ListExecutionsOptions, minQueryLength, StatusFilter } from "@executor/sdk"
import { Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import { UsageError } from "../Failure.ts"
import * as Flags from "../Flags.ts"

const statuses = ExecutionStatus.literals.join(", ")

/** One flag for each filter. */
export const filterFlags = {
  status: Flags.repeatedFlag("status", "status", `Only these, or with ! before it not this one: ${statuses}`),
  trigger: Flags.repeatedFlag(
    "trigger",
    "kind",
    "Only these triggers (cli, http, mcp, sdk, ...), or '!kind' not this one; unknown: none recorded, =unknown: that kind"
  ),
  tool: Flags.repeatedFlag(
    "tool",
    "path",
    "Only executions that called one of these: a path, 'github.*' or '*.create'; '!path': that did not"
  ),
  code: Flags.textFlag("code", "text", "Only executions whose code contains this, whatever its case"),
  query: Flags.textFlag(
    "query",
    "text",
    `Only executions whose code, error, result, or a call's arguments or outcome contains this; ${minQueryLength} characters or more`
  ),
  asked: Flag.Literals("asked", ["yes", "no"]).pipe(
    Flag.withDescription("Only executions that asked a person something, or that did not"),
    Flag.optional
  ),
  from: Flags.textFlag("from", "time", "Created at this time or later"),
  to: Flags.textFlag("to", "time", "Created before this time")
}

/** Comma-separated or repeated; a comma in a value is written `\,`. */
const listed = Effect.fnUntraced(function* (name: string, values: ReadonlyArray<string>) {
  if (values.length === 0) return undefined
  const items = values.flatMap(splitList).map((value) => value.trim())
  if (items.some((item) => item === "" || item === "!")) {
    return yield* new UsageError({ message: `${name}: a value is empty (a comma in a value is written \\,)` })
  }
  return items
})

const isStatus = Schema.is(StatusFilter)

const parseStatuses = Effect.fnUntraced(function* (values: ReadonlyArray<string>) {
  const items = yield* listed("--status", values)
  const wrong = items?.find((status) => !isStatus(status))
  if (wrong !== undefined) {
    return yield* new UsageError({ message: `--status: "${wrong}" is not one of ${statuses}, or ! and one of them` })
  }
  return items?.filter(isStatus)
})

const readMoment = Schema.decodeUnknownEffect(momentFromText)

const moment = Effect.fnUntraced(function* (name: string, text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const value = yield* Effect.option(readMoment(text.value))
  if (Option.isNone(value)) {
    return yield* new UsageError({
      message: `${name}: "${text.value}" is not a time such as 2026-11-22T16:00:00Z, 2026-11-22 (its start in UTC), or milliseconds since 1970`
    })
  }
  return value.value
})

/** A copy without the properties that are undefined. */
export const defined = <A extends object>(options: A): { [key in keyof A]: Exclude<A[key], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [key in keyof A]: Exclude<A[key], undefined>
  }

/** The filters that the flags name. */
export const parseFilters = Effect.fnUntraced(function* (input: {
  readonly status: ReadonlyArray<string>
  readonly trigger: ReadonlyArray<string>
  readonly tool: ReadonlyArray<string>
  readonly code: Option.Option<string>
  readonly query: Option.Option<string>
  readonly asked: Option.Option<"yes" | "no">
  readonly from: Option.Option<string>
  readonly to: Option.Option<string>
}): Effect.fn.Return<ListExecutionsOptions, UsageError> {
  const from = yield* moment("--from", input.from)
  const to = yield* moment("--to", input.to)
  if (from !== undefined && to !== undefined && from > to) {
    return yield* new UsageError({ message: "--from: it is after --to" })
  }
  const query = Option.getOrUndefined(input.query)
  if (query !== undefined && query.length < minQueryLength) {
    return yield* new UsageError({ message: `--query: "${query}" has less than ${minQueryLength} characters` })
  }
  return defined({
    statusFilter: yield* parseStatuses(input.status),
    triggerFilter: yield* listed("--trigger", input.trigger),
    toolPathFilter: yield* listed("--tool", input.tool),
    timeRange: from === undefined && to === undefined ? undefined : defined({ from, to }),
    codeQuery: Option.getOrUndefined(input.code),
    hadElicitation: Option.getOrUndefined(Option.map(input.asked, (asked) => asked === "yes")),
    query
  })
})
