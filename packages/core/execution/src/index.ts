export * from "./ExecutionEngine.ts"
