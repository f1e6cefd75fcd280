/**
 * The servers of the zoo, as `bench/zoo/servers.json` has them.
 *
 * In arguments, variables, inputs and answers `{folder}` stands for the folder that the server works in. It holds `note.txt`.
 */
import { Schema } from "effect"
import { readFileSync } from "node:fs"

const Text = Schema.String

export const Server = Schema.Struct({
  /** The package on npm, and its exact version. */
  name: Schema.NonEmptyString,
  version: Schema.NonEmptyString.check(Schema.isPattern(/^\d/)),
  /** The command of the package that is the server. */
  bin: Schema.NonEmptyString,
  args: Schema.optionalKey(Schema.Array(Text)),
  /** What it has to be told in its environment to start. Nothing here is a secret: no key opens anything. */
  env: Schema.optionalKey(Schema.Record(Text, Text)),
  /** A tool that does no harm, and part of what comes back: of its result, or of its refusal, in the tool's own words. */
  call: Schema.Struct({
    tool: Schema.NonEmptyString,
    input: Schema.Record(Text, Schema.Json),
    says: Schema.NonEmptyString
  })
})
export type Server = typeof Server.Type

/** Reads the servers, with `{folder}` as it is. Throws an error that says which field is wrong. */
export const read = (file: string): ReadonlyArray<Server> =>
  Schema.decodeUnknownSync(Schema.Array(Server), { onExcessProperty: "error" })(JSON.parse(readFileSync(file, "utf8")))

/** A proxy that refuses: what a server would send to others, with a key that is none, fails at once and stays on this machine. */
const nowhere = "http://127.0.0.1:9"
const offline = { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere }

/** The server with its folder in place of `{folder}`, and without a network. */
export const placed = (server: Server, folder: string): Server =>
  Schema.decodeUnknownSync(Server)(
    JSON.parse(JSON.stringify({ ...server, env: { ...offline, ...server.env } }), (_key, value: unknown) =>
      typeof value === "string" ? value.replaceAll("{folder}", folder) : value
    )
  )

/** A namespace for a server: its package's name, as far as a namespace can have it. */
export const namespaceOf = ({ name }: Server): string => name.replace(/^@/, "").replaceAll(/[^A-Za-z0-9_-]/g, "_")
