/**
 * The mark of a fork in the options of its row: whoever goes on with it takes results from its parent.
 */
import type { Submission } from "./Submission.ts"

/** A submission whose row says that its execution is a fork of its parent. */
export const marked = (submission: Submission): Submission => ({
  ...submission,
  optionsJson: JSON.stringify({ ...(JSON.parse(submission.optionsJson ?? "{}") as object), fork: true })
})

/** Whether the options of a row say so. */
export const isMarked = (optionsJson: string | null): boolean =>
  optionsJson !== null && (JSON.parse(optionsJson) as { readonly fork?: boolean }).fork === true
