/**
 * Durations as a histogram, so that percentiles of any number of executions are a sum over a few bins.
 *
 * The bins are those of HDR histograms (hdrhistogram.org): exact below 16 ms, and above it eight to each doubling. So a
 * percentile, given as the largest duration of its bin, is at most an eighth too high, and never too low.
 */

/** Durations below this have a bin each. */
const exact = 16

/** The bin of a duration in milliseconds. */
export const durationBin = (durationMs: number): number => {
  const value = Math.max(0, Math.floor(durationMs))
  if (value < exact) return value
  const exponent = Math.floor(Math.log2(value))
  return exact + (exponent - 4) * 8 + Math.floor(value / 2 ** (exponent - 3)) - 8
}

/** The largest duration of a bin, in milliseconds. */
const binEnd = (bin: number): number => {
  if (bin < exact) return bin
  const exponent = 4 + Math.floor((bin - exact) / 8)
  return (9 + ((bin - exact) % 8)) * 2 ** (exponent - 3) - 1
}

/** The duration that a share of the executions did not exceed; null where there are none. */
export const percentile = (bins: ReadonlyMap<number, number>, share: number): number | null => {
  const ordered = [...bins].toSorted(([left], [right]) => left - right)
  const total = ordered.reduce((sum, [, count]) => sum + count, 0)
  let below = 0
  for (const [bin, count] of ordered) {
    below += count
    if (below >= share * total) return binEnd(bin)
  }
  return null
}
