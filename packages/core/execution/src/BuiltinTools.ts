/**
 * The tools that the engine itself serves: how code finds other tools, and how it waits.
 *
 * They are called and journaled like any tool, so that a replay sees the same catalog and the same waits.
 *
 * - `tools.search({ query, namespace?, limit? })`: `[{ path, name, description, requiresApproval, score }]`, best first
 * - `tools.describe.tool({ path })`: `{ path, description, inputSchema, outputSchema?, signature, requiresApproval, annotations }`
 * - `tools.executor.sources.list({ query?, limit? })`: `[{ namespace, pluginId, kind, description, toolCount }]`
 * - `executor.sleep`, which `setTimeout` calls with `{ ms }`
 */
import { sleepPath } from "@executor/kernel"
import { type Executor, type InvokeError, type ListOptionsInvalid, ToolInputInvalid } from "@executor/sdk"
import { Effect, Schema } from "effect"
import { describeProblems, problemsOf } from "./SchemaProblems.ts"

/** The longest a `setTimeout` may wait. What waits longer is better started again by whoever started it. */
export const maxSleepMs = 24 * 60 * 60 * 1000

/** Results a search or a list gives at most; 10 unless the caller says otherwise. */
export const maxMatches = 100

const Limit = Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxMatches })))

const SearchInput = Schema.Struct({
  query: Schema.String,
  namespace: Schema.optionalKey(Schema.String),
  limit: Limit
})

const DescribeInput = Schema.Struct({ path: Schema.NonEmptyString })

const SourcesInput = Schema.Struct({ query: Schema.optionalKey(Schema.String), limit: Limit })

const SleepInput = Schema.Struct({ ms: Schema.Number.check(Schema.isBetween({ minimum: 0, maximum: maxSleepMs })) })

/** Far more than any of these tools takes, and checked in no time. */
const maxInputLength = 16 * 1024

type Failure = InvokeError | ListOptionsInvalid

/** Serves one call of a built-in tool, given its input and the length of that as JSON text. */
type Builtin = (args: unknown, length: number) => Effect.Effect<unknown, Failure>

/** The built-in tools of an executor, by path. */
export const make = (executor: Executor): ReadonlyMap<string, Builtin> =>
  new Map(
    serving(executor).map(([path, serve]): [string, Builtin] => [
      path,
      (args, length) => (length > maxInputLength ? tooLong(path) : serve(args))
    ])
  )

const tooLong = (path: string): Effect.Effect<never, ToolInputInvalid> => {
  const issues = [{ field: "", message: `is longer than ${maxInputLength} characters` }]
  return Effect.fail(
    new ToolInputInvalid({ path, issues, message: `The input of \`${path}\` is wrong: ${describeProblems(issues)}` })
  )
}

const serving = (
  executor: Executor
): ReadonlyArray<readonly [path: string, serve: (args: unknown) => Effect.Effect<unknown, Failure>]> => [
  [sleepPath, (args) => Effect.flatMap(decode(sleepPath, SleepInput, args), ({ ms }) => Effect.sleep(ms))],
  [
    "search",
    (args) =>
      decode("search", SearchInput, args).pipe(
        Effect.flatMap((input) => executor.tools.search(input)),
        Effect.map((matches) =>
          matches.map(({ tool: { path, name, description, requiresApproval }, score }) => ({
            path,
            name,
            description,
            requiresApproval,
            score
          }))
        )
      )
  ],
  [
    "describe.tool",
    (args) =>
      decode("describe.tool", DescribeInput, args).pipe(
        Effect.flatMap(({ path }) => executor.tools.schema(path)),
        Effect.map((schema) => ({ ...schema }))
      )
  ],
  [
    "executor.sources.list",
    (args) =>
      decode("executor.sources.list", SourcesInput, args ?? {}).pipe(
        Effect.flatMap((input) => executor.sources.list(input)),
        Effect.map((sources) => sources.map((source) => ({ ...source })))
      )
  ]
]

const decode = <A>(path: string, schema: Schema.Codec<A, unknown>, args: unknown): Effect.Effect<A, ToolInputInvalid> =>
  Schema.decodeUnknownEffect(schema, { errors: "all", onExcessProperty: "error" })(args).pipe(
    Effect.mapError((error) => {
      const issues = problemsOf(error)
      const message = `The input of \`${path}\` is wrong: ${describeProblems(issues)}`
      return new ToolInputInvalid({ path, issues, message })
    })
  )
