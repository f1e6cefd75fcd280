/**
 * What a source says while it is opened: a server that is downloaded first may take minutes.
 *
 * A host that shows progress provides it around `executor.sources.add` and `refresh`. It hears of the opening that its own call began.
 */
import { Context } from "effect"

/** Hears a line of a source. The line is clean and holds no known secret. */
export const SourceProgress = Context.Reference<(namespace: string, line: string) => void>(
  "@executor/sdk/SourceProgress",
  { defaultValue: () => () => undefined }
)
