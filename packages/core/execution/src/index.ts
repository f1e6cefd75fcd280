/**
 * The engine: runs code against an executor, records everything, pauses for people, and resumes.
 */
export { createExecutionEngine, type ExecutionEngineOptions } from "./Engine.ts"
export * from "./ExecutionEngine.ts"
export { finishedOf } from "./Conclusion.ts"
export * as Admission from "./Admission.ts"
