/**
 * The MCP server that agents talk to.
 */
export * as McpHost from "./McpHost.ts"
