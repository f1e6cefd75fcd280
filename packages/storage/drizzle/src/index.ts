/**
 * Storage for Executor: the `DBAdapter` for SQLite.
 */
export * as SqliteAdapter from "./SqliteAdapter.ts"
export * as SqliteInspection from "./SqliteInspection.ts"
