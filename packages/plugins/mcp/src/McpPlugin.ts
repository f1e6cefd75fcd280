/**
 * Any MCP server as a source of tools.
 *
 * ```ts
 * const executor = yield* createExecutor({ scopes: ["me"], adapter, plugins: [mcpPlugin()] })
 * yield* executor.sources.add({
 *   namespace: "memory",
 *   pluginId: "mcp",
 *   config: { transport: "stdio", command: "npx", args: ["-y", "@modelcontextprotocol/server-memory"] }
 * })
 * ```
 */
import { definePlugin, type Plugin } from "@executor/sdk"
import { open } from "./Connection.ts"
import { describeConfig, McpSourceConfig, type ServerLimits } from "./McpSourceConfig.ts"

/** The plugin's id, stored with each source. */
export const mcpPluginId = "mcp"

/** Makes the plugin. */
export const mcpPlugin = (options?: {
  /** The version that servers are told beside the name `executor`. */
  readonly clientVersion?: string | undefined
  /** Limits of sources that have none of their own. */
  readonly limits?: ServerLimits | undefined
}): Plugin =>
  definePlugin({
    id: mcpPluginId,
    source: {
      config: McpSourceConfig,
      describe: describeConfig,
      open: (config, { namespace, onToolsChanged }) =>
        open(config, {
          namespace,
          onToolsChanged,
          clientVersion: options?.clientVersion ?? "0.1.0",
          limits: options?.limits ?? {}
        })
    }
  })
