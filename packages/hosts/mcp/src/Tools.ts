/**
 * The three tools that a client sees: what they take, what they give back, and what they may do.
 *
 * The JSON Schemas that clients read come from the same schemas that arguments are decoded with, so the two cannot
 * differ. Arguments are strict: an argument that no one knows is refused, not dropped.
 */
import { ElicitationAction, ExecutionStatus } from "@executor/sdk"
import type { Tool } from "@modelcontextprotocol/server"
import { Result, Schema, SchemaIssue } from "effect"

/** The arguments of `execute`. */
export const ExecuteArguments = Schema.Struct({
  code: Schema.String.annotate({
    description: "TypeScript to run. Top-level await and return work; what is returned is the result."
  }),
  idempotencyKey: Schema.optionalKey(
    Schema.NonEmptyString.annotate({
      description:
        "Has the code run once: the same key and code give the same execution, running or finished. Use a new one for each task, and the " +
        "same one to try again when an answer was lost."
    })
  )
})

/** The arguments of `resume`. */
export const ResumeArguments = Schema.Struct({
  executionId: Schema.NonEmptyString.annotate({ description: "The execution that waits." }),
  action: ElicitationAction.annotate({
    description: "What the user decided: accept, decline (no), or cancel (walked away)."
  }),
  content: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.Json).annotate({
      description:
        "For a form that is accepted: the user's entries, in the shape of its requestedSchema. Fields left out have its defaults."
    })
  ),
  interactionId: Schema.optionalKey(
    Schema.NonEmptyString.annotate({ description: "Which question, when several wait. The oldest without it." })
  ),
  anyBuild: Schema.optionalKey(
    Schema.Boolean.annotate({
      description:
        "Goes on even though another version of the sandbox wrote its journal, where it was refused for that."
    })
  )
})

/** The arguments of `executions`. */
export const ExecutionsArguments = Schema.Struct({
  executionId: Schema.optionalKey(
    Schema.NonEmptyString.annotate({
      description: "Only this execution, in whatever state it is. Without it all that wait for the user."
    })
  )
})

const LogLine = Schema.Struct({ level: Schema.String, message: Schema.String, at: Schema.Finite })

const Failure = Schema.Struct({
  name: Schema.String,
  message: Schema.String,
  line: Schema.optionalKey(Schema.Finite),
  column: Schema.optionalKey(Schema.Finite),
  stack: Schema.optionalKey(Schema.String),
  limit: Schema.optionalKey(Schema.String)
})

const Question = Schema.Struct({
  id: Schema.String,
  kind: Schema.Literals(["approval", "form", "url"]),
  message: Schema.String,
  toolPath: Schema.optionalKey(Schema.String),
  args: Schema.optionalKey(Schema.Unknown),
  requestedSchema: Schema.optionalKey(Schema.Unknown),
  url: Schema.optionalKey(Schema.String)
})

const outcomeFields = {
  executionId: Schema.String,
  status: Schema.Literals(["completed", "failed", "cancelled", "waiting_for_interaction"]),
  result: Schema.optionalKey(Schema.Unknown.annotate({ description: "What the code returned." })),
  error: Schema.optionalKey(Failure),
  logs: Schema.Array(LogLine).annotate({ description: "Console output. Empty while the execution waits." }),
  toolCallCount: Schema.Finite,
  durationMs: Schema.optionalKey(Schema.Finite.annotate({ description: "Absent while the execution waits." })),
  interaction: Schema.optionalKey(Question.annotate({ description: "The oldest question that waits." })),
  interactions: Schema.optionalKey(Schema.Array(Question).annotate({ description: "All questions that wait." })),
  historyProblem: Schema.optionalKey(
    Schema.String.annotate({ description: "Why the history may not have all of this execution. Absent where it has." })
  ),
  omitted: Schema.optionalKey(
    Schema.Struct({
      result: Schema.optionalKey(
        Schema.Struct({ characters: Schema.Finite, limit: Schema.Finite, preview: Schema.String })
      ),
      logLines: Schema.optionalKey(Schema.Finite)
    }).annotate({ description: "What was too large to be given back." })
  )
}

/** The structured content of `execute` and `resume`. */
export const Outcome = Schema.Struct({
  ...outcomeFields,
  stillWaiting: Schema.optionalKey(
    Schema.Array(Schema.String).annotate({ description: "Executions of earlier calls that still wait for the user." })
  )
})

/** An execution that is found again. */
export const ExecutionRecord = Schema.Struct({
  ...outcomeFields,
  status: ExecutionStatus,
  createdAt: Schema.String.annotate({ description: "When it was submitted (ISO 8601)." }),
  code: Schema.String.annotate({ description: "The beginning of its code." }),
  trigger: Schema.optionalKey(Schema.String.annotate({ description: "By which way it came in." })),
  client: Schema.optionalKey(Schema.String.annotate({ description: "The client that submitted it." }))
})
export type ExecutionRecord = typeof ExecutionRecord.Type

/** The structured content of `executions`. */
export const Executions = Schema.Struct({ executions: Schema.Array(ExecutionRecord) })

export type Outcome = typeof Outcome.Type
export type QuestionRecord = typeof Question.Type

type ObjectSchema = Tool["inputSchema"]

const jsonSchema = (schema: Schema.Top, onExcessProperty: "error" | "ignore"): ObjectSchema => ({
  ...Schema.toJsonSchemaDocument(schema, { onExcessProperty }).schema,
  type: "object"
})

/**
 * Code can do whatever the tools can, so the honest hints are the cautious ones: it may write, it may destroy, sending
 * it twice does it twice, and it reaches the outside world. `resume` lets a call go on, so the same holds for it.
 */
const annotations = { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true }

const outputSchema = jsonSchema(Outcome, "ignore")
const executeSchema = jsonSchema(ExecuteArguments, "error")

/** How an execution is found again, for the model that reads which tools there are. */
const whatIsKept = (keeps: boolean): string =>
  keeps
    ? "An execution that waits for the user outlives its call: where the answer of a call was lost (a time limit, a cancelled call, a new " +
      "session), `executions` finds it again with its questions, and `resume` answers them. Do not run the same code again."
    : "An execution ends with its call: a call that is cancelled cancels it, also while the user thinks."

/** `execute`, described by the engine at the time of asking. */
export const executeTool = (description: string, keeps: boolean): Tool => ({
  name: "execute",
  title: "Execute code",
  description: `${description}\n\n${whatIsKept(keeps)}`,
  inputSchema: executeSchema,
  outputSchema,
  annotations: { title: "Execute code", ...annotations }
})

/** `resume`. */
export const resumeTool: Tool = {
  name: "resume",
  title: "Resume an execution",
  description:
    "Answers a question of an execution that waits for a person, and goes on with it. Call it only after `execute`, " +
    "`resume` or `executions` said that an execution waits, and only with what the user decided: put the question to the user " +
    "first.",
  inputSchema: jsonSchema(ResumeArguments, "error"),
  outputSchema,
  annotations: { title: "Resume an execution", ...annotations }
}

/** `executions`. */
export const executionsTool: Tool = {
  name: "executions",
  title: "Find executions again",
  description:
    "Lists the executions that wait for the user, those of earlier sessions and other programs included, with their questions, or shows one " +
    "by its id: whether it still runs or waits, or its result. For when the answer of a call was lost. `resume` answers a question.",
  inputSchema: jsonSchema(ExecutionsArguments, "error"),
  outputSchema: jsonSchema(Executions, "ignore"),
  annotations: {
    title: "Find executions again",
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false
  }
}

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Decodes the arguments of a tool; a failure is a text that names each argument that is wrong. */
export const decodeArguments = <const Fields extends Schema.Struct.Fields>(
  tool: string,
  schema: Schema.Struct<Fields> & { readonly DecodingServices: never },
  input: unknown
): Result.Result<Schema.Struct<Fields>["Type"], string> =>
  Result.mapError(
    Schema.decodeUnknownResult(schema)(input ?? {}, { onExcessProperty: "error", errors: "all" }),
    (error) => {
      const known = Object.keys(schema.fields)
      const problems = issuesOf(error.issue).issues.map(({ message, path = [] }) => {
        const segments = path.map((segment) => String(typeof segment === "object" ? segment.key : segment))
        const [argument] = segments
        if (argument === undefined) return message
        return known.includes(argument) ? `"${segments.join(".")}": ${message}` : `"${argument}" is not an argument`
      })
      const takes = known.join(", ")
      return `The arguments of ${tool} are not valid: ${problems.join("; ")}. It takes ${takes}. Nothing ran.`
    }
  )
