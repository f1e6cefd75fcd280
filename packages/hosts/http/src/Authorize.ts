/**
 * Implements the contract's `Authorization`: the bearer token, compared in constant time.
 */
import { Authorization, UnauthorizedProblem } from "@executor/api"
import { Effect, Layer, Redacted } from "effect"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { createHash, timingSafeEqual } from "node:crypto"

// Digests have one length, so that the comparison says nothing about the token's.
const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

const challenge = (detail: string) =>
  Effect.map(
    HttpServerRespondable.toResponse(new UnauthorizedProblem({ detail })),
    HttpServerResponse.setHeader("www-authenticate", 'Bearer realm="executor"')
  )

/** Asks for a token, or for none when there is none. */
export const layerAuthorization = (token: Redacted.Redacted<string> | undefined): Layer.Layer<Authorization> => {
  if (token === undefined) return Layer.succeed(Authorization, { token: (handler) => handler })
  const expected = digest(Redacted.value(token))
  return Layer.succeed(Authorization, {
    token: (handler, { credential }) => {
      const given = Redacted.value(credential)
      if (given === "") {
        return challenge("A bearer token is needed: `Authorization: Bearer <token>`. `executor token` prints it.")
      }
      return timingSafeEqual(digest(given), expected)
        ? handler
        : challenge("The bearer token is not this server's. `executor token` prints it.")
    }
  })
}
