/**
 * Untrusted text on a terminal.
 *
 * Results, tool descriptions, log lines and error messages come from programs and servers that nobody vouches for. Printed as
 * they are they could move the cursor, rewrite what stands above, or set the clipboard. Everything the command prints passes
 * through {@link neutralise} (for people) or {@link neutraliseJson} (for programs) on its way out.
 */
import { CliOutput } from "effect/cli"

// Controls of ASCII but tab and newline, DEL and the second control block, marks that reorder text, line and paragraph
// separators, and lone surrogates.
const dangerous =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const escapeCharacter = (character: string): string => {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`
}

/** Makes control characters visible (`\x1b`). Newlines and tabs stay; a carriage return before a newline goes. */
export const neutralise = (text: string): string => text.replaceAll("\r\n", "\n").replace(dangerous, escapeCharacter)

/** The same on one line: runs of white space become one space. */
export const neutraliseLine = (text: string): string => neutralise(text.replace(/\s+/g, " ").trim())

/**
 * Makes JSON text safe to show without changing what it says: in JSON such characters only stand inside strings, where
 * `\uXXXX` means the same.
 */
export const neutraliseJson = (json: string): string =>
  json.replace(dangerous, (character) =>
    character === "\r" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** How many cells of a terminal the text takes. */
export const displayWidth = CliOutput.displayWidth

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** Cuts the text so that it takes at most `width` cells, the last of them an ellipsis when something was cut. */
export const truncate = (text: string, width: number): string => {
  if (displayWidth(text) <= width) return text
  let result = ""
  let used = 0
  for (const { segment } of segmenter.segment(text)) {
    const next = displayWidth(segment)
    if (used + next > width - 1) break
    result += segment
    used += next
  }
  return `${result}…`
}

/** So many of something. */
export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`
