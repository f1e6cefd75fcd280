/**
 * Errors of a request that had been sent, perhaps, when it ended without an answer.
 *
 * Names and codes are those of Node 24 and of undici 7, which is Node's `fetch`: a `TimeoutError` of `AbortSignal.timeout`, and the reason of
 * a `TypeError: fetch failed` in its `cause`. What fails before anything is sent has other codes, such as `ECONNREFUSED`, `ENOTFOUND`
 * and `UND_ERR_CONNECT_TIMEOUT`.
 */
import { Predicate } from "effect"

const names: ReadonlySet<unknown> = new Set(["TimeoutError", "AbortError"])

const codes: ReadonlySet<unknown> = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ETIMEDOUT",
  "UND_ERR_ABORTED",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_SOCKET"
])

/** Causes of causes that are looked at. */
const maxDepth = 4

/** Whether an error, or the cause of it, is of a request that may have been sent. */
export const isBrokenRequest = (error: unknown, depth = 0): boolean =>
  Predicate.isObject(error) &&
  (names.has(error["name"]) ||
    names.has(error["_tag"]) ||
    (codes.has(error["code"]) && error["syscall"] !== "connect") ||
    (depth < maxDepth && isBrokenRequest(error["cause"], depth + 1)))
