/**
 * Code, arguments, results and logs as they are stored: whole or not at all, and the same code once.
 */
import { sha256 } from "@noble/hashes/sha2.js"
import type { Effect } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { codePreviewLength } from "../Execution.ts"
import { maxPayloadBytes, PayloadTooLarge } from "../ExecutionStore.ts"
import type { ScopeId } from "../Ids.ts"

const encoder = new TextEncoder()

/** Fails if one of the texts is larger than what is stored. */
export const checkPayloads = (texts: {
  readonly [field: string]: string | null | undefined
}): Effect.Effect<void, PayloadTooLarge> | undefined => {
  for (const field in texts) {
    const text = texts[field]
    // A character takes at most three bytes in UTF-8, so most texts need no counting.
    if (text === null || text === undefined || text.length * 3 <= maxPayloadBytes) continue
    const bytes = encoder.encode(text).length
    if (bytes <= maxPayloadBytes) continue
    return new PayloadTooLarge({
      message: `${field} has ${bytes} bytes, and at most ${maxPayloadBytes} are stored. Keep large data elsewhere, and a reference to it here.`,
      field,
      bytes,
      limit: maxPayloadBytes
    })
  }
  return undefined
}

/**
 * The id under which code is stored: 192 bits of SHA-256 over the scope and the code, in base64url. Nobody can make two
 * codes with one id, which takes 2^96 tries.
 */
export const codeId = (scopeId: ScopeId, code: string): string =>
  Base64Url.encode(sha256(encoder.encode(JSON.stringify([scopeId, code]))).subarray(0, 24))

/** The beginning of code, not ending in half a character. */
export const codePreview = (code: string): string => {
  const preview = code.slice(0, codePreviewLength)
  return preview.isWellFormed() ? preview : preview.slice(0, -1)
}
