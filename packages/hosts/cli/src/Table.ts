/**
 * Tables for people: aligned by what a terminal shows, one line a row. Long cells are cut to the width of the terminal, and of
 * {@link pipedWidth} where there is none; programs, and people who want all of it, use `--json`.
 */
import { Effect } from "effect"
import { Output, rendered } from "./Output.ts"
import { displayWidth, neutraliseLine, truncate } from "./Text.ts"

/** One column. */
export interface Column<A> {
  readonly header: string
  readonly value: (row: A) => string
  /** Numbers read better at the right. */
  readonly align?: "left" | "right"
  /** May be cut when the table is wider than the terminal. */
  readonly flexible?: boolean
  /** Left out when cutting is not enough; of several columns the lowest number goes first. */
  readonly dispensable?: number
}

/** The width of tables that go into a pipe or a file, where they are read with `less` and `grep`. */
export const pipedWidth = 120

const gap = "  "

/** Longer cells are cut first: nobody reads so much in a table, and measuring a megabyte by grapheme takes a second. */
const maxCellLength = 500

const shorten = (text: string): string => (text.length <= maxCellLength ? text : `${text.slice(0, maxCellLength - 1)}…`)

/** A flexible column is not cut below this many cells: less says nothing. */
const minimumFlexibleWidth = 12

/** The columns that have room beside each other when all that may be cut are. */
const choose = <A>(
  columns: ReadonlyArray<Column<A>>,
  widths: ReadonlyArray<number>,
  available: number
): ReadonlyArray<number> => {
  const least = (index: number): number =>
    columns[index]?.flexible === true ? Math.min(widths[index] ?? 0, minimumFlexibleWidth) : (widths[index] ?? 0)
  const chosen = columns.map((_, index) => index)
  for (;;) {
    if (chosen.reduce((sum, index) => sum + least(index) + gap.length, -gap.length) <= available) return chosen
    const dispensable = chosen
      .filter((index) => columns[index]?.dispensable !== undefined)
      .toSorted((left, right) => (columns[left]?.dispensable ?? 0) - (columns[right]?.dispensable ?? 0))
    const [first] = dispensable
    if (first === undefined) return chosen
    chosen.splice(chosen.indexOf(first), 1)
  }
}

const fit = <A>(
  columns: ReadonlyArray<Column<A>>,
  widths: ReadonlyArray<number>,
  available: number
): ReadonlyArray<number> => {
  const result = [...widths]
  let excess = result.reduce((sum, width) => sum + width, 0) + gap.length * (columns.length - 1) - available
  while (excess > 0) {
    const widest = columns.reduce(
      (best, column, index) =>
        column.flexible === true &&
        (result[index] ?? 0) > minimumFlexibleWidth &&
        (best === -1 || (result[index] ?? 0) > (result[best] ?? 0))
          ? index
          : best,
      -1
    )
    if (widest === -1) break
    result[widest] = (result[widest] ?? 0) - 1
    excess--
  }
  return result
}

/**
 * Renders rows as lines under a header, each ending in a newline. Cells are made safe for a terminal. With `width`, flexible
 * columns are cut to fit into so many cells, and dispensable ones left out when that is not enough.
 */
export const renderTable = <A>(
  allColumns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  options?: { readonly width?: number | undefined }
): string => {
  const all = allColumns.map((column) => {
    const cells = rows.map((row) => neutraliseLine(shorten(column.value(row))))
    const width = cells.reduce((width, cell) => Math.max(width, displayWidth(cell)), displayWidth(column.header))
    return { column, cells: [column.header, ...cells], width }
  })
  const available = options?.width ?? Number.POSITIVE_INFINITY
  const naturalWidths = all.map(({ width }) => width)
  const chosen = choose(allColumns, naturalWidths, available).flatMap((index) => all[index] ?? [])
  const widths = fit(
    chosen.map(({ column }) => column),
    chosen.map(({ width }) => width),
    available
  )
  const cell = (column: Column<A>, text: string, width: number): string => {
    const cut = truncate(text, width)
    const padding = " ".repeat(Math.max(0, width - displayWidth(cut)))
    return column.align === "right" ? padding + cut : cut + padding
  }
  const line = (row: number): string =>
    chosen
      .map(({ cells, column }, index) => cell(column, cells[row] ?? "", widths[index] ?? 0))
      .join(gap)
      .trimEnd()
  return [-1, ...rows.keys()].map((row) => `${line(row + 1)}\n`).join("")
}

/** Prints rows as a table on stdout. */
export const printTable = Effect.fnUntraced(function* <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>) {
  const { stdout } = yield* Output
  yield* rendered(renderTable(columns, rows, { width: stdout.columns ?? pipedWidth }))
})
