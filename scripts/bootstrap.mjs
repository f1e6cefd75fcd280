/**
 * Makes a checkout ready: installs the dependencies when they are missing or older than the lockfile. It runs before
 * every npm script that needs them, on whatever Node the machine has, so it imports nothing but Node itself.
 */
import { spawnSync } from "node:child_process"
import { statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const modified = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0

// npm writes this file at the end of each install.
if (modified("node_modules/.package-lock.json") < modified("package-lock.json")) {
  console.error("Installing dependencies (npm ci) ...")
  const install = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32"
  })
  if (install.status !== 0) {
    console.error("npm ci failed; its output is above.")
    process.exit(1)
  }
}
