import { executionStoreConformance } from "@executor/sdk/testing"
import { SqliteAdapter } from "@executor/storage-drizzle"

executionStoreConformance("SqliteAdapter", SqliteAdapter.make({ file: ":memory:" }))
