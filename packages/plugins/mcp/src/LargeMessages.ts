/**
 * What is large in a message, kept away from the client of the protocol.
 *
 * The client checks each message in one piece and copies it: of an object with 300,000 keys, or 10,000 parts of content, that takes it
 * a second, in which the loop stands still. All it must see of the result of a call is that it is one. So what such a result holds is
 * taken out of a large message before the client gets it, travels beside it, and is put back afterwards.
 */
import type { CallToolResult, JSONRPCMessage } from "@modelcontextprotocol/client"
import { Predicate } from "effect"

/** A message of this length is read in slices, and what it holds is taken out of it. */
export const largeMessageLength = 32 * 1024

const key = "executor/aside"

/** Made here only: a server can send the key, but no instance. */
class Aside {
  readonly content: CallToolResult["content"]
  readonly structuredContent: CallToolResult["structuredContent"]

  constructor({ content, structuredContent }: CallToolResult) {
    this.content = content
    this.structuredContent = structuredContent
  }
}

/** Takes out what the result of a call holds. Other messages are left as they are. */
export const takeOut = (message: JSONRPCMessage): JSONRPCMessage => {
  if (!("result" in message) || !Predicate.isObject(message.result)) return message
  const { content, structuredContent, ...rest } = message.result
  // What is no such result, the client refuses in its own words.
  if (!Array.isArray(content) || !content.every(isPart)) return message
  if (structuredContent !== undefined && !Predicate.isObject(structuredContent)) return message
  const aside = new Aside({ content, structuredContent } as CallToolResult)
  const meta = Predicate.isObject(rest["_meta"]) ? rest["_meta"] : {}
  return { ...message, result: { ...rest, content: [], _meta: { ...meta, [key]: aside } } } as JSONRPCMessage
}

/** Puts it back. */
export const putBack = (result: CallToolResult): CallToolResult => {
  const aside = result._meta?.[key]
  if (!(aside instanceof Aside)) return result
  const { content, structuredContent } = aside
  return { ...result, content, ...(structuredContent === undefined ? {} : { structuredContent }) }
}

const isPart = (part: unknown): boolean => Predicate.isObject(part) && typeof part["type"] === "string"
