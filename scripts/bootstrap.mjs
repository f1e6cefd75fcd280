/**
 * Makes a checkout ready: installs the dependencies when they are missing or older than the lockfile. It runs before
 * every npm script that needs them, on whatever Node the machine has, so it imports nothing but Node itself.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createHash } from "node:crypto"
import { join } from "node:path"

const root = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..")
const stamp = join(root, "node_modules", ".installed-lockfile")
const lockfileHash = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex")

const current = existsSync(stamp) ? readFileSync(stamp, "utf8") : ""
if (current !== lockfileHash) {
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
  writeFileSync(stamp, lockfileHash)
}
