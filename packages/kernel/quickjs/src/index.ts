/**
 * The default sandbox: quickjs-wasi in worker threads.
 */
export * as QuickJsExecutor from "./QuickJsExecutor.ts"
