import { adapterConformance } from "@executor/sdk/testing"
import { usePostgres } from "./postgres.ts"

adapterConformance("PostgresAdapter", usePostgres())
