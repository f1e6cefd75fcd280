/**
 * Keeping the index of text current, in small steps: see `sqliteSearch.ts` for what is in it.
 *
 * Triggers note each row that is written or changed as pending, under the row's `rowid`, with a revision. A step gathers the
 * text of some pending rows that will hardly change any more, group by group, without a lock. Then, in one short transaction,
 * it adds documents and takes the rows off the list, provided that their revisions are still the same. A text that is too
 * long for one step is added piece by piece, and the row stays on the list, with the position, until the last. So a row
 * is at every moment wholly in the index or on the list, also after a crash, and several processes may take steps at once.
 *
 * The newest rows are left pending: looking into them is quick, and their groups are not full yet. Rows that were deleted are
 * pending too: a group without any row gives up its documents, and what is left of others is found in vain.
 *
 * FTS5 merges what each transaction adds, all at once or in a transaction of somebody else; so it is told not to, and each
 * step merges a little.
 */
import type Database from "better-sqlite3"
import { registerPackedText, textOf, unpackedLength } from "./packedText.ts"
import { groupBits, indexedText, searchedUnits } from "./sqliteSearch.ts"

/** How much of what. */
export interface SearchIndexLimits {
  /** The UTF-16 units of text that a document and a step have, or little more: FTS5 takes about 15 in a microsecond. */
  readonly stepUnits: number
  /** So much may stay pending: searches look into each row, in some milliseconds. */
  readonly keptRows: number
  readonly keptUnits: number
}

const defaultLimits: SearchIndexLimits = { stepUnits: 64 * 1024, keptRows: 256, keptUnits: 4 * 1024 * 1024 }

/** Rows that a step looks at: more than a step can take where texts are small. */
const lookedAt = 512

/** Pages that a step merges at most, where there are four segments of one size or more. */
const mergedPages = 48

/** One table with an index of its text. */
interface Source {
  readonly table: string
  /** The pending rows that will hardly change, by id, with the size of their text; those that are gone have none. */
  readonly ready: string
  /** Pieces of the text of a row (`:id`) in order, the next one after `:seq`: that one or a later. */
  readonly piece: ReadonlyArray<string>
}

const sources: ReadonlyArray<Source> = [
  {
    table: "execution",
    ready: `SELECT p.id, p.revision, p.seq, p.position, e.size + ifnull(length(e.error_text), 0) AS size
      FROM execution_search_pending AS p LEFT JOIN execution AS e ON e.rowid = p.id
      WHERE e.rowid IS NULL OR e.status IN ('completed', 'failed', 'cancelled') ORDER BY p.id LIMIT ${lookedAt}`,
    piece: [
      `SELECT -1 AS seq, e.error_text AS a, o.result_json AS b, NULL AS c
      FROM execution AS e LEFT JOIN execution_output AS o ON o.execution_id = e.id WHERE e.rowid = :id AND :seq < 0`,
      `SELECT c.seq, c.args_json AS a, c.result_json AS b, c.error_text AS c FROM execution AS e
      JOIN execution_tool_call AS c ON c.execution_id = e.id
      WHERE e.rowid = :id AND c.seq >= :seq ORDER BY c.seq LIMIT 1`
    ]
  },
  {
    table: "execution_code",
    ready: `SELECT p.id, p.revision, p.seq, p.position, ${unpackedLength("c.code")} AS size
      FROM execution_code_search_pending AS p LEFT JOIN execution_code AS c ON c.rowid = p.id
      ORDER BY p.id LIMIT ${lookedAt}`,
    piece: [`SELECT -1 AS seq, code AS a, NULL AS b, NULL AS c FROM execution_code WHERE rowid = :id AND :seq < 0`]
  }
]

interface Place {
  /** The number of the piece; those before are in the index. */
  readonly seq: number
  /** The units of this piece that are in the index. */
  readonly position: number
}

interface Pending extends Place {
  readonly id: number
  readonly revision: number
  /** Null where the row is gone. */
  readonly size: number | null
}

/** What a step has gathered of a row: up to a place, or all. */
interface Gathered {
  readonly row: Pending
  readonly next: Place | undefined
}

/**
 * Makes what takes a step, if there is something to do, and gives whether there may be more. The connection must be one that
 * may write; what SQLite throws is thrown.
 */
export const makeSearchIndex = (
  database: Database.Database,
  limits: SearchIndexLimits = defaultLimits
): (() => boolean) => {
  registerPackedText(database)
  const steps = sources.map((source) => makeIndex(database, source, limits))
  return () => steps.map((step) => step()).includes(true)
}

const makeIndex = (
  database: Database.Database,
  { piece, ready, table }: Source,
  { keptRows, keptUnits, stepUnits }: SearchIndexLimits
): (() => boolean) => {
  const index = `${table}_search`
  const pendingTable = `${index}_pending`
  const readyRows = database.prepare<[], Pending>(ready)
  const pieces = piece.map((text) => database.prepare<{ id: number; seq: number }, PieceRow>(text))
  const unchanged = database.prepare<[number, number]>(`SELECT 1 FROM ${pendingTable} WHERE id = ? AND revision = ?`)
  const remove = database.prepare<[number]>(`DELETE FROM ${pendingTable} WHERE id = ?`)
  const advance = database.prepare<[number, number, number]>(
    `UPDATE ${pendingTable} SET seq = ?, position = ? WHERE id = ?`
  )
  const register = database.prepare<[number]>(`INSERT INTO ${index}_document (row_group) VALUES (?)`)
  const add = database.prepare<[number | bigint, string]>(`INSERT INTO ${index} (rowid, text) VALUES (?, ?)`)
  const anyRow = database.prepare<[number, number]>(`SELECT 1 FROM ${table} WHERE rowid BETWEEN ? AND ? LIMIT 1`)
  const unregister = database
    .prepare<[number], number>(`DELETE FROM ${index}_document WHERE row_group = ? RETURNING id`)
    .pluck()
  const removeDocument = database.prepare<[number]>(`DELETE FROM ${index} WHERE rowid = ?`)
  const merge = database.prepare<[number]>(`INSERT INTO ${index} (${index}, rank) VALUES ('merge', ?)`)

  /** A long piece is read once, and not again for each of its steps. */
  let last: { readonly id: number; readonly revision: number; readonly seq: number; readonly text: string } | undefined

  /** The piece at a place or after it, if there is one. */
  const readPiece = (
    { id, revision }: Pending,
    seq: number
  ): { readonly seq: number; readonly text: string } | undefined => {
    if (last?.id === id && last.revision === revision && last.seq === seq) return last
    for (const statement of pieces) {
      const row = statement.get({ id, seq })
      if (row !== undefined)
        return {
          seq: row.seq,
          text: [row.a, row.b, row.c]
            .filter((text) => text !== null)
            .map(textOf)
            .join("\n")
        }
    }
    return undefined
  }

  /** Adds text of a row to a document, up to its end or to what a step may have. */
  const gather = (
    row: Pending,
    parts: Array<string>,
    units: number
  ): { readonly units: number; readonly next?: Place } => {
    let { position, seq } = row
    for (;;) {
      const piece = row.size === null ? undefined : readPiece(row, seq)
      if (piece === undefined) return { units }
      if (piece.seq !== seq) position = 0
      const end = position + Math.max(stepUnits - units, 1)
      parts.push(piece.text.slice(position, end + searchedUnits))
      units += Math.min(end, piece.text.length) - position
      if (piece.text.length > end) {
        last = { id: row.id, revision: row.revision, ...piece }
        return { units, next: { seq: piece.seq, position: end } }
      }
      last = undefined
      seq = piece.seq + 1
      position = 0
      if (units >= stepUnits) return { units, next: { seq, position } }
    }
  }

  /** Text of the first rows, as much as a step may have. A group is not begun that is likely to be cut. */
  const gatherStep = (rows: ReadonlyArray<Pending>) => {
    const gathered: Array<Gathered> = []
    const texts = new Map<number, Array<string>>()
    let units = 0
    for (const [i, row] of rows.entries()) {
      const group = groupOf(row.id)
      const parts = texts.get(group) ?? []
      if (parts.length === 0 && units > 0 && units + sizeOfGroup(rows, i) > stepUnits) break
      texts.set(group, parts)
      const { next, units: now } = gather(row, parts, units)
      units = now
      gathered.push({ row, next })
      if (next !== undefined || units >= stepUnits) break
    }
    return { gathered, texts }
  }

  const write = database.transaction(({ gathered, texts }: ReturnType<typeof gatherStep>): boolean => {
    if (!gathered.every(({ row }) => unchanged.get(row.id, row.revision) !== undefined)) return false
    for (const [group, parts] of texts) {
      const text = indexedText(parts.join("\n"))
      if (text.length >= 3) add.run(register.run(group).lastInsertRowid, text)
    }
    for (const { next, row } of gathered) {
      if (next === undefined) remove.run(row.id)
      else advance.run(next.seq, next.position, row.id)
    }
    const gone = gathered.filter(({ row }) => row.size === null).map(({ row }) => groupOf(row.id))
    for (const group of new Set(gone)) {
      if (anyRow.get(group * 2 ** groupBits, (group + 1) * 2 ** groupBits - 1) !== undefined) continue
      for (const id of unregister.all(group)) removeDocument.run(id)
    }
    return true
  })

  /** The rows that are due: the oldest, until few enough are left. */
  const due = (): Array<Pending> => {
    const rows = readyRows.all()
    let units = 0
    for (const { size } of rows) units += size ?? 0
    let end = 0
    while (end < rows.length && (rows.length - end > keptRows || units > keptUnits)) units -= rows[end++]?.size ?? 0
    return rows.slice(0, end)
  }

  /** What was due when it was last looked at. */
  let queue: Array<Pending> = []

  return () => {
    if (queue.length === 0) queue = due()
    if (queue.length === 0) return false
    const step = gatherStep(queue)
    if (!write.immediate(step)) queue = []
    const unfinished = step.gathered.at(-1)
    queue.splice(0, step.gathered.length)
    if (unfinished?.next !== undefined) queue.unshift({ ...unfinished.row, ...unfinished.next })
    merge.run(mergedPages)
    return true
  }
}

interface PieceRow {
  readonly seq: number
  readonly a: string | Uint8Array | null
  readonly b: string | Uint8Array | null
  readonly c: string | Uint8Array | null
}

const sizeOfGroup = (rows: ReadonlyArray<Pending>, start: number): number => {
  let size = 0
  for (let i = start; i < rows.length; i++) {
    const row = rows[i]
    if (row === undefined || groupOf(row.id) !== groupOf(rows[start]?.id ?? 0)) break
    size += row.size ?? 0
  }
  return size
}

const groupOf = (id: number): number => Math.floor(id / 2 ** groupBits)
