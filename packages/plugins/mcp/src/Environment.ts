/**
 * The environment of a server's process: a few harmless variables, and those that the source's configuration names.
 */
import process from "node:process"
import { SourceUnavailable } from "@executor/sdk"
import { Effect } from "effect"

/** What programs need to find others, their user's files and a language. Nothing here is a secret. */
const harmless: ReadonlyArray<string> =
  process.platform === "win32"
    ? [
        "APPDATA",
        "COMSPEC",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOCALAPPDATA",
        "PATH",
        "PATHEXT",
        "PROGRAMDATA",
        "PROGRAMFILES",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "USERNAME",
        "USERPROFILE",
        "WINDIR"
      ]
    : ["HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"]

/** Picks the variables; fails when one that is named is not set. */
export const serverEnvironment = (
  namespace: string,
  names: ReadonlyArray<string>
): Effect.Effect<Readonly<Record<string, string>>, SourceUnavailable> =>
  Effect.suspend(() => {
    const missing = names.filter((name) => process.env[name] === undefined)
    if (missing.length > 0) {
      return new SourceUnavailable({
        namespace,
        message: `${namespace}: its server wants the environment variable ${missing.join(", ")}, which is not set here`
      })
    }
    const env: Record<string, string> = {}
    for (const name of [...harmless, ...names]) {
      const value = process.env[name]
      // A value that starts so is a shell function, which old shells execute.
      if (value !== undefined && !value.startsWith("()")) env[name] = value
    }
    return Effect.succeed(env)
  })
