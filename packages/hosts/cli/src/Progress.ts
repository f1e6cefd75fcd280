/**
 * One line on stderr that shows a person that long work goes on, and what it waits for. It is gone when the work ends.
 */
import { SourceProgress } from "@executor/sdk"
import { Effect, Stream } from "effect"
import type { Activity } from "./Backend.ts"
import { Output, styled } from "./Output.ts"
import { neutraliseLine, truncate } from "./Text.ts"
import { formatDuration } from "./Units.ts"

/** Work that ends sooner shows nothing: a line that flashes by is noise. */
const delay = "1 second"
const interval = "200 millis"

const clear = "\r\u001b[2K"

/** Shows a line while the effect runs, where stderr is a terminal. */
const withLine =
  (line: () => string) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Output> =>
    Effect.gen(function* () {
      const { stderr } = yield* Output
      if (!stderr.isTerminal) return yield* work
      const draw = Effect.gen(function* () {
        const started = performance.now()
        yield* Effect.sleep(delay)
        for (;;) {
          const text = truncate(
            `${neutraliseLine(line())} (${formatDuration(performance.now() - started)})`,
            (stderr.columns ?? 80) - 1
          )
          yield* stderr.write(`${clear}${styled(stderr, "dim", text)}`)
          yield* Effect.sleep(interval)
        }
      }).pipe(Effect.onInterrupt(() => stderr.write(clear)))
      return yield* Effect.raceFirst(work, draw)
    })

/** Shows progress while the effect runs, where stderr is a terminal. */
export const withProgress =
  (activity: Stream.Stream<Activity>) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Output> =>
    Effect.suspend(() => {
      let latest: string | undefined
      const follow = Stream.runForEach(activity, ({ toolPath }) =>
        Effect.sync(() => {
          latest = toolPath
        })
      )
      const followed = Effect.raceFirst(work, Effect.andThen(follow, Effect.never))
      return withLine(() => (latest === undefined ? "running" : `running, last called ${latest}`))(followed)
    })

/** Shows what a source prints while it is opened, where stderr is a terminal: its server may be downloaded first. */
export const withOpening = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Output> =>
  Effect.suspend(() => {
    let latest = ""
    const heard = Effect.provideService(work, SourceProgress, (_, line) => {
      latest = line
    })
    return withLine(() => (latest === "" ? "starting" : `starting: ${latest}`))(heard)
  })
