/**
 * The server's bearer token, kept in a file of the data folder.
 *
 * The first start makes it; every later one, and every other process on the same folder, uses the same. It is written to a
 * file of its own first and then linked under its name, which fails when there is one: of several processes that start at
 * once one wins, and none ever reads a token that is half written.
 */
import { Effect, Redacted, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { chmod, link, mkdir, open, readFile, stat, unlink } from "node:fs/promises"
import { join } from "node:path"

/** The file's name in the data folder. */
export const tokenFileName = "http-token"

/** 256 bits: out of reach of guessing. */
const tokenBytes = 32

/** What {@link tokenBytes} bytes are in base64url. */
const tokenPattern = /^[A-Za-z0-9_-]{43}$/

/** The token can be neither read nor made. */
export class TokenFileError extends Schema.TaggedError<TokenFileError>()("TokenFileError", {
  /** Names the file and what to do. */
  message: Schema.String,
  path: Schema.String
}) {}

/** A token as the file holds it. It begins with no hyphen, as a command line would read it as a flag. */
export const makeToken = (): string => {
  const token = randomBytes(tokenBytes).toString("base64url")
  return token.startsWith("-") ? makeToken() : token
}

const isMissing = (cause: unknown): boolean => (cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT"

const reason = (cause: unknown): string => (cause as NodeJS.ErrnoException | undefined)?.code ?? String(cause)

const read = async (path: string): Promise<string | undefined> => {
  try {
    const text = (await readFile(path, "utf8")).trim()
    // A backup or a copy of the folder may have widened it.
    if (process.platform !== "win32" && ((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600)
    return text
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

const create = async (dataDir: string, path: string): Promise<void> => {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`
  const file = await open(draft, "wx", 0o600)
  try {
    try {
      await file.writeFile(`${makeToken()}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST") throw cause
    })
  } finally {
    await unlink(draft)
  }
}

/** The token of a data folder; made, with the folder, when there is none. The file is readable by its owner only. */
export const readOrCreateToken = Effect.fn("TokenFile.readOrCreateToken")(function* (dataDir: string) {
  const path = join(dataDir, tokenFileName)
  const text = yield* Effect.tryPromise({
    try: async () => {
      const existing = await read(path)
      if (existing !== undefined) return existing
      await create(dataDir, path)
      return (await read(path)) ?? ""
    },
    catch: (cause) =>
      new TokenFileError({
        message: `The token file ${path} cannot be read or made (${reason(cause)}): the data folder must be writable.`,
        path
      })
  })
  if (!tokenPattern.test(text)) {
    return yield* new TokenFileError({
      message: `The token file ${path} does not hold a token. Delete it, and the next start makes a new one.`,
      path
    })
  }
  return Redacted.make(text)
})
