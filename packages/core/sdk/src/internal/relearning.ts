/**
 * Sources whose tools change while they are open: their tools are learned anew at once, in the background.
 *
 * A call of a tool that is not known waits for that, since a tool that another one has just made is called right afterwards.
 */
import { Effect, Fiber, FiberMap, Option, type Scope } from "effect"

/** What learns the tools of sources anew. */
export interface Relearning {
  /** The tools of this source have changed. If they are being learned, that begins again. */
  readonly changed: (namespace: string) => void
  /** Waits until the tools of this source are not being learned. */
  readonly settled: (namespace: string) => Effect.Effect<void>
}

/** Makes it. Learning that is under way ends with the scope. */
export const makeRelearning = Effect.fnUntraced(function* (
  refresh: (namespace: string) => Effect.Effect<unknown, unknown>
): Effect.fn.Return<Relearning, never, Scope.Scope> {
  const fibers = yield* FiberMap.make<string>()
  const run = yield* FiberMap.runtime(fibers)<never>()
  return {
    changed: (namespace) => {
      run(
        namespace,
        refresh(namespace).pipe(
          Effect.catch((error) =>
            Effect.logWarning(`The tools of ${namespace} have changed, and cannot be learned anew.`, error)
          )
        )
      )
    },
    settled: (namespace) =>
      Effect.flatMap(FiberMap.get(fibers, namespace), (fiber) =>
        Option.isSome(fiber) ? Effect.asVoid(Fiber.await(fiber.value)) : Effect.void
      )
  }
})
