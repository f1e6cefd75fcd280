import { makeToken, readOrCreateToken, tokenFileName } from "@executor/host-http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { execFile } from "node:child_process"
import { chmod, readdir, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { temporaryFolder } from "./support.ts"

const modeOf = (path: string) => Effect.promise(async () => (await stat(path)).mode & 0o777)

describe("the token file", () => {
  it.effect("is made once, for its owner only, in a folder that need not be there", () =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryFolder, "data", "executor")
      const token = Redacted.value(yield* readOrCreateToken(folder))
      assert.match(token, /^[A-Za-z0-9_-]{43}$/)
      assert.strictEqual(Redacted.value(yield* readOrCreateToken(folder)), token)
      assert.strictEqual(yield* modeOf(join(folder, tokenFileName)), 0o600)
      assert.deepEqual(yield* Effect.promise(() => readdir(folder)), [tokenFileName])
    })
  )

  it("can be the value of a flag", () => {
    for (let i = 0; i < 1000; i++) assert.match(makeToken(), /^[A-Za-z0-9_][A-Za-z0-9_-]{42}$/)
  })

  it.effect("is narrowed when others could read it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* readOrCreateToken(folder)
      yield* Effect.promise(() => chmod(join(folder, tokenFileName), 0o644))
      yield* readOrCreateToken(folder)
      assert.strictEqual(yield* modeOf(join(folder, tokenFileName)), 0o600)
    })
  )

  it.effect("is refused, and not replaced, when it holds something else", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      for (const text of ["", "secret", `${"a".repeat(42)}!`]) {
        yield* Effect.promise(() => writeFile(join(folder, tokenFileName), text))
        const error = yield* Effect.flip(readOrCreateToken(folder))
        assert.include(error.message, "does not hold a token")
      }
    })
  )

  it.effect("says what is wrong when the folder is none", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "file")
      yield* Effect.promise(() => writeFile(file, ""))
      const error = yield* Effect.flip(readOrCreateToken(file))
      assert.strictEqual(error._tag, "TokenFileError")
      assert.include(error.message, "the data folder must be writable")
    })
  )

  it.effect("is the same for all who ask at once", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 10; round++) {
        const folder = join(yield* temporaryFolder, "data")
        const asked = Array.from({ length: 16 }, () => readOrCreateToken(folder))
        const tokens = (yield* Effect.all(asked, { concurrency: "unbounded" })).map(Redacted.value)
        assert.strictEqual(new Set(tokens).size, 1)
        assert.deepEqual(yield* Effect.promise(() => readdir(folder)), [tokenFileName])
      }
    })
  )

  it.effect("is the same for processes that start at once", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const program = `
        import { readOrCreateToken } from "@executor/host-http"
        import { Effect, Redacted } from "effect"
        console.log(Redacted.value(await Effect.runPromise(readOrCreateToken(${JSON.stringify(folder)}))))
      `
      const start = () =>
        promisify(execFile)(
          process.execPath,
          ["--conditions=@executor/source", "--input-type=module", "--eval", program],
          { cwd: import.meta.dirname }
        )
      const outputs = yield* Effect.promise(() => Promise.all(Array.from({ length: 4 }, start)))
      const tokens = new Set(outputs.map(({ stdout }) => stdout.trim()))
      assert.strictEqual(tokens.size, 1)
      assert.match([...tokens][0]!, /^[A-Za-z0-9_-]{43}$/)
      assert.deepEqual(yield* Effect.promise(() => readdir(folder)), [tokenFileName])
    })
  )
})
