/**
 * No file is opened beside the log of another: both histories would be lost.
 */
import type { DBAdapter } from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { cpSync, existsSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { startWriter } from "./startWriter.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const isInode = process.platform !== "win32"

const open = (file: string) => SqliteAdapter.make({ file, reads: "inline" })

const countIn = (adapter: DBAdapter["Service"]) => adapter.count({ table: "execution" })

/** How many executions a file has when it is opened. */
const count = (file: string) => Effect.scoped(Effect.flatMap(open(file), countIn))

const refused = (file: string) => Effect.map(Effect.flip(Effect.scoped(open(file))), ({ message }) => message)

/** A database with so many executions, closed in order. */
const written = Effect.fnUntraced(function* (file: string, executions: number) {
  const { ended } = yield* startWriter(file, "other", String(executions))
  yield* Effect.promise(() => ended)
})

/** A database whose writer was killed with its log full of what it had told as written; gives how many executions that are. */
const killed = Effect.fnUntraced(function* (file: string, log = `${file}-wal`) {
  const writer = yield* startWriter(file, "p")
  yield* Effect.promise(
    () =>
      new Promise<void>((resolve) => {
        createInterface(writer.process.stdout).on("line", (line) => {
          if (line === "p-20") resolve()
        })
      })
  )
  writer.process.kill("SIGKILL")
  yield* Effect.promise(() => writer.ended)
  assert.isAbove(statSync(log).size, 0)
  return writer.lines.filter((line) => line.startsWith("p-")).length
})

it.live.skipIf(!isInode)(
  "a file that replaced another is not mixed with its log, and the other is whole when it is back",
  () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const [file, old, other] = [`${folder}/executor.db`, `${folder}/old.db`, `${folder}/other.db`]
      yield* written(other, 3)
      const told = yield* killed(file)
      renameSync(file, old)
      assert.match(yield* refused(file), /file is gone, and its log .*-wal is still there\. Put the file back\./)
      assert.isFalse(existsSync(file))
      renameSync(other, file)
      for (let again = 0; again < 2; again++)
        assert.match(yield* refused(file), /log .*-wal belongs to another database file.* Put that file back\./)
      // Both ways out of it, as it says.
      cpSync(folder, `${folder}-copy`, { recursive: true })
      for (const end of ["-wal", "-shm"]) rmSync(`${folder}-copy/executor.db${end}`)
      assert.strictEqual(yield* count(`${folder}-copy/executor.db`), 3)
      renameSync(old, file)
      assert.isAtLeast(yield* count(file), told)
      rmSync(`${folder}-copy`, { recursive: true })
    })
)

it.live.skipIf(!isInode)("a folder that was copied with its log is opened", () =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const told = yield* killed(`${folder}/executor.db`)
    const copy = `${yield* temporaryFolder}/copy`
    cpSync(folder, copy, { recursive: true })
    assert.isAtLeast(yield* count(`${copy}/executor.db`), told)
    assert.isAtLeast(yield* count(`${folder}/executor.db`), told)
  })
)

/** Waits until an adapter knows that its file is lost, and its log is in the file wherever that is. */
const untilLost = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], file: string) {
  const isLost = Stream.filter(adapter.faults ?? Stream.empty, (fault) => fault?.reason === "moved")
  yield* Stream.runHead(isLost)
  yield* Effect.repeat(Effect.yieldNow, { until: () => statSync(`${file}-wal`).size === 0 })
})

for (const how of ["replaced", "moved away"] as const) {
  it.live.skipIf(!isInode)(`a file that is ${how} under its holder is whole, and the holder leaves no log behind`, () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const [file, old, other] = [`${folder}/executor.db`, `${folder}/old.db`, `${folder}/other.db`]
      yield* written(other, 3)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const adapter = yield* open(file)
          yield* written(file, 5)
          assert.isAbove(statSync(`${file}-wal`).size, 0)
          renameSync(file, old)
          if (how === "replaced") renameSync(other, file)
          yield* untilLost(adapter, file)
          assert.match(yield* refused(file), how === "replaced" ? /belongs to another/ : /file is gone/)
          cpSync(old, `${folder}/alone.db`)
          assert.strictEqual(yield* count(`${folder}/alone.db`), 5)
          assert.strictEqual(yield* countIn(adapter), 5)
        })
      )
      assert.strictEqual(yield* count(file), how === "replaced" ? 3 : 0)
    })
  )
}

it.live.skipIf(!isInode)("a file that comes back is gone on with, and all that was told is there after a kill", () =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const file = `${folder}/executor.db`
    const writer = yield* startWriter(file, "p")
    const told = () => writer.lines.filter((line) => line.startsWith("p-")).length
    yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => told() > 5 })
    renameSync(file, `${file}.away`)
    for (let again = 0; again < 3; again++) assert.match(yield* refused(file), /file is gone/)
    renameSync(`${file}.away`, file)
    writer.process.kill("SIGKILL")
    yield* Effect.promise(() => writer.ended)
    assert.isAtLeast(yield* count(file), told())
  })
)

it.live.skipIf(!isInode)(
  "a log stays for another holder of a file that was taken away, who goes on when it is back",
  () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = `${folder}/executor.db`
      const other = yield* open(file)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const adapter = yield* open(file)
          yield* written(file, 5)
          renameSync(file, `${file}.away`)
          yield* untilLost(adapter, file)
        })
      )
      assert.isTrue(existsSync(`${file}-wal`))
      assert.match(yield* refused(file), /file is gone/)
      renameSync(`${file}.away`, file)
      yield* Effect.sleep("300 millis")
      yield* other.write([{ op: "insert", table: "tool_name", rows: [{ scope_id: "a", tool: "a.c" }] }])
      assert.strictEqual(yield* count(file), 5)
    })
)

it.live.skipIf(!isInode)("a file that is named by a link is not opened beside the log of another", () =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const [file, link, old] = [`${folder}/executor.db`, `${folder}/link.db`, `${folder}/old.db`]
    symlinkSync("executor.db", link)
    yield* written(old, 3)
    const told = yield* killed(link, `${file}-wal`)
    renameSync(file, `${file}.away`)
    assert.match(yield* refused(link), /file is gone/)
    renameSync(old, file)
    assert.match(yield* refused(link), /belongs to another/)
    assert.isAbove(statSync(`${file}-wal`).size, 0)
    renameSync(`${file}.away`, file)
    assert.isAtLeast(yield* count(link), told)
  })
)

it.live(
  "the files that are left are named, and a link that leads nowhere is told like any file that cannot be opened",
  () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeFileSync(`${folder}/executor.db-shm`, "")
      assert.match(yield* refused(`${folder}/executor.db`), /file is gone, and its index .*-shm is still there/)
      if (!isInode) return
      symlinkSync("loop.db", `${folder}/loop.db`)
      assert.match(yield* refused(`${folder}/loop.db`), /loop\.db cannot be opened: SQLite could not open it/)
    })
)
