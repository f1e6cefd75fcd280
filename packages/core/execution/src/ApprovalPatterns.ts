/**
 * Patterns that name tools whose approval is granted beforehand.
 *
 * A pattern is a path in which `*` may stand for whole segments, one or more: `github.issues.create` is that tool,
 * `github.*` all tools of a source, `*.create` every tool whose last segment is `create`, and `*` all tools. A `*` that is
 * only a part of a segment (`git*`) is refused rather than guessed at.
 */

/** Room for any real path; longer ones are mistakes. */
export const maxPatternLength = 512

/** Each approval is held against each pattern. */
export const maxPatterns = 256

/** Whether a tool is granted. */
export type ApprovalMatcher = (toolPath: string) => boolean

/** A matcher for the patterns, or what is wrong with the first one that is none. */
export const parse = (
  patterns: ReadonlyArray<string>
): { readonly matches: ApprovalMatcher } | { readonly problem: string } => {
  if (patterns.length === 0) return { matches: () => false }
  if (patterns.length > maxPatterns) {
    return { problem: `there are ${patterns.length} patterns, at most ${maxPatterns} are allowed: use wider ones` }
  }
  for (const pattern of patterns) {
    const problem = problemOf(pattern)
    if (problem !== undefined) return { problem }
  }
  const parsed = patterns.map((pattern) => pattern.split("."))
  return {
    matches: (toolPath) => {
      const path = toolPath.split(".")
      return parsed.some((pattern) => matchSegments(pattern, path))
    }
  }
}

const problemOf = (pattern: string): string | undefined => {
  const hint = "write a path (`github.issues.create`), or use `*` for whole segments (`github.*`, `*.create`, `*`)"
  if (typeof pattern !== "string") return `a pattern is a string: ${hint}`
  if (pattern.length > maxPatternLength) return `a pattern has at most ${maxPatternLength} characters: ${hint}`
  const shown = JSON.stringify(pattern)
  if (pattern === "") return `a pattern is empty: ${hint}`
  if (/\s/.test(pattern)) return `the pattern ${shown} has a blank in it: ${hint}`
  for (const segment of pattern.split(".")) {
    if (segment === "") return `the pattern ${shown} has an empty segment: ${hint}`
    if (segment !== "*" && segment.includes("*")) {
      return `the pattern ${shown} has a \`*\` inside a segment: ${hint}`
    }
  }
  return undefined
}

/**
 * Greedy with one point of return: on a mismatch the latest `*` takes one segment more. Earlier ones never need to, so the
 * cost stays at pattern times path.
 */
const matchSegments = (pattern: ReadonlyArray<string>, path: ReadonlyArray<string>): boolean => {
  let p = 0
  let i = 0
  let star = -1
  let taken = 0
  while (i < path.length) {
    if (p < pattern.length && pattern[p] === "*") {
      star = p++
      taken = ++i
    } else if (p < pattern.length && pattern[p] === path[i]) {
      p++
      i++
    } else if (star >= 0) {
      p = star + 1
      i = ++taken
    } else {
      return false
    }
  }
  return p === pattern.length
}
