/**
 * An export as a body: JSON Lines or comma-separated values, written as the history is read, at any size in the same memory.
 */
import type { ExportExecutionsQuery } from "@executor/api"
import { type ArchiveRecord, csvHeader, csvLine } from "@executor/sdk"
import { Stream } from "effect"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { jsonPieces, lazily, streamBody, toChunks } from "./JsonBody.ts"

type Format = NonNullable<ExportExecutionsQuery["format"]>

function* linesOf(records: ReadonlyArray<ArchiveRecord>, format: Format): Generator<string> {
  for (const record of records) {
    if (format === "csv") {
      if (record.type === "execution") yield* csvLine(record)
    } else {
      yield* jsonPieces(record)
      yield "\n"
    }
  }
}

const contentTypes = { jsonl: "application/x-ndjson", csv: "text/csv; charset=utf-8; header=present" } as const

/** The records as a response, for a browser a file to keep. */
export const archiveBody = <E>(
  records: Stream.Stream<ArchiveRecord, E>,
  format: Format
): HttpServerResponse.HttpServerResponse => {
  const head = format === "csv" ? Stream.make(Buffer.from(csvHeader)) : Stream.empty
  const lines = Stream.flatMap(Stream.chunks(records), (some) => lazily(() => toChunks(linesOf(some, format))))
  return streamBody(Stream.concat(head, lines), {
    contentType: contentTypes[format],
    headers: { "content-disposition": `attachment; filename="executions.${format}"` }
  })
}
