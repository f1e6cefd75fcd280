/**
 * What a server says while its database takes no writes: to the person at once, to its health, and to `doctor` through the log.
 *
 * `doctor` runs in another process, and cannot see that a server still has a file open which is gone from its path. So the server logs
 * each change under its own name, and `doctor` asks the log for servers that live and keep no history.
 */
import type { DBAdapter, DBError } from "@executor/sdk"
import { Effect, type Scope, Stream } from "effect"
import { isGone } from "./Owner.ts"

/** Told when a fault begins, or is another, and when it is over. */
export type OnFault = (fault: DBError | undefined) => Effect.Effect<void>

/** Tells of the faults of a database until the scope closes. Gives the fault of the moment, if there is any. */
export const follow = Effect.fnUntraced(function* (
  { faults }: DBAdapter["Service"],
  options: { readonly owner: string; readonly onFault: OnFault }
): Effect.fn.Return<Effect.Effect<DBError | undefined>, never, Scope.Scope> {
  let fault: DBError | undefined
  const heard = (found: DBError | undefined) =>
    Effect.suspend(() => {
      if (found === undefined && fault === undefined) return Effect.void
      fault = found
      const log =
        found === undefined ? Effect.logInfo(again(options.owner)) : Effect.logWarning(begun(options.owner, found))
      return Effect.andThen(options.onFault(found), log)
    })
  yield* Effect.addFinalizer(() => (fault === undefined ? Effect.void : Effect.logInfo(ended(options.owner))))
  if (faults !== undefined) yield* Effect.forkScoped(Stream.runForEach(faults, heard))
  return Effect.sync(() => fault)
})

const begun = (owner: string, { message, reason }: DBError): string =>
  `Process ${owner} keeps no history (${reason}): ${message}`
const again = (owner: string): string => `Process ${owner} keeps history again.`
const ended = (owner: string): string => `Process ${owner} ends without history.`

/** A process that lives and keeps no history. */
export interface FaultyProcess {
  readonly owner: string
  readonly reason: string
  readonly message: string
}

const entry = /Process (\S+) (?:keeps no history \((\w+)\): ((?:[^"\\\n]|\\.)*)|keeps history again|ends without)/g

/** The processes that a log tells of. */
export const inLog = (log: string): ReadonlyArray<FaultyProcess> => {
  const last = new Map<string, FaultyProcess | undefined>()
  for (const [, owner = "", reason, message = ""] of log.matchAll(entry)) {
    last.set(owner, reason === undefined ? undefined : { owner, reason, message: message.replaceAll(/\\(.)/g, "$1") })
  }
  return Array.from(last.values()).flatMap((process) =>
    process === undefined || isGone(process.owner) ? [] : [process]
  )
}
