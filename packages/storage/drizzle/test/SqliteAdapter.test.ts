import { adapterConformance } from "@executor/sdk/testing"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect } from "effect"
import { temporaryFolder } from "./temporaryFolder.ts"

const inFile = (reads: "worker" | "inline") =>
  Effect.flatMap(temporaryFolder, (folder) => SqliteAdapter.make({ file: `${folder}/executor.db`, reads }))

adapterConformance("SqliteAdapter with reader threads", inFile("worker"))
adapterConformance("SqliteAdapter that reads inline", inFile("inline"))
adapterConformance("SqliteAdapter in memory", SqliteAdapter.make({ file: ":memory:" }))
