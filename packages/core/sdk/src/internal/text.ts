/**
 * Text from sources: descriptions and schemas that somebody else wrote, and that people and models will read.
 *
 * Lengths are capped, and characters that a reader cannot see are removed: control characters, direction overrides,
 * zero-width characters and the invisible tag block, all of which have been used to hide instructions in descriptions.
 */
import { shorten } from "./json.ts"
import { dropped, isSchemaData, rebuildSchema } from "./rebuildSchema.ts"

/** Far longer than any real documentation of one operation, which is shown whole where the tool is described. */
export const maxDescriptionLength = 262_144

/** Descriptions in lists and searches, where many are read at once. Only these are searched, too. */
export const maxListedDescriptionLength = 4096

/** A title is a line. */
export const maxTitleLength = 200

/** The schemas of one tool, as JSON text, in characters. Beyond this a caller could not read it anyway. */
export const maxSchemaLength = 524_288

const unseen = /(?![\n\t])[\p{Cc}\p{Cf}]/gu

/** Text without unseen characters, at most `length` long. */
export const cleanText = (text: string, length: number): string =>
  shorten(text.replaceAll("\r\n", "\n").replace(unseen, "").trim(), length)

const prose = new Set(["title", "description", "$comment", "markdownDescription"])

/** A JSON Schema whose descriptions are clean, without keywords that are `null`; data in it stays as it is. */
export const cleanSchema = (schema: unknown): unknown =>
  rebuildSchema(schema, (key, value) => {
    if (value === null && !isSchemaData(key)) return dropped
    return prose.has(key) && typeof value === "string" ? cleanText(value, maxDescriptionLength) : value
  })
