/**
 * How the parts of the system are put together over a data folder. Each is loaded when it is first used.
 */
import {
  CommandFailed,
  type Composition,
  keepWithin,
  type LimitChanges,
  type LocalParts,
  makeOwner
} from "@executor/host-cli"
import { Effect, Redacted, Scope } from "effect"
import { readFileSync } from "node:fs"
import { stat } from "node:fs/promises"
import { join } from "node:path"

// This module is a chunk of the bundle, in dist/chunks.
const { version }: { readonly version: string } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8")
)

/** The only scope of a data folder. */
const scopeName = "default"

const load = <A>(module: () => Promise<A>): Effect.Effect<A> => Effect.promise(module)

const toFailed = (error: { readonly message: string }): CommandFailed => new CommandFailed({ message: error.message })

/** `inline` reads in this thread, for a process that ends soon: starting one to read in takes longer than most reads. */
const openParts = Effect.fn("composition.openParts")(function* (options: {
  readonly database: string
  readonly limits: LimitChanges
  readonly reads: "inline" | "worker"
}) {
  const scope = yield* Effect.scope
  const [{ createExecutor, ScopeId }, { DatabaseUrl }, { mcpPlugin }] = yield* Effect.all(
    [
      load(() => import("@executor/sdk")),
      load(() => import("@executor/storage-drizzle")),
      load(() => import("@executor/plugin-mcp"))
    ],
    { concurrency: "unbounded" }
  )
  const adapter = yield* DatabaseUrl.open(options.database, { reads: options.reads })
  const executor = yield* createExecutor({ scopes: [ScopeId.make(scopeName)], adapter, plugins: [mcpPlugin()] })
  const engine = yield* Effect.cached(
    Effect.gen(function* () {
      const [{ sandbox }, { createExecutionEngine }, { Limits }] = yield* Effect.all(
        [
          load(() => import("./sandbox.ts")),
          load(() => import("@executor/execution")),
          load(() => import("@executor/kernel"))
        ],
        { concurrency: "unbounded" }
      )
      const limits = Limits.with(options.limits)
      return yield* createExecutionEngine({ executor, codeExecutor: sandbox(), limits, owner: makeOwner() })
    }).pipe(Scope.provide(scope))
  )
  const parts: LocalParts = { adapter, executor, engine }
  return parts
}, Effect.mapError(toFailed))

const readToken = Effect.fn("composition.readToken")(function* (dataFolder: string) {
  const { readOrCreateToken, tokenFileName } = yield* load(() => import("@executor/host-http"))
  const file = join(dataFolder, tokenFileName)
  const exists = yield* Effect.promise(() =>
    stat(file).then(
      () => true,
      () => false
    )
  )
  return exists ? Redacted.value(yield* readOrCreateToken(dataFolder)) : undefined
}, Effect.mapError(toFailed))

const token = Effect.fn("composition.token")(function* (dataFolder: string) {
  const { readOrCreateToken } = yield* load(() => import("@executor/host-http"))
  return Redacted.value(yield* readOrCreateToken(dataFolder))
}, Effect.mapError(toFailed))

/** What the application gives the terminal commands. */
export const composition: Composition["Service"] = {
  version,
  openLocal: (options) => openParts({ ...options, reads: "inline" }),
  readToken,
  token,
  serve: Effect.fn("composition.serve")(
    function* (options) {
      const { HttpHost, readOrCreateToken } = yield* load(() => import("@executor/host-http"))
      const { engine, executor } = yield* openParts({ ...options, reads: "worker" })
      const host = yield* HttpHost.serve({
        engine: yield* engine,
        executor,
        token: options.auth ? yield* readOrCreateToken(options.dataFolder) : "none",
        host: options.host,
        port: options.port
      })
      yield* Effect.forkScoped(keepWithin(executor, options.retention))
      yield* options.onListening(host.url)
      return yield* Effect.never
    },
    Effect.mapError(toFailed),
    Effect.scoped
  ),
  mcp: Effect.fn("composition.mcp")(
    function* (options) {
      const { McpHost } = yield* load(() => import("@executor/host-mcp"))
      const { engine } = yield* openParts({ ...options, reads: "worker" })
      yield* McpHost.serveStdio({ engine: yield* engine, version })
    },
    Effect.mapError(toFailed),
    Effect.scoped
  ),
  inspectDatabase: Effect.fn("composition.inspectDatabase")(function* (file) {
    const { SqliteInspection } = yield* load(() => import("@executor/storage-drizzle"))
    return yield* SqliteInspection.inspect({ file })
  }, Effect.mapError(toFailed)),
  checkCounters: Effect.fn("composition.checkCounters")(function* (database) {
    const { Rollups } = yield* load(() => import("@executor/storage-drizzle"))
    const differences = yield* Rollups.check({ database })
    const sum = (of: "counted" | "ended") => differences.reduce((total, difference) => total + difference[of], 0)
    return differences.length === 0 ? undefined : { counted: sum("counted"), ended: sum("ended") }
  }, Effect.mapError(toFailed)),
  repairCounters: Effect.fn("composition.repairCounters")(function* (database) {
    const { Rollups } = yield* load(() => import("@executor/storage-drizzle"))
    const rebuilt = yield* Rollups.repair({ database })
    return rebuilt.map(({ removed, table, written }) => ({ table, changed: Math.max(removed, written) }))
  }, Effect.mapError(toFailed))
}
