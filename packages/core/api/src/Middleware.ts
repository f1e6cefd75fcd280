/**
 * What surrounds every endpoint: who may call, and how a request fails that does not reach its handler.
 *
 * The declarations carry the errors and the security scheme into the OpenAPI document and the client; a server gives the
 * implementations.
 */
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import {
  BadRequestProblem,
  ForbiddenProblem,
  InternalErrorProblem,
  PayloadTooLargeProblem,
  ServerClosingProblem,
  StorageUnavailableProblem,
  UnauthorizedProblem,
  UnsupportedMediaTypeProblem
} from "./Problems.ts"

/** Turns a request that does not fit its endpoint into a {@link BadRequestProblem} that names each thing that is wrong. */
export class RequestValidation extends HttpApiMiddleware.Service<RequestValidation>()(
  "@executor/api/RequestValidation",
  {
    error: [
      BadRequestProblem,
      ForbiddenProblem,
      PayloadTooLargeProblem,
      UnsupportedMediaTypeProblem,
      InternalErrorProblem,
      StorageUnavailableProblem,
      ServerClosingProblem
    ]
  }
) {}

/** Lets a request with the server's bearer token through, or any request when the server runs without one. */
export class Authorization extends HttpApiMiddleware.Service<Authorization>()("@executor/api/Authorization", {
  error: UnauthorizedProblem,
  security: {
    token: HttpApiSecurity.bearer.pipe(
      HttpApiSecurity.annotate(OpenApi.Description, "The server's token. `executor token` prints it.")
    )
  }
}) {}
