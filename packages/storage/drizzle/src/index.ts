/**
 * Storage for Executor: the `DBAdapter` for SQLite and for Postgres.
 */
export * as DatabaseInspection from "./DatabaseInspection.ts"
export * as DatabaseUrl from "./DatabaseUrl.ts"
export * as MemoryDatabase from "./MemoryDatabase.ts"
export * as PostgresAdapter from "./PostgresAdapter.ts"
export * as Rollups from "./Rollups.ts"
export * as SqliteAdapter from "./SqliteAdapter.ts"
export * as SqliteSpace from "./SqliteSpace.ts"
