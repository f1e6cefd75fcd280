/**
 * Tables for people: aligned by what a terminal shows, cut to its width, plain when there is no terminal.
 */
import { displayWidth, neutraliseLine, truncate } from "./Text.ts"

/** One column. */
export interface Column<A> {
  readonly header: string
  readonly value: (row: A) => string
  /** Numbers read better at the right. */
  readonly align?: "left" | "right"
  /** May be cut when the table is wider than the terminal. */
  readonly flexible?: boolean
}

const gap = "  "

/** Longer cells are cut first: nobody reads so much in a table, and measuring a megabyte by grapheme takes a second. */
const maxCellLength = 500

/** A flexible column is not cut below this many cells: less says nothing. */
const minimumFlexibleWidth = 12

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
 * columns are cut to fit into so many cells.
 */
export const renderTable = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  options?: { readonly width?: number | undefined }
): string => {
  const cells = rows.map((row) => columns.map((column) => neutraliseLine(column.value(row).slice(0, maxCellLength))))
  const natural = columns.map((column, index) =>
    cells.reduce((width, row) => Math.max(width, displayWidth(row[index] ?? "")), displayWidth(column.header))
  )
  const widths = options?.width === undefined ? natural : fit(columns, natural, options.width)
  const line = (texts: ReadonlyArray<string>): string =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0
        const text = truncate(texts[index] ?? "", width)
        const padding = " ".repeat(Math.max(0, width - displayWidth(text)))
        return column.align === "right" ? padding + text : text + padding
      })
      .join(gap)
      .trimEnd()
  return [columns.map((column) => column.header), ...cells].map((row) => `${line(row)}\n`).join("")
}
