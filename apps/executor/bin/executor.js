#!/usr/bin/env node
/**
 * Starts the command on a Node that it works on. The database driver crashes an old Node outright, so nothing is imported
 * before the version is known.
 */
const [major, minor] = process.versions.node.split(".").map(Number)

const start = async () => {
  if (major < 22 || (major === 22 && minor < 19)) return import("./on-own-node.js")
  if (process.channel !== undefined) {
    process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
    process.channel.unref()
  }
  const { enableCompileCache } = await import("node:module")
  enableCompileCache()
  return import("../dist/main.js")
}

start().catch((error) => {
  console.error(
    error?.code === "ERR_MODULE_NOT_FOUND"
      ? "executor is not built, or one of its packages is missing. In its repository: npm run build"
      : `executor cannot start: ${error?.message ?? error}`
  )
  process.exit(1)
})
