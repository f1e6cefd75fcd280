/**
 * One call of a tool: validate, ask, run; a failure at any step leaves the later ones untouched.
 */
import { Cause, Effect, Predicate } from "effect"
import { ElicitationDeclined, type ElicitationRequest, type ElicitationResponse } from "../Elicitation.ts"
import { withFormDefaults } from "../ElicitationContent.ts"
import type { InvokeError, InvokeOptions } from "../Executor.ts"
import type { StaticTool, ToolContext } from "../Plugin.ts"
import { type JsonSchema, OutcomeUnknown, type Tool, type ToolError, ToolFailed, ToolInputInvalid } from "../Tool.ts"
import { isBrokenRequest } from "./brokenRequest.ts"
import { copyJson, copyJsonSteps, type FieldIssue, fromJsonText, type JsonCopy, previewJson, shorten } from "./json.ts"
import type { BrokenSchema } from "./jsonSchemaValidator.ts"
import { inSlices, startingNow } from "./slices.ts"
import { cleanSchema, cleanText } from "./text.ts"
import type { Validate } from "./toolInput.ts"

/** A tool as the catalog holds it. */
export interface CatalogTool {
  readonly tool: Tool
  readonly inputSchema: JsonSchema
  readonly outputSchema: JsonSchema | undefined
  readonly validate: Validate
  readonly run: (args: unknown, context: ToolContext) => Effect.Effect<unknown, ToolError>
}

/** What a tool says when it fails is read by people and models; a page of it is enough. */
export const maxErrorMessageLength = 8192

/** Arguments shown inside the sentence that asks for approval; the question carries them whole as well. */
const maxArgumentsInMessage = 200

/** Questions of tools. */
const maxQuestionLength = 4096

/** Calls a tool of the catalog. */
export const callTool = (
  entry: CatalogTool,
  args: unknown,
  options: InvokeOptions | undefined
): Effect.Effect<unknown, InvokeError> =>
  Effect.suspend(() => {
    const path = entry.tool.path
    const length = options?.argsJsonLength
    const plain: Effect.Effect<JsonCopy> =
      args === undefined
        ? noArguments
        : length === undefined
          ? startingNow(copyJsonSteps(args))
          : Effect.succeed(fromJsonText(args, length, options?.argsHoldExact))
    return Effect.flatMap(plain, (copied) => {
      if (!copied.ok) return Effect.fail(inputInvalid(path, [copied.issue]))
      return Effect.flatMap(
        Effect.mapError(entry.validate(copied), (broken) => schemaBroken(path, broken)),
        (validation): Effect.Effect<unknown, InvokeError> => {
          if (!validation.ok) return Effect.fail(inputInvalid(path, validation.issues))
          const context = new CallContext(path, validation.asked, options)
          const run = Effect.suspend(() => {
            const run = () => entry.run(validation.value, context)
            const first = options?.onStart?.(entry.tool)
            return Effect.isEffect(first) ? Effect.flatMap(first, run) : run()
          })
          const asks = entry.tool.requiresApproval || options?.requiresApproval === true
          return asks ? Effect.andThen(askApproval(context), run) : run
        }
      )
    })
  })

const noArguments = Effect.sync(() => fromJsonText({}, 2))

const schemaBroken = (path: string, { message }: BrokenSchema): ToolFailed =>
  new ToolFailed({ path, message: `cannot be called: its input schema is broken (${message})` })

/** Runs a handler of the host's own code, whatever it returns. */
export const runHandler = (
  path: string,
  handler: StaticTool["handler"],
  args: unknown,
  context: ToolContext
): Effect.Effect<unknown, HandlerError> =>
  Effect.onInterrupt(
    Effect.suspend(() => {
      try {
        return settle(path, handler(args as never, context))
      } catch (error) {
        return Effect.fail(handlerError(path, error))
      }
    }),
    () =>
      Effect.sync(() => {
        if (context instanceof CallContext) context.abort()
      })
  )

const settle = (path: string, outcome: unknown): Effect.Effect<unknown, HandlerError> => {
  if (Effect.isEffect(outcome)) {
    return Effect.catchCause(outcome as Effect.Effect<unknown, unknown>, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause as Cause.Cause<never>)
        : Effect.fail(handlerError(path, Cause.squash(cause)))
    )
  }
  if (!Predicate.isPromiseLike(outcome)) return Effect.succeed(outcome)
  return Effect.callback<unknown, HandlerError>((resume) => {
    outcome.then(
      (value) => resume(settle(path, value)),
      (error: unknown) => resume(Effect.fail(handlerError(path, error)))
    )
  })
}

type HandlerError = ToolFailed | OutcomeUnknown

/** What a handler threw or failed with, in the tool author's own words and never with a stack. */
export const handlerError = (path: string, error: unknown): HandlerError => {
  if (error instanceof ToolFailed || error instanceof OutcomeUnknown) return at(error, path)
  const message = shorten(errorMessage(error), maxErrorMessageLength)
  return isBrokenRequest(error) ? new OutcomeUnknown({ path, message }) : new ToolFailed({ path, message })
}

const at = (error: HandlerError, path: string): HandlerError => {
  if (error.path === path) return error
  const { message } = error
  return error._tag === "ToolFailed"
    ? new ToolFailed({ ...error, message, path })
    : new OutcomeUnknown({ message, path })
}

const errorMessage = (error: unknown): string => {
  if (typeof error === "string" && error.trim() !== "") return error
  if (Predicate.isObject(error)) {
    if (typeof error["message"] === "string" && error["message"] !== "") return error["message"]
    if (typeof error["_tag"] === "string") return error["_tag"]
    if (error instanceof Error) return error.name
  }
  const copied = copyJson(error)
  const shown = copied.ok ? previewJson(copied.value, maxErrorMessageLength) : typeof error
  return `failed with a value that is not an error: ${shown}`
}

const inputInvalid = (path: string, issues: ReadonlyArray<FieldIssue>): ToolInputInvalid =>
  new ToolInputInvalid({
    path,
    issues,
    message: `${path} cannot be called with these arguments: ${issues
      .map((issue) => `${issue.field === "" ? "the arguments" : issue.field}: ${issue.message}`)
      .join("; ")}`
  })

const askApproval = (context: CallContext): Effect.Effect<void, ElicitationDeclined> => {
  const args = previewJson(context.args, maxArgumentsInMessage)
  return Effect.flatMap(
    context.elicit({ kind: "approval", message: `Allow ${context.path} with ${args}?` }),
    (response) => {
      switch (response.action) {
        case "accept":
          return Effect.void
        case "decline":
          return Effect.fail(notApproved(context, "decline", "the person declined"))
        default:
          return Effect.fail(
            notApproved(
              context,
              "cancel",
              context.canAsk ? "the question was not answered" : "nobody can be asked here"
            )
          )
      }
    }
  )
}

const notApproved = (context: CallContext, action: "decline" | "cancel", why: string) =>
  new ElicitationDeclined({
    action,
    toolPath: context.path,
    message: `${context.path} needs approval and did not run: ${why}`
  })

class CallContext implements ToolContext {
  readonly path: string
  /** The arguments as a person is shown them. */
  readonly args: unknown
  readonly idempotencyKey: string | undefined
  readonly #onElicitation: InvokeOptions["onElicitation"]
  #controller: AbortController | undefined

  constructor(path: string, args: unknown, options: InvokeOptions | undefined) {
    this.path = path
    this.args = args
    this.idempotencyKey = options?.idempotencyKey
    this.#onElicitation = options?.onElicitation
  }

  get canAsk(): boolean {
    return this.#onElicitation !== undefined
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  abort(): void {
    this.#controller?.abort()
  }

  /** The question names the tool and its arguments whatever the tool says about them. */
  readonly elicit = (request: ElicitationRequest): Effect.Effect<ElicitationResponse> =>
    Effect.suspend(() => {
      const onElicitation = this.#onElicitation
      if (onElicitation === undefined) return Effect.succeed<ElicitationResponse>({ action: "cancel" })
      const { requestedSchema, ...rest } = request
      const schema = requestedSchema === undefined ? undefined : copyJson(requestedSchema)
      return inSlices(copyJsonSteps(this.args)).pipe(
        Effect.flatMap((shown) =>
          onElicitation({
            ...rest,
            message: cleanText(request.message, maxQuestionLength),
            toolPath: this.path,
            args: shown.ok ? shown.value : undefined,
            ...(schema?.ok === true ? { requestedSchema: cleanSchema(schema.value) } : {})
          })
        ),
        Effect.map((response) => withFormDefaults(request, response))
      )
    })
}
