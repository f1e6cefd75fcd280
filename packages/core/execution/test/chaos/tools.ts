/**
 * Tools that count their effects in a file of their own, which survives whatever happens to the process. What they give depends on their
 * input alone.
 */
import { OutcomeUnknown, type StaticTool, tool } from "@executor/sdk"
import { Effect, Schema } from "effect"
import { appendFileSync, existsSync, readFileSync } from "node:fs"

/** One effect: the call that made it, and what it gave. */
export interface Effects {
  readonly key: string
  readonly tool: string
  readonly resultJson: string
}

/** The effects so far, in order. */
export const readEffects = (file: string): ReadonlyArray<Effects> =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Effects)
    : []

/** Marks a call that arrived and has no effect yet. */
export const attempt = "attempt"

const Input = Schema.Struct({ n: Schema.Number })

/** The tools; `tick` is called right before and right after each effect. */
export const makeTools = (file: string, tick: () => void): ReadonlyArray<StaticTool> => {
  const effect = (name: string, n: number, key: string | undefined) => {
    const result = { [name]: n }
    tick()
    appendFileSync(file, `${JSON.stringify({ key, tool: name, resultJson: JSON.stringify(result) })}\n`)
    tick()
    return result
  }
  const made = (name: string, annotations: StaticTool["annotations"], requiresApproval = false) =>
    tool({
      name,
      description: name,
      annotations,
      requiresApproval,
      input: Input,
      handler: ({ n }, { idempotencyKey }) => effect(name, n, idempotencyKey)
    })
  return [
    made("write", {}),
    made("guarded", {}, true),
    made("read", { readOnly: true }),
    made("put", { idempotent: true }),
    tool({
      name: "keyed",
      description: "Does its effect once for each key.",
      annotations: { acceptsIdempotencyKey: true },
      input: Input,
      handler: ({ n }, { idempotencyKey }) =>
        readEffects(file).some(({ key }) => key === idempotencyKey) ? { keyed: n } : effect("keyed", n, idempotencyKey)
    }),
    tool({
      name: "lost",
      description: "Loses its first answer: after its effect where the number is odd, before it where it is even.",
      input: Input,
      handler: ({ n }, { idempotencyKey }) => {
        if (readEffects(file).some(({ key, tool }) => key === idempotencyKey && tool === attempt)) {
          return effect("lost", n, idempotencyKey)
        }
        appendFileSync(file, `${JSON.stringify({ key: idempotencyKey, tool: attempt })}\n`)
        if (n % 2 === 1) effect("lost", n, idempotencyKey)
        return Effect.fail(new OutcomeUnknown({ path: "t.lost", message: "its answer was lost." }))
      }
    }),
    tool({
      name: "flaky",
      description: "Fails where it is told to.",
      input: Schema.Struct({ n: Schema.Number, fails: Schema.Boolean }),
      handler: ({ fails, n }, { idempotencyKey }) =>
        fails ? Effect.fail(new Error(`flaky ${n}`)) : effect("flaky", n, idempotencyKey)
    }),
    tool({
      name: "slow",
      description: "Loses every race: it never ends.",
      annotations: { readOnly: true },
      input: Input,
      handler: () => Effect.never
    })
  ]
}
