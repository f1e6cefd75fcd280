/**
 * The terminal commands, over the engine of this process or over a server.
 *
 * An application provides a {@link Composition} and calls {@link main}.
 */
export { type DefectReporter, runCli } from "./Cli.ts"
export { Composition, type DatabaseReport, type WithoutHistory } from "./Composition.ts"
export { dataFiles } from "./DataFolder.ts"
export { type Durability, recoverForever } from "./Durability.ts"
export * from "./Failure.ts"
export { follow as followFaults } from "./HistoryFaults.ts"
export { isKeyValue, parseKeyValues } from "./KeyValue.ts"
export type { LocalParts } from "./LocalBackend.ts"
export { main } from "./Main.ts"
export { layerProcess, Output, type Sink } from "./Output.ts"
export { makeOwner } from "./Owner.ts"
export { Process } from "./Process.ts"
export { keepWithin, type Retention } from "./Retention.ts"
export { type LimitChanges, limitSettings, type McpSettings, type SourceLimits } from "./Settings.ts"
export { type Column, renderTable } from "./Table.ts"
export { displayWidth, neutralise, neutraliseJson, neutraliseLine, truncate } from "./Text.ts"
export { formatDuration, parseCount, parseDuration, parseSize } from "./Units.ts"
