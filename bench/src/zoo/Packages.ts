/**
 * The servers' packages: each installed once, at its exact version, in a folder of its own, and kept for later runs. No script of a
 * package runs, and nothing optional (browsers, native builds) comes with it.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "./Child.ts"
import type { Server } from "./Servers.ts"

const installSeconds = 600

/** The program of a server, whose package is installed if it is not. Rejects with npm's words. */
export const program = async (cache: string, { bin, name, version }: Server): Promise<string> => {
  const folder = join(cache, `${name}@${version}`.replaceAll("/", "+"))
  const done = join(folder, ".installed")
  if (!existsSync(done)) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }))
    const options = ["--ignore-scripts", "--omit=dev", "--omit=optional", "--no-audit", "--no-fund", "--prefer-offline"]
    // npm finds the person's registry and cache by their environment.
    const setting = { env: { ...process.env } as Record<string, string>, cwd: folder }
    const { code, stderr } = await run(
      "npm",
      ["install", "--silent", ...options, `${name}@${version}`],
      setting,
      installSeconds
    )
    if (code !== 0) throw new Error(`npm did not install ${name}@${version}: ${stderr.trim()}`)
    writeFileSync(done, "")
  }
  const program = join(folder, "node_modules", ".bin", bin)
  if (!existsSync(program)) throw new Error(`${name}@${version} has no command ${bin}`)
  return program
}
