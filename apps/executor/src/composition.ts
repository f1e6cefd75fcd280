/**
 * How the parts of the system are put together over a data folder. Each is loaded when it is first used.
 */
import {
  CommandFailed,
  type Composition,
  type Durability,
  followFaults,
  keepWithin,
  type LimitChanges,
  type LocalParts,
  makeOwner,
  recoverForever,
  type Retention,
  type SourceLimits,
  type WithoutHistory
} from "@executor/host-cli"
import type { Admission } from "@executor/execution"
import type { DBError } from "@executor/sdk"
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

/** A server that works in memory keeps this much of its history, so that it does not take more and more of it. */
const memoryRetention: Retention = { keepCount: 1_000, keepSize: 64 * 1024 * 1024 }

/** `inline` reads in this thread, for a process that ends soon: starting one to read in takes longer than most reads. */
interface OpenOptions {
  readonly database: string
  readonly reads: "inline" | "worker"
  readonly withoutHistory?: WithoutHistory | undefined
}

/** Opens the database, or one in memory where its storage is at fault and the caller can do with that. */
const openAdapter = Effect.fn("composition.openAdapter")(function* (options: OpenOptions) {
  const { database, reads, withoutHistory } = options
  const { DatabaseUrl, MemoryDatabase } = yield* load(() => import("@executor/storage-drizzle"))
  const inMemory = ({ message: why }: DBError, say: WithoutHistory) =>
    Effect.gen(function* () {
      const { adapter, hasSources } = yield* MemoryDatabase.open({ instead: database })
      yield* say({ why, hasSources })
      return { adapter, keepsHistory: false }
    })
  return yield* DatabaseUrl.open(database, { reads }).pipe(
    Effect.map((adapter) => ({ adapter, keepsHistory: true })),
    Effect.catch((error) =>
      withoutHistory !== undefined && DatabaseUrl.isStorageFault(error)
        ? inMemory(error, withoutHistory)
        : Effect.fail(error)
    )
  )
})

const openParts = Effect.fn("composition.openParts")(function* (
  options: OpenOptions & {
    readonly limits: LimitChanges
    readonly sourceLimits?: SourceLimits
    readonly durability?: Durability
    readonly admission?: Admission.AdmissionOptions
  }
) {
  const scope = yield* Effect.scope
  const [{ createExecutor, ScopeId }, { mcpPlugin }, { adapter, keepsHistory }] = yield* Effect.all(
    [load(() => import("@executor/sdk")), load(() => import("@executor/plugin-mcp")), openAdapter(options)],
    { concurrency: "unbounded" }
  )
  const executor = yield* createExecutor({
    scopes: [ScopeId.make(scopeName)],
    adapter,
    plugins: [mcpPlugin({ limits: options.sourceLimits })]
  })
  const engine = yield* Effect.cached(
    Effect.gen(function* () {
      const [{ sandbox }, { Admission, createExecutionEngine }, { Limits }] = yield* Effect.all(
        [
          load(() => import("./sandbox.ts")),
          load(() => import("@executor/execution")),
          load(() => import("@executor/kernel"))
        ],
        { concurrency: "unbounded" }
      )
      const limits = Limits.with(options.limits)
      return yield* createExecutionEngine({
        ...options.durability,
        admission: Admission.make(options.admission),
        executor,
        codeExecutor: sandbox(),
        keepsHistory,
        limits,
        owner: makeOwner()
      })
    }).pipe(Scope.provide(scope))
  )
  const parts: LocalParts = { adapter, executor, engine, keepsHistory }
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

/** What callers of a server give. It is in no file where a folder that takes no history takes no token either. */
const serverToken = Effect.fnUntraced(function* (
  { auth, dataFolder }: { readonly auth: boolean; readonly dataFolder: string },
  keepsHistory: boolean
) {
  if (!auth) return { token: "none" as const, ownToken: undefined }
  const { makeToken, readOrCreateToken } = yield* load(() => import("@executor/host-http"))
  return yield* readOrCreateToken(dataFolder).pipe(
    Effect.map((token) => ({ token, ownToken: undefined })),
    Effect.catch((error) => {
      if (keepsHistory) return Effect.fail(error)
      const ownToken = makeToken()
      return Effect.succeed({ token: Redacted.make(ownToken), ownToken })
    })
  )
})

/** What the application gives the terminal commands. */
export const composition: Composition["Service"] = {
  version,
  openLocal: (options) => openParts({ ...options, reads: "inline" }),
  sandboxBuild: Effect.map(
    load(() => import("@executor/runtime-quickjs")),
    ({ QuickJsExecutor }) => QuickJsExecutor.build
  ),
  readToken,
  token,
  serve: Effect.fn("composition.serve")(
    function* (options) {
      const { HttpHost } = yield* load(() => import("@executor/host-http"))
      const { adapter, engine, executor, keepsHistory } = yield* openParts({ ...options, reads: "worker" })
      const fault = yield* followFaults(adapter, { owner: makeOwner(), onFault: options.onFault })
      const { ownToken, token } = yield* serverToken(options, keepsHistory)
      const running = yield* engine
      const host = yield* HttpHost.serve({
        engine: running,
        executor,
        keepsHistory,
        fault,
        token,
        host: options.host,
        port: options.port
      })
      const retention = keepsHistory ? options.retention : { ...memoryRetention, ...options.retention }
      yield* Effect.forkScoped(keepWithin(executor, retention))
      yield* Effect.forkScoped(recoverForever(running, executor.executions.freed))
      yield* options.onListening(host.url, ownToken)
      return yield* Effect.never
    },
    Effect.mapError(toFailed),
    Effect.scoped
  ),
  mcp: Effect.fn("composition.mcp")(
    function* (options) {
      const { McpHost } = yield* load(() => import("@executor/host-mcp"))
      const durability = { recovery: "resume", ...options.inDoubt } as const
      const { adapter, engine, executor, keepsHistory } = yield* openParts({ ...options, durability, reads: "worker" })
      yield* followFaults(adapter, { owner: makeOwner(), onFault: options.onFault })
      if (!keepsHistory) yield* Effect.forkScoped(keepWithin(executor, memoryRetention))
      const running = yield* engine
      yield* Effect.forkScoped(recoverForever(running, executor.executions.freed))
      yield* McpHost.serveStdio({ ...options.mcp, engine: running, executor, version })
    },
    Effect.mapError(toFailed),
    Effect.scoped
  ),
  inspectDatabase: Effect.fn("composition.inspectDatabase")(function* (database) {
    const { DatabaseInspection } = yield* load(() => import("@executor/storage-drizzle"))
    return yield* DatabaseInspection.inspect({ database })
  }, Effect.mapError(toFailed)),
  tryWrite: Effect.fn("composition.tryWrite")(function* (database) {
    const { DatabaseInspection } = yield* load(() => import("@executor/storage-drizzle"))
    yield* DatabaseInspection.tryWrite({ database })
  }, Effect.mapError(toFailed)),
  inspectSpace: Effect.fn("composition.inspectSpace")(function* (file) {
    const { SqliteSpace } = yield* load(() => import("@executor/storage-drizzle"))
    return yield* SqliteSpace.look({ file })
  }, Effect.mapError(toFailed)),
  giveSpaceBack: Effect.fn("composition.giveSpaceBack")(function* (file) {
    const { SqliteSpace } = yield* load(() => import("@executor/storage-drizzle"))
    return yield* SqliteSpace.giveBack({ file })
  }, Effect.mapError(toFailed)),
  enableGivingBack: Effect.fn("composition.enableGivingBack")(function* (file) {
    const { SqliteSpace } = yield* load(() => import("@executor/storage-drizzle"))
    yield* SqliteSpace.enable({ file })
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
