/**
 * Lets the tests of all packages share a PostgreSQL server, which is started when the first of them asks for it.
 */
export { sharePostgres as default } from "../packages/storage/drizzle/src/internal/postgresSharing.ts"
