/**
 * Which namespaces and paths tools can have: each segment is reached by a property access on the sandbox's `tools` object.
 *
 * A plugin whose operations are named by somebody else turns those names into segments with {@link toSegments}.
 */

/** Namespaces that the sandbox's `tools` object uses itself: `tools.search`, `tools.describe.tool`, `tools.executor`. */
export const reservedNamespaces: ReadonlyArray<string> = ["executor", "search", "describe"]

/** A whole path; it is an index key and a column of every recorded call. */
export const maxPathLength = 256

const namespacePattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const segmentPattern = /^[A-Za-z0-9_$-]{1,128}$/

/** Whether text can be a segment of a path below the namespace. */
export const isPathSegment = (segment: string): boolean => segmentPattern.test(segment)

/** What is wrong with a namespace, or `undefined`. */
export const namespaceProblem = (namespace: string): string | undefined => {
  if (!namespacePattern.test(namespace)) {
    return `a namespace is a letter, then at most 63 letters, digits, "_" or "-", not ${JSON.stringify(namespace)}`
  }
  return reservedNamespaces.includes(namespace) ? `the namespace "${namespace}" is reserved: choose another` : undefined
}

/** What is wrong with the name of a tool below its namespace, or `undefined`. */
export const toolNameProblem = (namespace: string, name: string): string | undefined => {
  if (!name.split(".").every(isPathSegment)) {
    return `a tool name is segments of letters, digits, "_", "$" or "-" (at most 128 each) joined by dots, not ${JSON.stringify(name)}`
  }
  return namespace.length + 1 + name.length > maxPathLength
    ? `the path ${namespace}.${name} is longer than ${maxPathLength} characters`
    : undefined
}

/** Made segments are at most this long, so that a suffix still fits. */
const maxMadeLength = 100

/**
 * A segment for each name, all different, in the same order. A name that can be a segment stays as it is; in others each
 * character that cannot be in one becomes `_`, and a number is added to what would be a duplicate. The same names give the
 * same segments.
 */
export const toSegments = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const taken = new Set(names.filter(isPathSegment))
  const kept = new Set<string>()
  return names.map((name) => {
    if (isPathSegment(name) && !kept.has(name)) {
      kept.add(name)
      return name
    }
    const base = name.replaceAll(/[^A-Za-z0-9_$-]+/g, "_").slice(0, maxMadeLength) || "tool"
    let made = base
    for (let count = 2; taken.has(made); count++) made = `${base}_${count}`
    taken.add(made)
    return made
  })
}
