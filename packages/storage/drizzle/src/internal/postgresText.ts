/**
 * Text with U+0000, which Postgres cannot hold.
 *
 * The characters U+0000 to U+0005 are written as two: first U+0001 or U+0002, then U+0003, U+0004 or U+0005. All other
 * text is stored as it is. What a first character of a pair is, is never a second one, and neither stands for itself, so
 * - every text can be read back, and two different ones stay different;
 * - a text contains, begins with or ends with another exactly where the stored ones do: no match begins or ends inside
 *   a pair;
 * - and the pairs are in the order of what they stand for, so that texts are too.
 */

const pairs = ["\u0001\u0003", "\u0001\u0004", "\u0001\u0005", "\u0002\u0003", "\u0002\u0004", "\u0002\u0005"]
const characters = new Map(pairs.map((pair, code) => [pair, String.fromCharCode(code)]))

// eslint-disable-next-line no-control-regex
const special = /[\u0000-\u0005]/
// eslint-disable-next-line no-control-regex
const pair = /[\u0001\u0002][\u0003-\u0005]/g

/** A text as it is stored. */
export const encodeText = (text: string): string =>
  special.test(text)
    ? text.replace(new RegExp(special, "g"), (character) => pairs[character.charCodeAt(0)] ?? character)
    : text

/** A stored text as it was written. */
export const decodeText = (stored: string): string =>
  special.test(stored) ? stored.replace(pair, (pair) => characters.get(pair) ?? pair) : stored
