import { adapterConformance } from "@executor/sdk/testing"
import { SqliteAdapter } from "@executor/storage-drizzle"

adapterConformance("SqliteAdapter", SqliteAdapter.make({ file: ":memory:" }))
