/**
 * What a schema found wrong with an input, by field and in words.
 */
import { type Schema, SchemaIssue } from "effect"

/** One thing that is wrong. The field is dotted, and empty for the whole input. */
export interface SchemaProblem {
  readonly field: string
  readonly message: string
}

/** Everything that is wrong. */
export const problemsOf = (error: Schema.SchemaError): ReadonlyArray<SchemaProblem> =>
  issuesOf(error.issue).issues.map(({ message, path = [] }) => ({
    field: path.map((key) => String(typeof key === "object" ? key.key : key)).join("."),
    message
  }))

/** The same as one sentence part. */
export const describeProblems = (problems: ReadonlyArray<SchemaProblem>): string =>
  problems.map(({ field, message }) => (field === "" ? message : `\`${field}\`: ${message}`)).join("; ")

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()
