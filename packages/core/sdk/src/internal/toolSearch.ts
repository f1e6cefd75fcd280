/**
 * Finding tools by words: a ranked index over path, name and description.
 */
import MiniSearch from "minisearch"
import type { ToolMatch } from "../Executor.ts"
import type { Tool } from "../Tool.ts"

/** An index of tools. */
export interface ToolIndex {
  /** Best first. A tool whose path is the query comes first; a query without words lists the tools by path. */
  readonly search: (
    query: string,
    options: { readonly namespace?: string | undefined; readonly limit: number }
  ) => ReadonlyArray<ToolMatch>
  /** Paths that look like one that does not exist. */
  readonly near: (path: string) => ReadonlyArray<string>
}

const maxSuggestions = 3

/** Documents indexed in one go: about 5 ms, after which other work gets its turn. */
const chunkSize = 100

/** Words of `createIssue`, `list_open-issues` and `HTTPServer2`, in lower case. */
const words = (text: string): Array<string> =>
  text
    .replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, "$1 $2")
    .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")

/** Indexes tools, without holding up other work for long. */
export const makeToolIndex = async (tools: ReadonlyArray<Tool>): Promise<ToolIndex> => {
  const byPath = new Map(tools.map((tool) => [tool.path, tool]))
  const sorted = tools.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  const index = new MiniSearch<Tool>({
    idField: "path",
    fields: ["path", "name", "description"],
    storeFields: ["namespace"],
    tokenize: words,
    processTerm: (term) => term,
    searchOptions: {
      boost: { path: 4, name: 3 },
      prefix: (term) => term.length >= 2,
      fuzzy: (term) => (term.length >= 4 ? 0.2 : false),
      weights: { prefix: 0.5, fuzzy: 0.2 }
    }
  })
  if (tools.length <= chunkSize) index.addAll(tools)
  else await index.addAllAsync(tools, { chunkSize })

  const search: ToolIndex["search"] = (query, { namespace, limit }) => {
    const inNamespace = (tool: Tool) => namespace === undefined || tool.namespace === namespace
    if (words(query).length === 0) {
      return sorted
        .filter(inNamespace)
        .slice(0, limit)
        .map((tool) => ({ tool, score: 0 }))
    }
    const exact = query.trim().toLowerCase()
    return index
      .search(query, namespace === undefined ? {} : { filter: (result) => result["namespace"] === namespace })
      .flatMap((result): ReadonlyArray<ToolMatch> => {
        const tool = byPath.get(String(result.id))
        if (tool === undefined) return []
        const isExact = tool.path.toLowerCase() === exact
        return [{ tool, score: isExact ? result.score + exactBonus : result.score }]
      })
      .toSorted((a, b) => b.score - a.score || (a.tool.path < b.tool.path ? -1 : 1))
      .slice(0, limit)
  }

  const near: ToolIndex["near"] = (path) => {
    const last = (text: string) => text.slice(text.lastIndexOf(".") + 1).toLowerCase()
    const matches = index.search(path, { fields: ["path"], fuzzy: 0.3 })
    return matches
      .map((match) => ({
        path: String(match.id),
        score: match.score * (last(String(match.id)) === last(path) ? 2 : 1)
      }))
      .toSorted((a, b) => b.score - a.score)
      .slice(0, maxSuggestions)
      .map((match) => match.path)
  }

  return { search, near }
}

/** Above any score that words can reach. */
const exactBonus = 1_000_000
