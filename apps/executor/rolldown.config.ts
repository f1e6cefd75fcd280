/**
 * Bundles the command: one file for what every start needs, one for each part that is loaded when it is first used, and beside
 * them what cannot be in a bundle: the entries of threads, and the sandbox's WebAssembly.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "rolldown"

const sandbox = fileURLToPath(import.meta.resolve("@executor/runtime-quickjs"))
const storage = fileURLToPath(import.meta.resolve("@executor/storage-drizzle"))
const require = createRequire(sandbox)
const assets = ["quickjs.wasm", "url.so", "encoding.so", "structured-clone.so"]

export default defineConfig([
  {
    input: {
      main: "src/main.ts",
      worker: join(dirname(sandbox), "worker.js"),
      // The adapter is in a chunk, and looks for the entry of its reader threads beside itself.
      "chunks/reader": join(dirname(storage), "reader.js")
    },
    platform: "node",
    external: ["better-sqlite3"],
    output: {
      dir: "dist",
      // Chunks are named by their content, so those of earlier builds would pile up.
      cleanDir: true,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "chunks/[name]-[hash].js",
      minify: true
    },
    plugins: [
      {
        name: "sandbox-assets",
        generateBundle() {
          for (const name of assets) {
            this.emitFile({
              type: "asset",
              fileName: `assets/${name}`,
              source: readFileSync(require.resolve(`quickjs-wasi/${name}`))
            })
          }
        }
      }
    ]
  }
])
