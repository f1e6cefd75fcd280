/**
 * What was submitted, checked whole before anything runs or is recorded.
 */
import { LimitExceeded, Limits } from "@executor/kernel"
import { ExecutionTrigger, maxTriggerMetaBytes } from "@executor/sdk"
import { Cause, Effect, Exit, Option, Schema } from "effect"
import * as ApprovalPatterns from "./ApprovalPatterns.ts"
import { type ExecutionOptions, ExecutionRefused } from "./ExecutionEngine.ts"
import { describeProblems, problemsOf } from "./SchemaProblems.ts"

/** A submission that may run. */
export interface Submission {
  readonly code: string
  readonly trigger: ExecutionTrigger
  readonly triggerMetaJson: string | null
  readonly limits: Limits
  readonly granted: ApprovalPatterns.ApprovalMatcher
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
    return Effect.succeed({ code, trigger: trigger.value, triggerMetaJson, limits, granted: patterns.matches })
  })

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
