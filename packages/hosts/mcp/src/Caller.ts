/**
 * Who calls: what a request says about its client, whichever protocol era it came in.
 *
 * In the era of `initialize` a client introduces itself once per connection; since 2026-07-28 each request carries the
 * client's name and capabilities in its `_meta`. What a client merely claims (its name, its trace) becomes a label of
 * the execution and decides nothing; its capabilities decide how a person is asked.
 */
import type { ExecutionTrigger } from "@executor/sdk"
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type Server,
  type ServerContext
} from "@modelcontextprotocol/server"
import { Option, Schema } from "effect"

/** `legacy`: the connection opened with `initialize`. `modern`: each request is complete in itself (2026-07-28). */
export type Era = "legacy" | "modern"

/** The client of one request. */
export interface Caller {
  readonly era: Era
  /** It can show a person a form. */
  readonly canShowForms: boolean
  /** It can send a person to a page. */
  readonly canOpenUrls: boolean
  /** What is recorded with an execution that this request starts. */
  readonly trigger: ExecutionTrigger
}

const ClientInfo = Schema.Struct({ name: Schema.String, version: Schema.optionalKey(Schema.String) })

const Capabilities = Schema.Struct({
  elicitation: Schema.optionalKey(
    Schema.Struct({ form: Schema.optionalKey(Schema.Unknown), url: Schema.optionalKey(Schema.Unknown) })
  )
})

/** W3C trace context, version 00. Anything else is ignored, as that specification asks. */
const Traceparent = Schema.String.check(
  Schema.isPattern(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/)
)

const readClientInfo = Schema.decodeUnknownOption(ClientInfo)
const readCapabilities = Schema.decodeUnknownOption(Capabilities)
const readTraceparent = Schema.decodeUnknownOption(Traceparent)

/** Reads the client of a request. */
export const fromRequest = (era: Era, server: Server, context: ServerContext): Caller => {
  const request = context.mcpReq
  const envelope: { readonly [key: string]: unknown } = { ...request.envelope }
  const client = readClientInfo(era === "modern" ? envelope[CLIENT_INFO_META_KEY] : server.getClientVersion())
  const elicitation = Option.flatMapNullishOr(
    readCapabilities(era === "modern" ? envelope[CLIENT_CAPABILITIES_META_KEY] : server.getClientCapabilities()),
    (capabilities) => capabilities.elicitation
  )
  const traceparent = readTraceparent(request._meta?.["traceparent"])
  return {
    era,
    canShowForms: Option.exists(elicitation, ({ form, url }) => form !== undefined || url === undefined),
    canOpenUrls: Option.exists(elicitation, ({ url }) => url !== undefined),
    trigger: {
      kind: "mcp",
      meta: {
        ...(Option.isSome(client) ? { client: client.value } : {}),
        ...(Option.isSome(traceparent) ? { traceparent: traceparent.value } : {})
      }
    }
  }
}
