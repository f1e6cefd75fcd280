import type { Executor } from "@executor/sdk"
import { Effect } from "effect"
import { add, approving, fixture, makeExecutor } from "./Support.ts"

/** The configuration of `fixtures/odd-server.ts`. */
export const odd = (options: { readonly initialize?: string; readonly lists?: ReadonlyArray<string> } = {}) =>
  fixture("odd-server", JSON.stringify(options))

/** An executor with such a server. */
export const opened = (options?: Parameters<typeof odd>[0]) =>
  Effect.tap(makeExecutor(), (executor) => add(executor, "odd", odd(options)))

/** Has the server print this as its answer. */
export const print = (executor: Executor, text: string, pad = 0, onStart = () => {}) =>
  executor.tools.invoke("odd.print", { text, pad }, { onElicitation: approving(), onStart })

/** A line with an answer of these fields. */
export const answer = (fields: string) => `{"jsonrpc":"2.0","id":$ID,${fields}}\n`
