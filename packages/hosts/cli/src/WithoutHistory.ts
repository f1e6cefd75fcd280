/**
 * Executing where the history cannot be kept: on a read-only folder, on a full disk, with a database server that is away.
 *
 * Bookkeeping never harms the work, so whatever executes code goes on in memory then, and says once on stderr what could not be opened,
 * why, and what that means. Commands about the history itself fail instead: they use `ensure` of `DataFolder`, and do not offer this.
 */
import { Effect } from "effect"
import type { MemoryReport } from "./Composition.ts"
import { ensure } from "./DataFolder.ts"
import type { OnFault } from "./HistoryFaults.ts"
import { notice, Output } from "./Output.ts"

/** A data folder that may be of no use. */
export interface Prepared {
  /** The folder to read settings from, where it is there. */
  readonly settings: string | undefined
  /** Tells the person that the history is not kept. */
  readonly withoutHistory: (report: MemoryReport) => Effect.Effect<void>
  /** Tells the person that the history is not kept any more, and that it is again. */
  readonly onFault: OnFault
}

/** Makes the folder, if that is possible. `subject` is what is not kept, as in "This execution is". */
export const prepare = Effect.fnUntraced(function* (
  dataFolder: string,
  subject: string
): Effect.fn.Return<Prepared, never, Output> {
  const output = yield* Output
  const problem = yield* Effect.match(ensure(dataFolder), {
    onSuccess: () => undefined,
    onFailure: ({ message }) => message
  })
  const say = (text: string) => notice(text).pipe(Effect.provideService(Output, output))
  return {
    settings: problem === undefined ? dataFolder : undefined,
    withoutHistory: ({ hasSources, why }) =>
      say(
        // What is wrong with the folder is also what is wrong with the file in it.
        `warning: ${problem ?? why}\n${subject} not kept: it works in memory, without the history, and ${sourcesText(hasSources)}. ` +
          "Look for more with: executor doctor"
      ),
    onFault: (fault) =>
      say(
        fault === undefined
          ? "The history is kept again. What was executed meanwhile may be missing in it, or not whole."
          : `warning: ${fault.message}\n${subject} not kept now: it goes on without the history, and looks each second whether that can be kept again.`
      )
  }
})

const sourcesText = (hasSources: boolean): string =>
  hasSources
    ? "with the sources that could be read from the database"
    : "without the sources in the database, so their tools cannot be called"
