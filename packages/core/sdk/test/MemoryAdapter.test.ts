import { MemoryAdapter } from "@executor/sdk"
import { adapterConformance } from "@executor/sdk/testing"
import { Effect } from "effect"

adapterConformance(
  "MemoryAdapter",
  Effect.sync(() => MemoryAdapter.make())
)
