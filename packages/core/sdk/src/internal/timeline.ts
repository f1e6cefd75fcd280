/**
 * The buckets of a list's timeline: how wide they are for a range, and which there are.
 */

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const week = 7 * day

/**
 * Widths that people read at a glance, narrowest first. A range beyond them takes multiples of the last. The long ones are weeks,
 * as the periods of the rollups are, so that few rows are added up.
 */
const bucketWidths = [
  second,
  5 * second,
  15 * second,
  30 * second,
  minute,
  5 * minute,
  15 * minute,
  30 * minute,
  hour,
  3 * hour,
  6 * hour,
  12 * hour,
  day,
  2 * day,
  week,
  2 * week,
  4 * week,
  12 * week,
  52 * week
]

/**
 * A chart of more bars than this is not readable on a small screen. And with it, buckets shorter than the hour of the
 * rollups are those of less than a day, whose executions are counted one by one.
 */
export const maxBuckets = 40

/** The start of the bucket that a time is in. Buckets are aligned to the epoch. */
export const bucketStart = (time: number, width: number): number => Math.floor(time / width) * width

const bucketCount = (first: number, last: number, width: number): number =>
  (bucketStart(last, width) - bucketStart(first, width)) / width + 1

/** The narrowest width that covers the range, both ends included, with at most {@link maxBuckets} buckets. */
export const bucketWidth = (first: number, last: number): number => {
  const fitting = bucketWidths.find((width) => bucketCount(first, last, width) <= maxBuckets)
  if (fitting !== undefined) return fitting
  const widest = 52 * week
  return widest * Math.ceil((last - first) / (widest * (maxBuckets - 1)))
}

/** The starts of all buckets of the range, both ends included. */
export const bucketStarts = (first: number, last: number, width: number): ReadonlyArray<number> =>
  Array.from({ length: bucketCount(first, last, width) }, (_, index) => bucketStart(first, width) + index * width)
