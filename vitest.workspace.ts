import { globSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname } from "node:path"
import { defineConfig } from "vitest/config"

const roots = globSync(["packages/*/*/package.json", "apps/*/package.json", "examples/package.json"]).map(dirname)
const conditions = ["@executor/source", "node"]

/**
 * How long a test may take: only a test that hangs takes so long. Usual is a tenth of it at most, also where a test gives its own limit, so
 * that a busy machine fails nothing.
 */
const patienceMs = 600_000

/**
 * Every workspace is a project of its folder's name. Packages resolve each other through the `@executor/source` condition, so a
 * test runs on the sources as they are; only tests of the built command and of the examples need a build.
 */
export default defineConfig({
  test: {
    globalSetup: ["scripts/require-node.ts", "scripts/share-postgres.ts", "scripts/bundle-programs.ts"],
    // The processes that tests start leave time on each processor: none is kept free.
    maxWorkers: availableParallelism(),
    projects: roots.toSorted().map((root) => ({
      test: {
        name: root,
        include: [`${root}/test/**/*.test.ts`],
        pool: "forks",
        testTimeout: patienceMs,
        hookTimeout: patienceMs
      },
      resolve: { conditions },
      ssr: { resolve: { conditions } }
    }))
  }
})
