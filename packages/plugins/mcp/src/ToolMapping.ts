/**
 * MCP's tools and results in our words.
 */
import { type JsonSchema, type ToolDefinition, ToolFailed, ToolPath } from "@executor/sdk"
import type { CallToolResult, Tool } from "@modelcontextprotocol/client"
import { Predicate } from "effect"

/** A page of a failure's text is enough for a reader. */
const maxFailureLength = 8192

/** What a server says in the `_meta` of a tool that recognises a call by its key: MCP has no hint for it. */
const acceptsKeyMeta = "executor/acceptsIdempotencyKey"

/** The tools of a server. Of two with one name only the first can be called, so only that is kept. */
export const toDefinitions = (tools: ReadonlyArray<Tool>): ReadonlyArray<ToolDefinition> => {
  const names = new Set<string>()
  const distinct = tools.filter((tool) => !names.has(tool.name) && names.add(tool.name))
  const segments = ToolPath.toSegments(distinct.map((tool) => tool.name))
  return distinct.map((tool, index) => {
    const { readOnlyHint, destructiveHint, idempotentHint } = tool.annotations ?? {}
    const name = segments[index] ?? tool.name
    return {
      name,
      title: tool.title ?? tool.annotations?.title,
      description: tool.description ?? "",
      inputSchema: tool.inputSchema as JsonSchema,
      outputSchema: tool.outputSchema as JsonSchema | undefined,
      requiresApproval: readOnlyHint !== true,
      annotations: {
        ...(readOnlyHint === undefined ? {} : { readOnly: readOnlyHint }),
        ...(destructiveHint === undefined ? {} : { destructive: destructiveHint }),
        ...(idempotentHint === undefined ? {} : { idempotent: idempotentHint }),
        ...(tool._meta?.[acceptsKeyMeta] === true ? { acceptsIdempotencyKey: true } : {})
      },
      binding: name === tool.name ? undefined : tool.name
    }
  })
}

/**
 * What a script gets: the structured content where there is any; else the text, if one text is all there is; `null` for
 * no content; and `{ content: [...] }` as the server sent it for everything else (several parts, images, resources).
 */
export const toResult = (result: CallToolResult): unknown => {
  if (result.structuredContent !== undefined) return result.structuredContent
  const [first, ...rest] = result.content ?? []
  if (first === undefined) return null
  return first.type === "text" && rest.length === 0 ? first.text : { content: result.content }
}

/** The failure of a tool, in the server's own words. */
export const toFailure = (path: string, result: CallToolResult): ToolFailed => {
  const text = (result.content ?? []).flatMap((part) => (part.type === "text" ? [String(part.text)] : [])).join("\n")
  return new ToolFailed({
    path,
    message: text.trim() === "" ? "the tool failed and did not say why" : text.slice(0, maxFailureLength),
    ...(Predicate.isObject(result.structuredContent) ? { data: result.structuredContent } : {})
  })
}
