/**
 * Suites for authors of adapters: what every `DBAdapter` must do, and the history over it. They declare tests with
 * Vitest, so import this from a test file only.
 */
export { adapterConformance, type MakeAdapter } from "./testing/adapterConformance.ts"
export { executionStoreConformance } from "./testing/executionStoreConformance.ts"
export { historyProperties } from "./testing/historyProperties.ts"
