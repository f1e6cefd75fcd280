/**
 * Bundles the programs that tests start as processes of their own: a crash needs a process to kill, and a process that loads hundreds of
 * sources takes twice as much to start as to do its work. Tests find `<name>.js` in the folder that `EXECUTOR_TEST_PROGRAMS` names.
 *
 * Processes keep what they have compiled too: those of the bundles, of the built command, and of the tests themselves.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { rolldown } from "rolldown"
import type { TestProject } from "vitest/node"

const root = resolve(import.meta.dirname, "..")
const chaos = join(root, "packages/core/execution/test/chaos")

const programs = {
  "chaos-child": join(chaos, "child.ts"),
  "chaos-racer": join(chaos, "racer.ts"),
  "mcp-server": join(root, "packages/hosts/mcp/test/fixtures/server.ts"),
  // The sandbox and SQLite's adapter look for the entries of their threads beside themselves.
  worker: join(root, "packages/kernel/quickjs/src/worker.ts"),
  reader: join(root, "packages/storage/drizzle/src/reader.ts")
}

const bundle = async (dir: string): Promise<void> => {
  const bundle = await rolldown({
    input: programs,
    platform: "node",
    resolve: { conditionNames: ["@executor/source", "node"] },
    external: ["better-sqlite3", "amaro"],
    logLevel: "warn"
  })
  await bundle.write({ dir, format: "esm", entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" })
  await bundle.close()
}

export default async (project: TestProject): Promise<() => void> => {
  const cache = join(root, "node_modules/.cache")
  mkdirSync(cache, { recursive: true })
  // Modules that are not in the bundles are found from here: the database driver, and the sandbox's WebAssembly.
  const folder = mkdtempSync(join(cache, "executor-test-programs-"))
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`)
  await bundle(folder)
  project.onTestsRerun(() => bundle(folder))
  process.env["EXECUTOR_TEST_PROGRAMS"] = folder
  process.env["NODE_COMPILE_CACHE"] ??= join(folder, "compiled")
  return () => rmSync(folder, { recursive: true, force: true })
}
