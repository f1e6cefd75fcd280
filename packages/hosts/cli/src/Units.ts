/**
 * Durations, sizes and counts as people write them: `500ms`, `2s`, `10m`, `64mb`, `10000`.
 */
import { Result } from "effect"

const durations: { readonly [unit: string]: number } = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

const sizes: { readonly [unit: string]: number } = {
  b: 1,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3
}

const parse =
  (units: { readonly [unit: string]: number }, expected: string) =>
  (text: string): Result.Result<number, string> => {
    const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim())
    const factor = match === null ? undefined : units[match[2]?.toLowerCase() ?? ""]
    if (match === null || factor === undefined) return Result.fail(expected)
    const value = Number(match[1]) * factor
    return Number.isSafeInteger(value) && value > 0 ? Result.succeed(value) : Result.fail(expected)
  }

/** A duration with its unit (`ms`, `s`, `m`, `h`, `d`), in milliseconds; or what was expected. */
export const parseDuration = parse(durations, "a duration with its unit, such as 500ms, 2s, 10m, 1h or 7d")

/** A size with its unit (`b`, `kb`, `mb`, `gb`; 1 kb is 1024 bytes), in bytes; or what was expected. */
export const parseSize = parse(sizes, "a size with its unit, such as 256kb, 64mb or 1gb")

/** A positive whole number; or what was expected. */
export const parseCount = (text: string): Result.Result<number, string> => {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) && value > 0
    ? Result.succeed(value)
    : Result.fail("a positive whole number, such as 64")
}

/** Bytes for people: `512 bytes`, `1.5 kb`, `64 mb`. */
export const formatSize = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} byte${bytes === 1 ? "" : "s"}`
  const [unit = "gb", size = 1] = Object.entries(sizes).findLast(([, size]) => bytes >= size) ?? []
  return `${(bytes / size).toFixed(1).replace(/\.0$/, "")} ${unit}`
}

/** Milliseconds for people: `12 ms`, `3.4 s`, `2 min 5 s`, `3 h 2 min`. */
export const formatDuration = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(ms / 60_000)
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
