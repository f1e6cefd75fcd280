/**
 * Suites for authors of adapters: what every `DBAdapter` must do, and the history over it. They declare tests with
 * Vitest, so import this from a test file only. And a measure for authors of tools and plugins: how long they hold up the loop.
 */
export { adapterConformance, type MakeAdapter } from "./testing/adapterConformance.ts"
export { adapterFreed, listenTo, type MakeAdapters } from "./testing/adapterFreed.ts"
export { executionStoreConformance } from "./testing/executionStoreConformance.ts"
export { leastLoopGap } from "./testing/loopGap.ts"
export { historyProperties } from "./testing/historyProperties.ts"
