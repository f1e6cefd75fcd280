/**
 * What the adapter and its reader threads say to each other. Requests and rows cross, and nothing else: each side
 * compiles the schema itself.
 *
 * A thread has one request at a time. It answers `slice`, and sends the next one when it is asked for `more`, so that
 * a long list never holds up the adapter's thread; or `failed`. A request is cancelled by its id in shared memory,
 * since a thread inside a query receives no messages.
 */
import type { DBError } from "@executor/sdk"
import type { FileIdentity } from "./fileIdentity.ts"
import type { ReadItem, ReadRequest } from "./reads.ts"

export type ToReader =
  | { readonly _tag: "read"; readonly id: number; readonly request: ReadRequest }
  | { readonly _tag: "more" }
  | { readonly _tag: "checkpoint" }
  /** Rows were deleted: their space is given back when there is time. It has no answer, and makes the thread no less free. */
  | { readonly _tag: "tidy" }
  | { readonly _tag: "end" }

export type FromReader =
  | { readonly _tag: "ready" }
  | { readonly _tag: "slice"; readonly items: ReadonlyArray<ReadItem>; readonly last: boolean }
  /** Without a reason it is no error of the database, and a bug. */
  | { readonly _tag: "failed"; readonly message: string; readonly reason?: DBError["reason"]; readonly cause?: Error }
  | { readonly _tag: "checkpointed" }

export interface ReaderData {
  readonly file: string
  /** What the adapter has open. */
  readonly files: FileIdentity
  readonly lockWaitMillis: number
  /** Holds the id of the request that is cancelled. Ids begin with 1. */
  readonly cancelled: Int32Array<SharedArrayBuffer>
}
