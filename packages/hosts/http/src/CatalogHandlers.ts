/**
 * The endpoints of tools and sources over the executor's catalog.
 */
import { ExecutorApi, ForbiddenProblem } from "@executor/api"
import type { Executor } from "@executor/sdk"
import { Effect } from "effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { asProblems } from "./DomainProblems.ts"

/** The handlers of the group `tools`. */
export const layerToolHandlers = ({ tools }: Executor) =>
  HttpApiBuilder.group(ExecutorApi, "tools", (handlers) =>
    handlers.handleAll({
      list: ({ query }) => asProblems(tools.list(query)),
      search: ({ query }) => asProblems(tools.search(query)),
      get: ({ params }) => asProblems(tools.schema(params.path))
    })
  )

const tokenWanted = new ForbiddenProblem({
  detail:
    "Adding a source can start a process on the server's machine, so it needs the bearer token, and this server runs without one. " +
    "Serve with a token, or add the source in the terminal on the server's machine."
})

/** The handlers of the group `sources`. Without a token none can be added: who reached the port could run any command. */
export const layerSourceHandlers = ({ sources }: Executor, options: { readonly hasToken: boolean }) =>
  HttpApiBuilder.group(ExecutorApi, "sources", (handlers) =>
    handlers.handleAll({
      list: () => asProblems(sources.list()),
      add: ({ payload }) => (options.hasToken ? asProblems(sources.add(payload)) : Effect.fail(tokenWanted)),
      remove: ({ params }) => asProblems(sources.remove(params.namespace)),
      refresh: ({ params }) => asProblems(sources.refresh(params.namespace))
    })
  )
