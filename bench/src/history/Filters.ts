/**
 * The filters under which pages and counts are measured: some that select much, some that select little, by kind.
 */
import type { ListExecutionsOptions } from "@executor/sdk"
import { historyEnd } from "./History.ts"
import { needle } from "./Needles.ts"

/** Filters with a name for reports. */
export interface Named {
  readonly name: string
  readonly options: ListExecutionsOptions
}

const hour = 3_600_000
const day = 24 * hour

const status = (...values: NonNullable<ListExecutionsOptions["statusFilter"]>): Named => ({
  name: `status ${values.join(" ")}`,
  options: { statusFilter: values }
})
const trigger = (value: string): Named => ({ name: `trigger ${value}`, options: { triggerFilter: [value] } })
const tool = (...values: ReadonlyArray<string>): Named => ({
  name: `tool ${values.join(" ")}`,
  options: { toolPathFilter: values }
})
const code = (text: string): Named => ({ name: `code ${text}`, options: { codeQuery: text } })

const weekAgo = historyEnd - 7 * day

/** By kind; filters of one kind exclude each other. */
export const filters: ReadonlyArray<ReadonlyArray<Named>> = [
  [status("failed"), status("cancelled"), status("completed"), status("running"), status("!completed", "!failed")],
  [trigger("mcp"), trigger("cli"), trigger("unknown"), trigger("!mcp")],
  [
    tool("github.issues.list"),
    tool("filesystem.move"),
    tool("weather.*"),
    tool("*.create"),
    tool("!github.*"),
    tool("jira.sprints.get", "stripe.*")
  ],
  [
    { name: "a day", options: { timeRange: { from: weekAgo, to: weekAgo + day } } },
    { name: "before two months ago", options: { timeRange: { to: historyEnd - 60 * day } } },
    { name: "after an hour ago", options: { after: historyEnd - hour } }
  ],
  [code("github"), code(needle.code(2))],
  [
    { name: "asked", options: { hadElicitation: true } },
    { name: "not asked", options: { hadElicitation: false } }
  ]
]

/** Each filter by itself. */
export const singles: ReadonlyArray<Named> = filters.flat()

/** Each two that are not of one kind. */
export const pairs: ReadonlyArray<Named> = filters.flatMap((kind, index) =>
  filters.slice(index + 1).flatMap((other) =>
    kind.flatMap((left) =>
      other.map((right) => ({
        name: `${left.name} + ${right.name}`,
        options: { ...left.options, ...right.options }
      }))
    )
  )
)

/** The last 24 hours, ending some minutes before the end of the history: not the same ones each time. */
export const lastDay = (round: number): NonNullable<ListExecutionsOptions["timeRange"]> => {
  const to = historyEnd - (round % 50) * 60_000
  return { from: to - day, to }
}

/** Some days in the middle. */
export const someDays = (round: number): NonNullable<ListExecutionsOptions["timeRange"]> => {
  const from = historyEnd - (10 + (round % 60)) * day
  return { from, to: from + 3 * day }
}
