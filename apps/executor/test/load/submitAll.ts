/**
 * Sends a load from a process of its own, and follows it.
 */
import { Effect } from "effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Load, Told } from "./submission.ts"

const file = fileURLToPath(new URL("./generator.ts", import.meta.url))

type Done = Extract<Told, { readonly _tag: "Done" }>
type Progress = Extract<Told, { readonly _tag: "Progress" }>

/** Sends all at once and waits for every answer; `onProgress` hears how many there are. */
export const submitAll = (load: Load, onProgress: (progress: Progress) => void) =>
  Effect.scoped(
    Effect.gen(function* () {
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => fork(file, { execArgv: [] })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      return yield* Effect.callback<Done>((resume) => {
        child.on("message", (told: Told) => {
          if (told._tag === "Done") resume(Effect.succeed(told))
          else onProgress(told)
        })
        child.once("exit", (code, signal) =>
          resume(Effect.die(new Error(`What sends the load ended with ${code ?? signal}.`)))
        )
        child.send(load)
      })
    })
  )
