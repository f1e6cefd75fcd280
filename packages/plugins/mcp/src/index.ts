/**
 * MCP servers as sources.
 */
export { idempotencyMetaKey } from "./Calls.ts"
export { mcpPlugin, mcpPluginId } from "./McpPlugin.ts"
export {
  defaultCallTimeoutMillis,
  defaultIdleTimeoutMillis,
  defaultInstallTimeoutMillis,
  defaultMaxProcesses,
  defaultStartTimeoutMillis,
  McpSourceConfig,
  type ServerLimits
} from "./McpSourceConfig.ts"
export { type Call, makeManners, makeQuestions, type Questions } from "./Questions.ts"
export { type CallTimes, makeCallTimes } from "./Timeouts.ts"
