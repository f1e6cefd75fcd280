/**
 * Random filters and sorts of a list of executions.
 */
import * as fc from "fast-check"
import { type ExecutionSort, type ListExecutionsOptions, StatusFilter } from "../ExecutionList.ts"

/** Every sort. */
export const sorts: ReadonlyArray<ExecutionSort> = [
  { field: "createdAt", direction: "desc" },
  { field: "createdAt", direction: "asc" },
  { field: "durationMs", direction: "desc" },
  { field: "durationMs", direction: "asc" }
]

const optional = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined, freq: 3 })

/** Filters of the given values, any of them or none. */
export const anyFilters = (values: {
  readonly triggers: ReadonlyArray<string>
  readonly tools: ReadonlyArray<string>
  readonly times: ReadonlyArray<number>
  readonly codes: ReadonlyArray<string>
  readonly queries: ReadonlyArray<string>
}): fc.Arbitrary<ListExecutionsOptions> => {
  const anyTime = fc.constantFrom(...values.times)
  return fc
    .record({
      statusFilter: optional(fc.subarray([...StatusFilter.literals], { maxLength: 4 })),
      triggerFilter: optional(fc.subarray([...values.triggers], { maxLength: 4 })),
      toolPathFilter: optional(fc.subarray([...values.tools], { maxLength: 3 })),
      timeRange: optional(
        fc.record({ from: optional(anyTime), to: optional(anyTime) }).map(({ from, to }) => ({
          ...(from !== undefined && { from }),
          ...(to !== undefined && (from === undefined || from <= to) && { to })
        }))
      ),
      after: optional(anyTime),
      codeQuery: optional(fc.constantFrom(...values.codes)),
      query: optional(fc.constantFrom(...values.queries)),
      hadElicitation: optional(fc.boolean())
    })
    .map((options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)))
}
