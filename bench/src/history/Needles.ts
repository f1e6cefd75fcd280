/**
 * Rare texts, each in a few executions of a history of any size: what a search has to find.
 */
const count = 8

/** So many executions hold each text. */
const executionsEach = 3

export const needle = {
  count,
  /** The text in code. */
  code: (number: number): string => `zebra-ledger-${number}-quorum`,
  /** The text in arguments or results. */
  call: (number: number): string => `KX-77${number}-vantablack`,
  /** The number of the text that an execution holds at `offset` from those that could, if it does. */
  of: (index: number, executions: number, offset: number): number | undefined => {
    const step = Math.floor(executions / (count * executionsEach))
    return step > 0 && index % step === offset % step ? Math.floor(index / step) % count : undefined
  }
}
