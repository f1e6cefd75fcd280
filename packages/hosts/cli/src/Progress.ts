/**
 * One line on stderr that shows a person that long work goes on, and which tool it waits for. It is gone when the work ends.
 */
import { Effect, Ref, Stream } from "effect"
import type { Activity } from "./Backend.ts"
import { Output, styled } from "./Output.ts"
import { neutraliseLine, truncate } from "./Text.ts"
import { formatDuration } from "./Units.ts"

/** Work that ends sooner shows nothing: a line that flashes by is noise. */
const delay = "1 second"
const interval = "200 millis"

const clear = "\r\u001b[2K"

/** Shows progress while the effect runs, where stderr is a terminal. */
export const withProgress =
  (activity: Stream.Stream<Activity>) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Output> =>
    Effect.gen(function* () {
      const { stderr } = yield* Output
      if (!stderr.isTerminal) return yield* work
      const latest = yield* Ref.make<string | undefined>(undefined)
      const follow = Stream.runForEach(activity, ({ toolPath }) => Ref.set(latest, toolPath))
      const draw = Effect.gen(function* () {
        const started = performance.now()
        yield* Effect.sleep(delay)
        for (;;) {
          const tool = yield* Ref.get(latest)
          const what = tool === undefined ? "running" : `running, last called ${neutraliseLine(tool)}`
          const text = truncate(`${what} (${formatDuration(performance.now() - started)})`, (stderr.columns ?? 80) - 1)
          yield* stderr.write(`${clear}${styled(stderr, "dim", text)}`)
          yield* Effect.sleep(interval)
        }
      }).pipe(Effect.onInterrupt(() => stderr.write(clear)))
      const show = Effect.andThen(Effect.all([follow, draw], { concurrency: "unbounded" }), Effect.never)
      return yield* Effect.raceFirst(work, show)
    })
