/**
 * What was submitted, checked whole before anything runs or is recorded.
 */
import { LimitExceeded, Limits } from "@executor/kernel"
import { type Execution, ExecutionTrigger, maxTriggerMetaBytes } from "@executor/sdk"
import { Cause, Effect, Exit, Option, Schema } from "effect"
import * as ApprovalPatterns from "./ApprovalPatterns.ts"
import { type ExecutionOptions, ExecutionRefused, maxIdempotencyKeyLength } from "./ExecutionEngine.ts"
import { describeProblems, problemsOf } from "./SchemaProblems.ts"

/** A submission that may run. */
export interface Submission {
  readonly code: string
  readonly trigger: ExecutionTrigger
  readonly triggerMetaJson: string | null
  readonly limits: Limits
  readonly granted: ApprovalPatterns.ApprovalMatcher
  readonly idempotencyKey: string | undefined
  /** What it changes, for its row: with that and the code it can be parsed again. `null` where it changes nothing. */
  readonly optionsJson: string | null
}

/** Checks a submission. `defaults` are the engine's limits, which the submission may change. */
export const parse = (
  code: string,
  options: ExecutionOptions,
  defaults: Limits
): Effect.Effect<Submission, ExecutionRefused> =>
  Effect.suspend(() => {
    const limits = parseLimits(options.limits, defaults)
    if (typeof limits === "string") return refuse("limits", limits)
    if (typeof code !== "string") return refuse("code", "The code must be a string of TypeScript.")
    if (code.trim() === "") return refuse("code", "The code is empty: send TypeScript, such as `return 1 + 1`.")
    if (isLonger(code, limits.sourceBytes)) {
      return refuse("code", LimitExceeded.of("sourceBytes", limits.sourceBytes).message)
    }
    if (!code.isWellFormed()) {
      return refuse(
        "code",
        "The code has half of a surrogate pair: it is no Unicode text. Write such a character as `\\uD83D`."
      )
    }
    const trigger = options.trigger === undefined ? Exit.succeed(bySdk) : decodeTrigger(options.trigger)
    if (trigger._tag === "Failure") return refuse("trigger", `The trigger is wrong: ${problemOf(trigger)}`)
    const { meta } = trigger.value
    const triggerMetaJson = meta === undefined ? null : JSON.stringify(meta)
    if (triggerMetaJson !== null && isLonger(triggerMetaJson, maxTriggerMetaBytes)) {
      return refuse(
        "trigger",
        `The trigger's \`meta\` has more than ${maxTriggerMetaBytes} bytes as JSON: it is a label, keep only what identifies the caller.`
      )
    }
    const patterns = ApprovalPatterns.parse(options.approve ?? [])
    if ("problem" in patterns) return refuse("approve", `\`approve\` is wrong: ${patterns.problem}.`)
    const { approve, idempotencyKey } = options
    if (idempotencyKey !== undefined && !isKey(idempotencyKey)) {
      return refuse(
        "idempotencyKey",
        `An idempotency key is a Unicode text of 1 to ${maxIdempotencyKeyLength} characters, such as a UUID.`
      )
    }
    const changes = { limits: options.limits, approve }
    return Effect.succeed({
      code,
      trigger: trigger.value,
      triggerMetaJson,
      limits,
      granted: patterns.matches,
      idempotencyKey,
      optionsJson: options.limits === undefined && approve === undefined ? null : JSON.stringify(changes)
    })
  })

/** The submission of a recorded execution. */
export const restore = (
  { code, triggerKind, triggerMetaJson }: Execution,
  optionsJson: string | null,
  defaults: Limits
): Effect.Effect<Submission, ExecutionRefused> => {
  const changes = optionsJson === null ? {} : (JSON.parse(optionsJson) as Pick<ExecutionOptions, "limits" | "approve">)
  const meta =
    triggerMetaJson === null ? {} : { meta: JSON.parse(triggerMetaJson) as NonNullable<ExecutionTrigger["meta"]> }
  return parse(code, { ...changes, trigger: { kind: triggerKind ?? "sdk", ...meta } }, defaults)
}

const isKey = (key: unknown): boolean =>
  typeof key === "string" && key.trim() !== "" && key.length <= maxIdempotencyKeyLength && key.isWellFormed()

const bySdk: ExecutionTrigger = { kind: "sdk" }

const decodeTrigger = Schema.decodeUnknownExit(ExecutionTrigger, { onExcessProperty: "error" })

const decodeLimits = Schema.decodeUnknownExit(Limits)

const parseLimits = (changes: ExecutionOptions["limits"], defaults: Limits): Limits | string => {
  if (changes === undefined) return defaults
  const unknown = Object.keys(changes).find((name) => !(name in Limits.fields))
  if (unknown !== undefined) {
    return `There is no limit \`${unknown}\`: the limits are ${Object.keys(Limits.fields).join(", ")}.`
  }
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
  const decoded = decodeLimits({ ...defaults, ...given })
  return decoded._tag === "Success" ? decoded.value : `A limit is wrong: ${problemOf(decoded)}`
}

const refuse = (field: string, message: string) => Effect.fail(new ExecutionRefused({ field, message }))

const problemOf = (failure: Exit.Failure<unknown, Schema.SchemaError>): string =>
  Option.match(Cause.findErrorOption(failure.cause), {
    onNone: () => "it could not be read",
    onSome: (error) => describeProblems(problemsOf(error))
  })

/** Whether the text has more bytes of UTF-8, measured only where its length leaves it open. */
const isLonger = (text: string, bytes: number): boolean =>
  text.length > bytes || (text.length * 3 > bytes && new TextEncoder().encode(text).length > bytes)
