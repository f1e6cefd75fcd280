/**
 * What a load consists of, and what is told of it: between the process that sends it and the one that started that.
 */

/** What to send, and where. */
export interface Load {
  readonly url: string
  readonly count: number
}

/** What the caller of one submission was told. */
export interface Answer {
  /** Which submission it was, from 0; its code returns the same. */
  readonly number: number
  /** Nothing if the connection broke. */
  readonly status: number | undefined
  readonly retryAfter: string | undefined
  readonly contentType: string | undefined
  /** The body, or how the connection broke. */
  readonly text: string
}

/** How many have been answered so far, and at the end with what. */
export type Told =
  | { readonly _tag: "Progress"; readonly served: number; readonly refused: number }
  | { readonly _tag: "Done"; readonly answers: ReadonlyArray<Answer>; readonly durationMs: number }

/** How many writes each submission makes, one after another. */
export const writesEach = 3

/** The body of a submission. */
export const bodyOf = (number: number): string =>
  JSON.stringify({
    code: `for (let step = 0; step < ${writesEach}; step++) await tools.load.write({ number: ${number}, step })\nreturn ${number}`,
    approve: ["load.write"]
  })
