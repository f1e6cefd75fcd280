/**
 * The client that is derived from the contract.
 *
 * Its methods are effects; they fail with the contract's problems (`Effect.catchTag("ExecutionNotFound", ...)`), with an `HttpClientError`
 * when the server cannot be reached or answers with what the contract does not know, or with a `SchemaError` when the
 * server speaks another version of it.
 *
 * It runs on any `HttpClient`: `FetchHttpClient.layer` of `effect/http` in a browser. An execution may compute for longer than the five
 * minutes that Node's `fetch` waits for an answer, so in Node use one of `NodeHttpClient` of `@effect/platform-node`.
 */
import type { TriggerKind } from "@executor/sdk"
import { type Effect, flow } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import { ExecutorApi } from "./ExecutorApi.ts"
import type { ClientName } from "./Parameters.ts"

/** How to reach a server, and what to say about oneself. */
export interface ClientOptions {
  /** Such as `http://127.0.0.1:4000`. */
  readonly baseUrl: string | URL
  /** The server's bearer token. */
  readonly token?: string | undefined
  /** The trigger kind of what this client starts; the server's `http` if absent. */
  readonly trigger?: TriggerKind | undefined
  /** The calling program, recorded with the trigger. */
  readonly client?: ClientName | undefined
  /** The person on whose behalf it calls, recorded with the trigger and with answers; at most 128 printable ASCII characters. */
  readonly user?: string | undefined
}

/** The methods of the API, by group: `client.executions.create({ payload: { code } })`. */
export type ExecutorClient = HttpApiClient.ForApi<typeof ExecutorApi>

/** Makes a client. Nothing is sent before its first call. */
export const makeClient = (options: ClientOptions): Effect.Effect<ExecutorClient, never, HttpClient.HttpClient> => {
  const { client, token, trigger, user } = options
  const headers = {
    ...(trigger === undefined ? {} : { "x-executor-trigger": trigger }),
    ...(client === undefined ? {} : { "x-executor-client": `${client.name}/${client.version}` }),
    ...(user === undefined ? {} : { "x-executor-user": user })
  }
  return HttpApiClient.make(ExecutorApi, {
    baseUrl: options.baseUrl,
    transformClient: HttpClient.mapRequest(
      flow(HttpClientRequest.setHeaders(headers), (request) =>
        token === undefined ? request : HttpClientRequest.bearerToken(request, token)
      )
    )
  })
}
