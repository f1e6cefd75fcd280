import { MemoryAdapter } from "@executor/sdk"
import { executionStoreConformance } from "@executor/sdk/testing"
import { Effect } from "effect"

executionStoreConformance(
  "MemoryAdapter",
  Effect.sync(() => MemoryAdapter.make())
)
