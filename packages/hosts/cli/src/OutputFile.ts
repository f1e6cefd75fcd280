/**
 * A file that a command writes: there when it is whole, readable by its owner only.
 */
import { Effect, Stream } from "effect"
import { open, rename, rm } from "node:fs/promises"
import { CommandFailed, type Failure } from "./Failure.ts"

/** Writes a stream to a file in the place of one that is there, and gives its size. What is cut short leaves nothing. */
export const writeFile = Effect.fnUntraced(function* (
  file: string,
  bytes: Stream.Stream<Uint8Array, Failure>
): Effect.fn.Return<number, Failure> {
  const failed = (cause: unknown) =>
    new CommandFailed({
      message: `${file} cannot be written (${cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)}).`
    })
  const attempt = <A>(work: () => Promise<A>) => Effect.tryPromise({ try: work, catch: failed })
  const partial = `${file}.${process.pid}.part`
  const write = Effect.acquireUseRelease(
    attempt(() => open(partial, "w", 0o600)),
    (handle) =>
      Effect.gen(function* () {
        let size = 0
        yield* Stream.runForEach(bytes, (chunk) => {
          size += chunk.length
          return attempt(() => handle.writeFile(chunk))
        })
        yield* attempt(() => handle.sync())
        return size
      }),
    (handle) => Effect.promise(() => handle.close().catch(() => undefined))
  )
  return yield* write.pipe(
    Effect.tap(() => attempt(() => rename(partial, file))),
    Effect.onError(() => Effect.promise(() => rm(partial, { force: true })))
  )
})
