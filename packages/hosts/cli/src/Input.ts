/**
 * Text that a person names on the command line: a file, standard input, or JSON.
 */
import { readJson } from "@executor/kernel"
import { Effect, Schema } from "effect"
import { open } from "node:fs/promises"
import { UsageError } from "./Failure.ts"
import { Process } from "./Process.ts"

/** Larger input is refused before it is read into memory: no limit of an execution lets it through anyway. */
export const maxInputBytes = 64 * 1024 * 1024

const reason = (cause: unknown): string => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  if (code === "ENOENT") return "there is no such file"
  if (code === "EISDIR") return "it is a folder"
  if (code === "EACCES") return "it may not be read"
  return "it cannot be read"
}

/** The text of a file. */
export const readFileText = (path: string): Effect.Effect<string, UsageError> =>
  Effect.tryPromise({
    try: async () => {
      await using file = await open(path, "r")
      const { size } = await file.stat()
      return size > maxInputBytes ? undefined : await file.readFile("utf8")
    },
    catch: (cause) => new UsageError({ message: `${path}: ${reason(cause)}` })
  }).pipe(
    Effect.flatMap((text) =>
      text === undefined
        ? Effect.fail(new UsageError({ message: `${path}: it is larger than ${maxInputBytes / 1024 / 1024} MB` }))
        : Effect.succeed(text)
    )
  )

/** The text of a file, or of standard input for `-`. */
export const readText = (path: string) =>
  path === "-" ? Process.use(({ readStdin }) => readStdin) : readFileText(path)

/** Parses JSON; `name` says in the error where it came from. */
export const parseJson = (name: string, text: string): Effect.Effect<unknown, UsageError> =>
  Effect.try({
    try: () => readJson(text),
    catch: (cause) =>
      new UsageError({ message: `${name} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}` })
  })

/** Parses a JSON object. */
export const parseJsonObject = (
  name: string,
  text: string
): Effect.Effect<{ readonly [key: string]: unknown }, UsageError> =>
  Effect.flatMap(parseJson(name, text), (value) =>
    Schema.is(Schema.Record(Schema.String, Schema.Unknown))(value) && !Array.isArray(value)
      ? Effect.succeed(value)
      : Effect.fail(new UsageError({ message: `${name}: expected a JSON object` }))
  )
