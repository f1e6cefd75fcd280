import { defineConfig } from "vitest/config"

/**
 * Every workspace with tests is a project. Packages resolve each other through the `@executor/source`
 * condition, so a test runs on the sources as they are; only tests of the built command need a build.
 */
export default defineConfig({
  test: {
    globalSetup: ["scripts/require-node.ts"],
    projects: ["packages/*/*", "apps/*", "examples"].map((root) => ({
      test: {
        name: root,
        include: [`${root}/test/**/*.test.ts`],
        pool: "forks",
        testTimeout: 30_000,
        hookTimeout: 30_000
      },
      resolve: { conditions: ["@executor/source", "node", "import", "default"] },
      ssr: { resolve: { conditions: ["@executor/source", "node", "import", "default"] } }
    }))
  }
})
