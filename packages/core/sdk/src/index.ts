/**
 * The SDK: what an execution, a tool and a source are, and the executor that holds them together.
 */
export * as AdapterSchema from "./AdapterSchema.ts"
export * from "./CoreSchema.ts"
export * from "./DBAdapter.ts"
export * as DBExecutionStore from "./DBExecutionStore.ts"
export * from "./Elicitation.ts"
export { elicitationContentIssues } from "./ElicitationContent.ts"
export * from "./Execution.ts"
export * from "./ExecutionStore.ts"
export * from "./Executor.ts"
export { createExecutor } from "./internal/executor.ts"
export * from "./Ids.ts"
export * as MemoryAdapter from "./MemoryAdapter.ts"
export * from "./Plugin.ts"
export * from "./Status.ts"
export * from "./Tool.ts"
export * from "./Trigger.ts"
