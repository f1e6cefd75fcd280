/**
 * Implements the contract's `RequestValidation`: looks at the body before it is parsed, and turns what does not fit the endpoint
 * into a problem that names each thing that is wrong.
 */
import {
  BadRequestProblem,
  PayloadTooLargeProblem,
  RequestValidation,
  splitList,
  UnsupportedMediaTypeProblem
} from "@executor/api"
import { holdsExact, mayHoldExact, readJson } from "@executor/kernel"
import { Effect, Layer, type Schema, SchemaIssue } from "effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpMethod from "effect/http/HttpMethod"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import { isUtf8 } from "node:buffer"

/**
 * The deepest nesting of a JSON body. What is checked and stored recursively must not run out of stack, and nobody writes
 * this deep by hand.
 */
export const maxBodyDepth = 128

/** The nesting of brackets outside of strings is over the limit. Anything else that is wrong is the parser's to find. */
const isTooDeep = (text: string): boolean => {
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x22: // a string: on to its closing quote
        do {
          index = text.indexOf('"', index + 1)
          if (index < 0) return false
        } while (isEscaped(text, index))
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > maxBodyDepth) return true
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
    }
  }
  return false
}

const isEscaped = (text: string, index: number): boolean => {
  let backslashes = 0
  while (text.charCodeAt(index - 1 - backslashes) === 0x5c) backslashes++
  return backslashes % 2 === 1
}

const badBody = (message: string) =>
  new BadRequestProblem({ detail: `The body is not understood: ${message}`, errors: [{ path: ["payload"], message }] })

// Reading the body here is not reading it twice: the request keeps it.
const checkBody = (limitBytes: number) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const encoding = request.headers["content-encoding"]
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      return yield* new UnsupportedMediaTypeProblem({
        detail: `The body is encoded as ${encoding}; expected it plain.`
      })
    }
    const bytes = yield* Effect.mapError(request.arrayBuffer, ({ reason }) =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
        ? new PayloadTooLargeProblem({ detail: `The body is larger than ${limitBytes} bytes.`, limitBytes })
        : badBody("it ended before its announced end")
    )
    if (!isUtf8(new Uint8Array(bytes))) return yield* badBody("expected UTF-8")
    const text = yield* Effect.orDie(request.text)
    if (isTooDeep(text)) return yield* badBody(`expected at most ${maxBodyDepth} levels of nesting`)
    if (holdsWideNumber(text)) {
      return yield* badBody("it has a number of more digits than a number can hold; send it as text, or round it")
    }
  })

/** Decoding the body would change such a number without a word. Text that is no JSON is left to the decoding, which says why. */
const holdsWideNumber = (text: string): boolean => {
  if (!mayHoldExact(text)) return false
  try {
    return holdsExact(readJson(text))
  } catch {
    return false
  }
}

const notJson = "Expected a valid JSON body"

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const parts: Record<HttpApiError.HttpApiSchemaError["kind"], { readonly slot: string; readonly noun: string }> = {
  Params: { slot: "params", noun: "path parameter" },
  Query: { slot: "query", noun: "query parameter" },
  Headers: { slot: "headers", noun: "header" },
  Payload: { slot: "payload", noun: "body field" },
  Body: { slot: "body", noun: "response field" },
  ResponseHeaders: { slot: "headers", noun: "response header" }
}

const keysOf = (schema: Schema.Top | undefined): ReadonlyArray<string> =>
  schema !== undefined && schema.ast._tag === "Objects"
    ? schema.ast.propertySignatures.map((property) => String(property.name))
    : []

/** How much of a refused value is repeated to the caller. */
const maxEchoLength = 64

const unexpected = "Expected no excess property"

type Query = HttpServerRequest.ParsedSearchParams["Service"]

/** The text that was given for a query parameter, or for one item of its list. */
const given = (query: Query, [name, index]: ReadonlyArray<string | number>): string => {
  const value = query[name as string] ?? ""
  const text = typeof index === "number" ? [value].flat().flatMap(splitList)[index] : [value].flat().join(",")
  return JSON.stringify(text === undefined ? "" : text.slice(0, maxEchoLength))
}

const toProblem = (
  error: HttpApiError.HttpApiSchemaError,
  endpoint: HttpApiEndpoint.Top,
  query: Query
): BadRequestProblem => {
  const { noun, slot } = parts[error.kind]
  const schema = error.kind === "Query" ? endpoint.query : endpoint.payload.values().next().value?.schemas[0]
  const allowed = keysOf(schema).join(", ")

  const explain = (message: string, path: ReadonlyArray<string | number>): string => {
    if (message === unexpected) return path.length === 1 ? `Expected only ${allowed}` : "Expected no such field"
    if (error.kind === "Query") {
      const [name] = path
      if (name !== undefined && query[name] === undefined) return message
      return path.length === 1 && Array.isArray(query[name!])
        ? "Expected it once"
        : `${message}, got ${given(query, path)}`
    }
    return path.length === 0 && message !== notJson ? `Expected a JSON object with ${allowed}` : message
  }

  const issues = formatIssues(error.cause.issue).issues.map((issue) => {
    const path = (issue.path ?? []).map((segment) => {
      const key = typeof segment === "object" ? segment.key : segment
      return typeof key === "number" ? key : String(key)
    })
    return { path, message: explain(issue.message, path) }
  })
  const sentences = issues.map(({ message, path }) =>
    path.length === 0
      ? `The body: ${message}.`
      : `The ${noun} "${error.kind === "Query" ? path[0] : path.join(".")}": ${message}.`
  )
  return new BadRequestProblem({
    detail: sentences.join(" "),
    errors: issues.map(({ message, path }) => ({ path: [slot, ...path], message }))
  })
}

/** Refuses a query where the endpoint has none: whoever sent it expects it to do something. */
const checkNoQuery = Effect.flatMap(HttpServerRequest.ParsedSearchParams, (query) => {
  const [name] = Object.keys(query)
  if (name === undefined) return Effect.void
  const message = "This endpoint takes no query"
  return Effect.fail(
    new BadRequestProblem({
      detail: `The query parameter ${JSON.stringify(name.slice(0, maxEchoLength))}: ${message}.`,
      errors: [{ path: ["query", name], message }]
    })
  )
})

/** The implementation. Bodies above `limitBytes` are refused; the limit itself is the server's `MaxBodySize`. */
export const layerRequestValidation = (limitBytes: number): Layer.Layer<RequestValidation> => {
  const check = checkBody(limitBytes)
  return Layer.succeed(RequestValidation, (handler, { endpoint }) => {
    const checked =
      HttpMethod.hasBody(endpoint.method) && endpoint.payload.size > 0
        ? Effect.andThen(Effect.flatMap(HttpServerRequest.HttpServerRequest, check), handler)
        : handler
    const strict = endpoint.query === undefined ? Effect.andThen(checkNoQuery, checked) : checked
    return strict.pipe(
      Effect.catch((error) =>
        HttpApiError.HttpApiSchemaError.is(error) && error.kind !== "Body" && error.kind !== "ResponseHeaders"
          ? Effect.flatMap(HttpServerRequest.ParsedSearchParams, (query) =>
              Effect.fail(toProblem(error, endpoint, query))
            )
          : Effect.fail(error)
      )
    )
  })
}
