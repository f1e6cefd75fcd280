import {
  CodeExecutor,
  type ExecuteOptions,
  type ExecuteResult,
  Limits,
  type SandboxToolInvoker,
  sleepPath
} from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { Effect, type Layer } from "effect"

/** A few tools: `echo` gives back its input, `fail` rejects, `never` stays open. */
export const tools: SandboxToolInvoker = {
  invoke: ({ args, path }) => {
    switch (path) {
      case "echo":
        return Effect.succeed(args)
      case "later":
        return Effect.as(Effect.yieldNow, args)
      case "fail":
        return Effect.fail({ name: "NotFound", message: "There is no such thing", data: { id: 7 } })
      case "die":
        return Effect.die(new Error("secret of the host"))
      case "never":
        return Effect.never
      case sleepPath:
        return Effect.sleep((args as { readonly ms: number }).ms)
      default:
        return Effect.fail({ name: "UnknownTool", message: `There is no tool ${path}` })
    }
  }
}

export const layer: Layer.Layer<CodeExecutor> = QuickJsExecutor.layer({ workers: 2 })

/** Runs a program against {@link tools}, or others. */
export const run = (
  code: string,
  options?: ExecuteOptions & { readonly invoker?: SandboxToolInvoker }
): Effect.Effect<ExecuteResult, never, CodeExecutor> =>
  Effect.flatMap(CodeExecutor, (executor) => Effect.orDie(executor.execute(code, options?.invoker ?? tools, options)))

/** The value a program returns; dies with the error of one that fails. */
export const value = (code: string, options?: Parameters<typeof run>[1]): Effect.Effect<unknown, never, CodeExecutor> =>
  Effect.flatMap(run(code, options), (result) =>
    result.error === undefined ? Effect.succeed(result.result) : Effect.die(new Error(JSON.stringify(result.error)))
  )

/** The error a program ends with. */
export const error = (code: string, options?: Parameters<typeof run>[1]) =>
  Effect.flatMap(run(code, options), (result) =>
    result.error === undefined
      ? Effect.die(new Error(`It completed with ${result.resultJson}`))
      : Effect.succeed(result.error)
  )

export const limited = (changes: Partial<typeof Limits.Type>): ExecuteOptions => ({ limits: Limits.with(changes) })
