/**
 * Who may talk to the server at all, judged by the `Host` and `Origin` of a request before anything else is looked at.
 *
 * A web page that a person happens to visit can send requests to any port of their machine. The browser then says where the
 * page is from (`Origin`): only pages of the server itself, and of configured origins, get in. A page can also have its own name
 * resolve to 127.0.0.1 and so become "the same origin"; but then its requests carry that name (`Host`), and only names that
 * the server knows as its own get in. Programs send no `Origin`.
 */
import { ForbiddenProblem } from "@executor/api"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Names that mean this machine. */
const loopbackNames = ["localhost", "127.0.0.1", "[::1]"]

/** Addresses to listen on that are names of no machine. */
const anyAddress = new Set(["0.0.0.0", "::", "[::]"])

/** How long a browser may keep the answer to a preflight, in seconds. */
const preflightMaxAge = 600

/** Whether only this machine can reach a server that listens on this address. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host)

/** The judgement of one request. */
export type Verdict =
  | { readonly _tag: "Refused"; readonly problem: ForbiddenProblem }
  | { readonly _tag: "Answered"; readonly response: HttpServerResponse.HttpServerResponse }
  | { readonly _tag: "Passed"; readonly headers: { readonly [name: string]: string } | undefined }

const passed: Verdict = { _tag: "Passed", headers: undefined }

const refused = (detail: string): Verdict => ({ _tag: "Refused", problem: new ForbiddenProblem({ detail }) })

/** `[::1]:80` and `localhost:80` without the port, in lower case. */
const nameOf = (host: string): string => host.replace(/:\d*$/, "").toLowerCase()

const bracketed = (host: string): string => (host.includes(":") && !host.startsWith("[") ? `[${host}]` : host)

/** What the gate goes by. */
export interface GateOptions {
  /** The address that the server listens on; a name of its own unless it stands for all addresses. */
  readonly host: string
  /** More names of the server, without a port. */
  readonly allowedHosts: ReadonlyArray<string>
  /** Origins of pages that may call it: `https://app.example.com`. */
  readonly allowedOrigins: ReadonlyArray<string>
}

/** Makes the gate. It costs two map lookups a request. */
export const makeGate = (options: GateOptions): ((request: HttpServerRequest.HttpServerRequest) => Verdict) => {
  const own = anyAddress.has(options.host) ? [] : [bracketed(options.host)]
  const hosts = new Set([...loopbackNames, ...own, ...options.allowedHosts].map((_) => _.toLowerCase()))
  const origins = new Set(options.allowedOrigins.map((_) => _.toLowerCase().replace(/\/$/, "")))

  return (request) => {
    const { host, origin } = request.headers
    if (host === undefined || !hosts.has(nameOf(host))) {
      return refused(
        host === undefined
          ? "The request has no Host header."
          : "The Host header names a server that this one is not. If it should be reached by this name, add it to the allowed hosts."
      )
    }
    if (origin === undefined) return passed
    const lower = origin.toLowerCase()
    // A page of this server: its origin is the very host that the request went to.
    if (lower === `http://${host.toLowerCase()}` || lower === `https://${host.toLowerCase()}`) return passed
    if (!origins.has(lower)) {
      return refused(
        "The request comes from a web page of another origin. If that page should be able to call, add its origin to the allowed origins."
      )
    }
    const headers = { "access-control-allow-origin": origin, vary: "origin" }
    if (request.method !== "OPTIONS") return { _tag: "Passed", headers }
    return {
      _tag: "Answered",
      response: HttpServerResponse.empty({
        status: 204,
        headers: {
          ...headers,
          "access-control-allow-methods": "GET, POST, DELETE",
          "access-control-allow-headers":
            "authorization, content-type, x-executor-trigger, x-executor-client, x-executor-user, traceparent",
          "access-control-max-age": String(preflightMaxAge)
        }
      })
    }
  }
}
