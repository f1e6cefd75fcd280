/**
 * Text that is cut to a size.
 */

/** The first `limit` UTF-16 units of a text, never half a surrogate pair, with a mark that says how much is missing. */
export const cut = (text: string, limit: number): string => {
  if (text.length <= limit) return text
  const last = text.charCodeAt(limit - 1)
  const end = last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit
  return `${text.slice(0, end)}… (cut: ${end.toLocaleString("en")} of ${text.length.toLocaleString("en")} characters)`
}
