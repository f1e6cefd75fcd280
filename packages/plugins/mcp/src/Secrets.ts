/**
 * What must not be shown of a server's configuration: values of its variables, and arguments that hold a key.
 *
 * A server may print them itself, and what it prints is a part of errors, which reach models and histories. Beside the values that are known,
 * text that has the usual form of a key is left out.
 */
import process from "node:process"
import type { McpSourceConfig } from "./McpSourceConfig.ts"

/** What stands for a secret. */
export const redacted = "***"

/** Text that is shorter is in other words too, and no secret. */
const minSecretLength = 4

const secretWord =
  /token|secret|passw|pwd|credential|auth|bearer|cookie|private|api[-_]?key|access[-_]?key|(^|[-_])(key|pat|pass)([-_]|$)/i

/** Whether something of this name (a variable, an option, a parameter) is meant for a secret. */
export const isSecretName = (name: string): boolean => secretWord.test(name)

/** Long, without spaces and no path, of letters and digits mixed: so looks a key and little else. */
const looksLikeKey = (text: string): boolean => /^(?=.*\d)(?=.*[A-Za-z])[\w.+=~-]{20,}$/.test(text)

const looksLikePath = (text: string): boolean => /^(\.{0,2}[\\/]|~[\\/]|[A-Za-z]:[\\/])/.test(text)

/** The secrets among the variables and the arguments of a server. */
export const secretsOf = ({ args = [], env = [] }: McpSourceConfig): ReadonlyArray<string> => {
  const variables = env.flatMap((name) => {
    const value = process.env[name] ?? ""
    return isSecretName(name) || !looksLikePath(value) ? [value, ...inUrl(value)] : []
  })
  const fromArguments = args.flatMap((arg, index) => {
    const [name = "", ...rest] = arg.split("=")
    const value = rest.join("=")
    const before = args[index - 1] ?? ""
    return [
      ...(value !== "" && (isSecretName(name) || looksLikeKey(value)) ? [value] : []),
      ...(looksLikeKey(arg) || (before.startsWith("-") && isSecretName(before) && !arg.startsWith("-")) ? [arg] : []),
      ...inUrl(arg)
    ]
  })
  return [...variables, ...fromArguments].filter((text) => text.length >= minSecretLength)
}

/** The password of a URL, and those of its parameters that hold secrets. */
const inUrl = (text: string): ReadonlyArray<string> => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return []
  const parameters = [...url.searchParams].filter(([name]) => isSecretName(name)).map(([, value]) => value)
  return [url.password, decodeURIComponent(url.password), ...parameters]
}

/** Forms of keys, each with the text in front that is kept. */
const forms: ReadonlyArray<RegExp> = [
  /(\b(?:Bearer|Basic)\s+)[\w.+/=~-]+/gi,
  /(:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/g,
  /(["']?[\w-]*(?:token|secret|passw(?:or)?d|credential|api[-_]?key|access[-_]?key)[\w-]*["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&]+)/gi,
  /()\b(?:sk|pk|rk|ghp|gho|ghs|ghu|github_pat|glpat|xox[a-z]|npm|hf|AKIA|ASIA|AIza|eyJ)[-_]?[\w.-]{12,}/g
]

/** Text without secrets. */
export const redact = (text: string, secrets: ReadonlyArray<string>): string => {
  const spellings = secrets.flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1)
  ])
  // Longer ones first, since a shorter one may be a part of them.
  const known = spellings
    .toSorted((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, redacted), text)
  return forms.reduce((rest, form) => rest.replace(form, `$1${redacted}`), known)
}
