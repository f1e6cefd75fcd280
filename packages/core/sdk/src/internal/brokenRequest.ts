/**
 * Errors of a request that had been sent, perhaps, when it ended without an answer that can be read.
 *
 * Names and codes are those of Node 24 and of undici 7, which is Node's `fetch`: a `TimeoutError` of `AbortSignal.timeout`, and the reason of
 * a `TypeError: fetch failed` or `terminated` in its `cause`. What fails before anything is sent has other codes, such as `ECONNREFUSED`,
 * `ENOTFOUND` and `UND_ERR_CONNECT_TIMEOUT`, or names the system call `connect`.
 */
import { Predicate } from "effect"

/** A `SyntaxError` is that of a body which is no JSON. */
const names: ReadonlySet<unknown> = new Set(["TimeoutError", "AbortError", "HTTPParserError", "SyntaxError"])

const codes: ReadonlySet<unknown> = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ETIMEDOUT",
  "UND_ERR_ABORTED",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_HEADERS_OVERFLOW",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_RES_EXCEEDED_MAX_SIZE",
  "UND_ERR_SOCKET"
])

/** Answers that are no HTTP, that cannot be unpacked, and streams of HTTP/2 that broke. */
const families = /^(HPE_|Z_|ERR_HTTP2_|ERR_SSL_|ERR_BROTLI_|ERR_PADDING)/

const isCode = (code: unknown): boolean => codes.has(code) || (typeof code === "string" && families.test(code))

/** Causes of causes that are looked at. */
const maxDepth = 4

/** Whether an error, or the cause of it, is of a request that may have been sent. */
export const isBrokenRequest = (error: unknown, depth = 0): boolean =>
  Predicate.isObject(error) &&
  (names.has(error["name"]) ||
    names.has(error["_tag"]) ||
    (isCode(error["code"]) && error["syscall"] !== "connect") ||
    // `fetch` says so of a body that broke off; it has no code.
    (error instanceof TypeError && error.message === "terminated") ||
    (depth < maxDepth && isBrokenRequest(error["cause"], depth + 1)))
