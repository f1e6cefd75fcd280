/**
 * Which namespaces and paths tools can have: each segment is reached by a property access on the sandbox's `tools` object.
 */

/** Namespaces that the sandbox's `tools` object uses itself: `tools.search`, `tools.describe.tool`, `tools.executor`. */
export const reservedNamespaces: ReadonlyArray<string> = ["executor", "search", "describe"]

/** A whole path; it is an index key and a column of every recorded call. */
export const maxPathLength = 256

/** Segments that mean something else to JavaScript: `await tools.x` asks for `then`, the others are every object's own. */
const reservedSegments = new Set(["then", "constructor", "prototype", "__proto__"])

const namespacePattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const segmentPattern = /^[A-Za-z0-9_$-]{1,128}$/

/** Whether text can be a segment of a path below the namespace. */
export const isPathSegment = (segment: string): boolean =>
  segmentPattern.test(segment) && !reservedSegments.has(segment)

/** What is wrong with a namespace, or `undefined`. */
export const namespaceProblem = (namespace: string): string | undefined => {
  if (!namespacePattern.test(namespace)) {
    return `a namespace is a letter, then at most 63 letters, digits, "_" or "-", not ${JSON.stringify(namespace)}`
  }
  return reservedNamespaces.includes(namespace) || reservedSegments.has(namespace)
    ? `the namespace "${namespace}" is reserved: choose another`
    : undefined
}

/** What is wrong with the name of a tool below its namespace, or `undefined`. */
export const toolNameProblem = (namespace: string, name: string): string | undefined => {
  const segment = name.split(".").find((segment) => !isPathSegment(segment))
  if (segment !== undefined) {
    return reservedSegments.has(segment)
      ? `the tool name ${JSON.stringify(name)} has the reserved segment "${segment}"`
      : `a tool name is segments of letters, digits, "_", "$" or "-" (at most 128 each) joined by dots, not ${JSON.stringify(name)}`
  }
  return namespace.length + 1 + name.length > maxPathLength
    ? `the path ${namespace}.${name} is longer than ${maxPathLength} characters`
    : undefined
}
