/**
 * Random choices that are the same in every run: one seed gives one history.
 */

/** A source of numbers, and choices made with them. */
export interface Random {
  /** From 0 to below 1. */
  readonly next: () => number
  /** A whole number from 0 to below `limit`. */
  readonly below: (limit: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(values: ReadonlyArray<A>) => A
  /** A number whose logarithm is normal: many near the median, few far above it. */
  readonly logNormal: (median: number, sigma: number) => number
  /** So many hexadecimal digits. */
  readonly hex: (digits: number) => string
}

/** Mulberry32: 32 bits of state, which is enough for data that only has to look random. */
export const make = (seed: number): Random => {
  let state = seed
  const bits = () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return (value ^ (value >>> 14)) >>> 0
  }
  const next = () => bits() / 2 ** 32
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick: (values) => values[below(values.length)]!,
    logNormal: (median, sigma) => {
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
      return median * Math.exp(sigma * normal)
    },
    hex: (digits) => {
      let text = ""
      while (text.length < digits) text += bits().toString(16).padStart(8, "0")
      return text.slice(0, digits)
    }
  }
}

/** Picks indexes by weight. */
export const weighted = (random: Random, weights: ReadonlyArray<number>): (() => number) => {
  let total = 0
  const sums = Float64Array.from(weights, (weight) => (total += weight))
  return () => {
    const wanted = random.next() * total
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle]! > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** The weights of Zipf's law: the second is used half as often as the first, the third a third as often. */
export const zipf = (count: number, exponent = 1): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, rank) => 1 / (rank + 1) ** exponent)
