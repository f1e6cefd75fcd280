/**
 * What the commands need of the packages that they must not import: the hosts, the sandbox, the storage, the plugins.
 *
 * The application provides it. Each member loads what it needs when it is used, so that `--help` does not wait for a database.
 */
import type { Admission } from "@executor/execution"
import { Context, type Effect, type Scope } from "effect"
import type { Durability } from "./Durability.ts"
import type { Failure } from "./Failure.ts"
import type { OnFault } from "./HistoryFaults.ts"
import type { LocalParts } from "./LocalBackend.ts"
import type { Retention } from "./Retention.ts"
import type { InDoubt, LimitChanges, McpSettings, SourceLimits } from "./Settings.ts"

/** What the database says of itself. */
export interface DatabaseReport {
  /** What is broken; absent where nothing was found. */
  readonly damage: string | undefined
  /** What was looked at to find damage. */
  readonly checked: string
  readonly sizeBytes: number
  /** What opening it would change, by name. */
  readonly pendingMigrations: ReadonlyArray<string>
}

/** Why a database is not used, and what there is without it. */
export interface MemoryReport {
  /** What could not be opened, and why. */
  readonly why: string
  /** Whether the sources in it could be read all the same. */
  readonly hasSources: boolean
}

/**
 * Where this is given, and the storage of the database is at fault, everything works in memory instead, and this hears of it; otherwise
 * opening fails.
 */
export type WithoutHistory = (report: MemoryReport) => Effect.Effect<void>

/** What is free in a database file. */
export interface SpaceReport {
  readonly freeBytes: number
  /** Whether the file can give it back to the disk. */
  readonly canGiveBack: boolean
}

/** The counters of the history, looked at. */
export interface CountersReport {
  /** How many executions the counters tell of, over all scopes where they do not add up. */
  readonly counted: number
  /** How many have ended there. */
  readonly ended: number
}

/** The parts of a running data folder, assembled. */
export class Composition extends Context.Service<
  Composition,
  {
    readonly version: string
    /** Opens a database, a file or a Postgres, until the scope closes. */
    readonly openLocal: (options: {
      readonly database: string
      readonly limits: LimitChanges
      /** For sources that have none of their own. */
      readonly sourceLimits?: SourceLimits
      readonly durability?: Durability
      readonly withoutHistory?: WithoutHistory | undefined
    }) => Effect.Effect<LocalParts, Failure, Scope.Scope>
    /**
     * Serves HTTP until it is interrupted; `onListening` hears once where, and of a token that is for this server only, where the
     * data folder could not take one.
     */
    readonly serve: (options: {
      readonly dataFolder: string
      readonly database: string
      readonly limits: LimitChanges
      /** For sources that have none of their own. */
      readonly sourceLimits?: SourceLimits
      readonly retention: Retention
      readonly admission: Admission.AdmissionOptions
      readonly durability: Durability
      readonly host: string
      readonly port: number
      readonly auth: boolean
      readonly withoutHistory: WithoutHistory
      readonly onFault: OnFault
      readonly onListening: (url: string, ownToken: string | undefined) => Effect.Effect<void>
    }) => Effect.Effect<void, Failure>
    /** Serves MCP over stdin and stdout until the client goes away. */
    readonly mcp: (options: {
      readonly database: string
      readonly limits: LimitChanges
      /** For sources that have none of their own. */
      readonly sourceLimits?: SourceLimits
      readonly admission: Admission.AdmissionOptions
      readonly inDoubt: InDoubt
      readonly mcp: McpSettings
      readonly withoutHistory: WithoutHistory
      readonly onFault: OnFault
    }) => Effect.Effect<void, Failure>
    /** The build of the sandbox, which journals are written and run with. No sandbox is started for it. */
    readonly sandboxBuild: Effect.Effect<string>
    /** The server's token of the data folder, made if there is none. */
    readonly token: (dataFolder: string) => Effect.Effect<string, Failure>
    /** The server's token of the data folder, if there is one. */
    readonly readToken: (dataFolder: string) => Effect.Effect<string | undefined, Failure>
    /** Looks at a database without changing it. */
    readonly inspectDatabase: (database: string) => Effect.Effect<DatabaseReport, Failure>
    /** Writes to an opened database and takes it back. */
    readonly tryWrite: (database: string) => Effect.Effect<void, Failure>
    /** Looks at what is free in an opened database file. */
    readonly inspectSpace: (file: string) => Effect.Effect<SpaceReport, Failure>
    /** Gives what is free in an opened database file back to the disk, and tells how many bytes that was. */
    readonly giveSpaceBack: (file: string) => Effect.Effect<number, Failure>
    /** Makes an opened database file able to give back what is free in it: writes it anew. */
    readonly enableGivingBack: (file: string) => Effect.Effect<void, Failure>
    /** Compares the counters of an opened database with what they count; nothing is returned where they add up. */
    readonly checkCounters: (database: string) => Effect.Effect<CountersReport | undefined, Failure>
    /** Makes the counters anew; tells for each table how many of its rows were missing, wrong or too many. */
    readonly repairCounters: (
      database: string
    ) => Effect.Effect<ReadonlyArray<{ readonly table: string; readonly changed: number }>, Failure>
  }
>()("@executor/host-cli/Composition") {}
