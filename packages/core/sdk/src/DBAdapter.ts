/**
 * The database as the stores see it: schema-driven, neutral of any database, effectful.
 *
 * An adapter stores flat rows of the tables of a {@link DBSchema}. Everything a store asks for is carried to the
 * database as a {@link Where}, an order and a limit, so that cost follows the page and not the table. Column names are
 * the schema's snake case names. Use `MemoryAdapter.layer` for tests, `@executor/storage-drizzle` for SQLite.
 *
 * There is no interactive transaction: a unit of work is a list of {@link WriteOperation}s that are applied together or
 * not at all. SQLite runs such a unit in one synchronous step, Postgres in one round trip, and no adapter ever holds a
 * transaction open while other code runs.
 */
import { Context, type Effect, Schema, type Stream } from "effect"

/** What a column can hold. */
export type ColumnType = "text" | "integer" | "boolean"

/**
 * A value of a column. Booleans are booleans on every database, numbers are safe integers, and text is Unicode: half a
 * surrogate pair, which has no encoding, is stored as U+FFFD.
 */
export type Value = string | number | boolean | null

/** A row by column name. */
export type Row = { readonly [column: string]: Value }

/** One table. Its first column is the primary key unless `primaryKey` says otherwise. */
export interface TableSchema {
  /** What `mayContain` looks into: columns of this table, and of tables whose `foreign` is this table's `local`. */
  readonly text?: ReadonlyArray<{
    readonly columns: ReadonlyArray<string>
    readonly of?: { readonly table: string; readonly local: string; readonly foreign: string }
  }>
  readonly columns: {
    readonly [column: string]: {
      readonly type: ColumnType
      readonly nullable?: boolean
      /** Text that may be long, in no key and no index: an adapter may store it in another form, and gives it as it was written. */
      readonly payload?: boolean
      /** Never written: it reads as `or`, where that is not null, and otherwise as the columns of `join` with a colon between. */
      readonly generated?: { readonly join: ReadonlyArray<string>; readonly or?: string }
    }
  }
  readonly primaryKey: ReadonlyArray<string>
  readonly indexes: ReadonlyArray<{
    readonly name: string
    readonly columns: ReadonlyArray<string>
    readonly unique?: boolean
    /** Only rows where this column is not null are in the index. */
    readonly notNull?: string
  }>
  /** Deleting the referenced row deletes this one, unless it is kept (`restrict`): then it cannot be deleted. */
  readonly foreignKeys?: ReadonlyArray<{
    readonly column: string
    readonly table: string
    readonly references: string
    readonly onDelete?: "cascade" | "restrict"
  }>
}

/** Tables by name. */
export interface DBSchema {
  readonly [table: string]: TableSchema
}

/**
 * A condition. SQL's three-valued logic is not part of the contract: a comparison with a null column is false, its
 * negation true. Text compares by Unicode code points. A value of another type than its column's is refused.
 */
export type Where =
  | { readonly op: "and" | "or"; readonly conditions: ReadonlyArray<Where> }
  | { readonly op: "not"; readonly condition: Where }
  | {
      readonly op: "eq" | "ne" | "lt" | "lte" | "gt" | "gte"
      readonly column: string
      readonly value: string | number | boolean
    }
  | { readonly op: "in"; readonly column: string; readonly values: ReadonlyArray<string | number | boolean> }
  /** Case-insensitive (ASCII letters) substring; every character of `value` stands for itself. */
  | { readonly op: "contains"; readonly column: string; readonly value: string }
  /** Case-sensitive. */
  | { readonly op: "startsWith" | "endsWith"; readonly column: string; readonly value: string }
  | { readonly op: "isNull" | "isNotNull"; readonly column: string }
  /**
   * A hint beside the condition that it narrows: the rows that the database's index of text finds for `value`, or simply
   * all. Rows that contain it, whatever the case of ASCII letters, are among them: in the columns of `text` of the table,
   * or in those of a table that refers to this row.
   */
  | { readonly op: "mayContain"; readonly value: string }
  /** There is such a related row. */
  | ({ readonly op: "exists" } & RelatedRows)

/** One column of an order. Nulls come last in both directions. */
export interface OrderBy {
  readonly column: string
  readonly direction: "asc" | "desc"
}

/** Rows of one table. */
export interface FindOptions {
  readonly table: string
  readonly where?: Where
  /** Only these columns; all by default. */
  readonly select?: ReadonlyArray<string>
  readonly orderBy?: ReadonlyArray<OrderBy>
  /** Only rows strictly after this position of `orderBy`: one value for each of its columns. */
  readonly after?: ReadonlyArray<Value>
  readonly limit?: number
}

/**
 * What rows are grouped by: the value of a column, whether it has one, or the bucket of an integer column
 * (`floor(value / size) * size`).
 */
export type GroupBy =
  | { readonly column: string }
  | { readonly notNull: string }
  | { readonly bucket: { readonly column: string; readonly size: number } }

/** One group of a grouped count, keys in the order of `by`. */
export interface Group {
  readonly keys: ReadonlyArray<Value>
  readonly count: number
  /** One for each column of `sum`, where that was asked for. */
  readonly sums?: ReadonlyArray<number>
}

/** What `countBy` counts: rows, or the different values of a column. */
export interface CountByOptions {
  readonly table: string
  readonly where?: Where
  readonly by: ReadonlyArray<GroupBy>
  /** Count the different non-null values of this column instead of rows. */
  readonly distinct?: string
  /** Sum these integer columns too. */
  readonly sum?: ReadonlyArray<string>
  readonly limit?: number
}

/** The rows of `table` whose `foreign` equals the written row's `local`, and that fulfil `where`. */
export interface RelatedRows {
  readonly table: string
  readonly local: string
  readonly foreign: string
  readonly where?: Where
}

/**
 * A value to write: a constant, the column's own value plus a number, how many related rows there are, or the sum of
 * columns of theirs (0 for none).
 */
export type SetValue =
  | Value
  | { readonly increment: number }
  | { readonly countOf: RelatedRows }
  | { readonly sumOf: ReadonlyArray<RelatedRows & { readonly column: string }> }

/** One step of a unit of work. */
export type WriteOperation =
  /**
   * A column that a row leaves out is null. Where a row with the same primary key is there, `onConflict` leaves it as it
   * is (`ignore`), or gives it the columns that the new row has (`update`); without, the unit fails as `unique`.
   */
  | {
      readonly op: "insert"
      readonly table: string
      readonly rows: ReadonlyArray<Row>
      readonly onConflict?: "ignore" | "update"
      /** Inserts nothing unless there is such a row. */
      readonly given?: { readonly table: string; readonly where: Where }
      /** Unless exactly this many rows are written, the whole unit is undone and fails with {@link WriteConflict}. */
      readonly expect?: number
    }
  | {
      readonly op: "update"
      readonly table: string
      readonly where: Where
      /** Any columns but those of the primary key. */
      readonly set: { readonly [column: string]: SetValue }
      /** Unless exactly this many rows change, the whole unit is undone and fails with {@link WriteConflict}. */
      readonly expect?: number
    }
  | { readonly op: "delete"; readonly table: string; readonly where: Where; readonly expect?: number }

/** How a unit of work is written. */
export interface WriteOptions {
  /**
   * For what must not come late, such as a lease, and does not depend on the units before it. Where `write` queues units, it is
   * applied before all that wait and are not urgent. Urgent units keep their order among themselves. An adapter without a queue
   * applies it in its turn.
   */
  readonly urgent?: boolean | undefined
}

/** An implementation of the store's needs for one database. */
export class DBAdapter extends Context.Service<
  DBAdapter,
  {
    readonly schema: DBSchema
    /**
     * Whether the database keeps the rollups of `coreSchema`, with their groups and the sets of tools, current
     * by itself, in the transactions that change what they count. Otherwise they are empty.
     */
    readonly keepsRollups: boolean
    readonly find: (options: FindOptions) => Effect.Effect<ReadonlyArray<Row>, DBError>
    readonly count: (options: { readonly table: string; readonly where?: Where }) => Effect.Effect<number, DBError>
    /** Groups, largest count first (then by keys, nulls last), at most `limit`. */
    readonly countBy: (options: CountByOptions) => Effect.Effect<ReadonlyArray<Group>, DBError>
    /** Applies all operations or none; gives the number of rows each one changed. */
    readonly write: (
      operations: ReadonlyArray<WriteOperation>,
      options?: WriteOptions
    ) => Effect.Effect<ReadonlyArray<number>, DBError | WriteConflict>
    /**
     * How many units of work the database has answered so far, written or refused, where `write` queues them. A caller whose write
     * waits can tell by it a long queue, which moves, from a database that hangs. Absent where nothing is queued.
     */
    readonly answeredWrites?: (() => number) | undefined
    /**
     * Why the database takes no writes now, as far as is known, and then each change: `undefined` while it takes them. A fault is told
     * as soon as a write meets it. While somebody listens, the adapter also looks by itself, so that a fault and its end are
     * told within 5 s without any write. Absent where no storage can fail.
     */
    readonly faults?: Stream.Stream<DBError | undefined> | undefined
    /**
     * Rings when an execution may have been given up, by this process or another that uses the database. The first ring only says
     * that it listens. Several rings may come as one, and a ring may come for nothing or be lost: so look now and then as well.
     * It costs something only while somebody listens. Closing the adapter interrupts its listeners. A `Doorbell` makes it.
     */
    readonly freed: Stream.Stream<void>
  }
>()("@executor/sdk/DBAdapter") {}

/** The database refused or could not be reached. `moved`: its file is no longer the one at its path, so that nothing would be kept. */
export class DBError extends Schema.TaggedError<DBError>()("DBError", {
  message: Schema.String,
  reason: Schema.Literals(["unique", "foreignKey", "unavailable", "readOnly", "full", "moved", "other"]),
  cause: Schema.optional(Schema.Defect())
}) {}

/** An operation with `expect` changed another number of rows. Nothing was written. */
export class WriteConflict extends Schema.TaggedError<WriteConflict>()("WriteConflict", {
  message: Schema.String,
  /** Which operation of the unit, from 0. */
  operation: Schema.Int,
  expected: Schema.Int,
  changed: Schema.Int
}) {}
