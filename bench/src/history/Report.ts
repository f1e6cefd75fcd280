/**
 * Figures as text: a line each while they are taken, and a table of all sizes at the end.
 */
import type { Figure } from "./Measures.ts"

const round = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

const isMissed = ({ aim, value }: Figure): boolean => aim !== undefined && value > aim

/** A figure with its aim and its ratio to the baseline, which is the first one. */
export const lineOf = (figure: Figure, baseline: Figure | undefined): string => {
  const { aim, name, note = "", unit, value } = figure
  const aimed = aim === undefined ? "" : `aim ${aim} ${isMissed(figure) ? "MISSED" : "met"}`
  const isComparable = baseline !== undefined && baseline !== figure && unit === "ms" && !name.startsWith("event loop")
  const ratio = isComparable ? `${round(value / baseline.value)} x` : ""
  return `${name.padEnd(58)} ${round(value).padStart(8)} ${unit.padEnd(2)} ${aimed.padEnd(16)} ${ratio.padStart(9)} ${note}`.trimEnd()
}

/** All sizes beside each other, with the growth from the smallest to the largest. */
export const growthTable = (title: string, bySize: ReadonlyMap<number, ReadonlyArray<Figure>>): string => {
  const sizes = [...bySize.keys()]
  const last = bySize.get(sizes.at(-1)!) ?? []
  const [baseline] = last
  const lines = last.map((figure) => {
    const all = sizes.map((size) => bySize.get(size)?.find(({ name }) => name === figure.name))
    const cells = all.map((figure) =>
      figure === undefined ? "" : isMissed(figure) ? `**${round(figure.value)}**` : round(figure.value)
    )
    const [first] = all
    const growth = first === undefined || sizes.length === 1 ? "" : `${round(figure.value / first.value)} x`
    const isComparable = baseline !== undefined && figure.unit === "ms" && !figure.name.startsWith("event loop")
    const ratio = isComparable ? `${round(figure.value / baseline.value)} x` : ""
    const aim = figure.aim === undefined ? "" : `${figure.aim} ${figure.unit}`
    return `| ${[`${figure.name}${figure.aim === undefined ? `, ${figure.unit}` : ""}`, aim, ...cells, growth, ratio, figure.note ?? ""].join(" | ")} |`
  })
  const heads = [title, "aim", ...sizes.map((size) => size.toLocaleString("en")), "growth", "of baseline", "worst"]
  return [`| ${heads.join(" | ")} |`, `|${heads.map(() => " --- |").join("")}`, ...lines].join("\n")
}
