import { globSync } from "node:fs"
import { dirname } from "node:path"
import { defineConfig } from "vitest/config"

const roots = globSync(["packages/*/*/package.json", "apps/*/package.json", "examples/package.json"]).map(dirname)
const conditions = ["@executor/source", "node"]

/**
 * Every workspace is a project of its folder's name. Packages resolve each other through the `@executor/source` condition, so a
 * test runs on the sources as they are; only tests of the built command and of the examples need a build.
 */
export default defineConfig({
  test: {
    globalSetup: ["scripts/require-node.ts", "scripts/share-postgres.ts"],
    projects: roots.toSorted().map((root) => ({
      test: {
        name: root,
        include: [`${root}/test/**/*.test.ts`],
        pool: "forks",
        testTimeout: 30_000,
        hookTimeout: 30_000
      },
      resolve: { conditions },
      ssr: { resolve: { conditions } }
    }))
  }
})
