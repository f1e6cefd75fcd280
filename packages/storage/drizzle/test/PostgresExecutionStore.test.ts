import { executionStoreConformance } from "@executor/sdk/testing"
import { usePostgres } from "./postgres.ts"

executionStoreConformance("PostgresAdapter", usePostgres())
