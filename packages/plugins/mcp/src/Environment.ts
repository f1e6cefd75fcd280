/**
 * The environment of a server's process: variables that are known to be harmless, and those that the source's configuration names.
 *
 * Harmless are variables that say where programs, files and caches are, which language and time zone the user has, and how the network is
 * reached: servers do not start without them behind a proxy, with a private certificate authority, or with a version manager. Of the
 * families below a variable is left out if its name is that of a secret, and any is whose value is a URL with a user or a password in it,
 * such as that of a proxy. The configuration can name those.
 */
import process from "node:process"
import { SourceUnavailable } from "@executor/sdk"
import { Effect } from "effect"
import { isSecretName } from "./Secrets.ts"

const windows: ReadonlyArray<string> = [
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATHEXT",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "PROGRAMFILES(X86)",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "USERNAME",
  "USERPROFILE",
  "WINDIR"
]

const everywhere: ReadonlyArray<string> = [
  // The user and the terminal.
  "DISPLAY",
  "HOME",
  "LANG",
  "LANGUAGE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
  "WAYLAND_DISPLAY",
  // The network.
  "ALL_PROXY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "NODE_USE_ENV_PROXY",
  // Certificates of authorities, which are public.
  "CURL_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
  "NODE_USE_SYSTEM_CA",
  "REQUESTS_CA_BUNDLE",
  "SSL_CERT_DIR",
  "SSL_CERT_FILE",
  // Where version managers and package managers keep programs.
  "ASDF_DATA_DIR",
  "ASDF_DIR",
  "BUN_INSTALL",
  "CARGO_HOME",
  "COREPACK_HOME",
  "COREPACK_NPM_REGISTRY",
  "DENO_DIR",
  "FNM_DIR",
  "MISE_CACHE_DIR",
  "MISE_CONFIG_DIR",
  "MISE_DATA_DIR",
  "NVM_BIN",
  "NVM_DIR",
  "PIPX_HOME",
  "PNPM_HOME",
  "PYENV_ROOT",
  "VOLTA_HOME",
  // Where containers run.
  "DOCKER_CERT_PATH",
  "DOCKER_CONFIG",
  "DOCKER_CONTEXT",
  "DOCKER_HOST",
  "DOCKER_TLS_VERIFY"
]

const harmless: ReadonlySet<string> = new Set([...everywhere, ...(process.platform === "win32" ? windows : [])])

/** Families of variables, in either case. */
const families = /^(LC|XDG|NPM_CONFIG|UV|PIP)_/

/** Names of credentials that are no words of secrets: npm keeps a client's private key in `key` and one-time passwords in `otp`. */
const credential = /^NPM_CONFIG_(_.*|\/\/.*|.*:.*|KEY|OTP|EMAIL|USERNAME)$|USERNAME$/

const isHarmless = (name: string): boolean => {
  const upper = name.toUpperCase()
  return harmless.has(upper) || (families.test(upper) && !isSecretName(upper) && !credential.test(upper))
}

const holdsCredentials = (value: string): boolean => /\/\/[^\s/]*@/.test(value) || isUserAtHost(value)

/** A proxy may be written without its scheme. */
const isUserAtHost = (value: string): boolean => /^[^\s/@]+:[^\s/@]+@[^\s/@]+$/.test(value)

/** What a server gets, and what it was not given because a password is in it. */
export interface ServerEnvironment {
  readonly env: Readonly<Record<string, string>>
  readonly withheld: ReadonlyArray<string>
}

/** Picks the variables; fails when one that is named is not set. */
export const serverEnvironment = (
  namespace: string,
  names: ReadonlyArray<string>
): Effect.Effect<ServerEnvironment, SourceUnavailable> =>
  Effect.suspend(() => {
    const missing = names.filter((name) => process.env[name] === undefined)
    if (missing.length > 0) {
      return new SourceUnavailable({
        namespace,
        message: `${namespace}: its server wants the environment variable ${missing.join(", ")}, which is not set here`
      })
    }
    const env: Record<string, string> = {}
    const withheld: Array<string> = []
    for (const name of [...Object.keys(process.env).filter(isHarmless), ...names]) {
      const value = process.env[name]
      // A value that starts so is a shell function, which old shells execute.
      if (value === undefined || value.startsWith("()")) continue
      if (names.includes(name) || !holdsCredentials(value)) env[name] = value
      else withheld.push(name)
    }
    return Effect.succeed({ env, withheld })
  })

/** The end of an error's message, for a server that may have failed because something was withheld. */
export const withheldNote = (withheld: ReadonlyArray<string>): string =>
  withheld.length === 0
    ? ""
    : `\n(It was started without ${withheld.join(", ")}, since credentials are in the value. Name a variable in the source's env to pass it on.)`
