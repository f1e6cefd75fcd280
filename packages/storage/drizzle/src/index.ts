/**
 * Storage for Executor: the `DBAdapter` for SQLite and for Postgres.
 */
export * as DatabaseUrl from "./DatabaseUrl.ts"
export * as PostgresAdapter from "./PostgresAdapter.ts"
export * as Rollups from "./Rollups.ts"
export * as SqliteAdapter from "./SqliteAdapter.ts"
export * as SqliteInspection from "./SqliteInspection.ts"
export * as SqliteSpace from "./SqliteSpace.ts"
