/**
 * The kernel: what a sandbox runtime is, the limits it enforces, and the preparation of submitted TypeScript.
 */
export * from "./CodeExecutionError.ts"
export * from "./CodeExecutor.ts"
export * from "./ExactNumbers.ts"
export * from "./JsonParse.ts"
export * from "./JsonText.ts"
export * from "./LimitExceeded.ts"
export * from "./Limits.ts"
export { inSlices } from "./Slices.ts"
export * from "./SourceTransform.ts"
