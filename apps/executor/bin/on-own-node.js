/**
 * The machine's Node is too old: the command runs on the Node that is installed beside it as a package, if there is one.
 */
import { spawn } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const names = [
  `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`,
  `node-bin-${process.platform}-${process.arch}`
]
const require = createRequire(import.meta.url)
const find = () => {
  for (const name of names) {
    try {
      const file = process.platform === "win32" ? "node.exe" : "node"
      return join(dirname(require.resolve(`${name}/package.json`)), "bin", file)
    } catch {
      // Not installed under this name.
    }
  }
}

const node = find()
if (node === undefined) {
  console.error(`executor needs Node 22.19 or newer; this is ${process.versions.node}.`)
  process.exit(1)
}
const bin = join(dirname(fileURLToPath(import.meta.url)), "executor.js")
// The channel says nothing: it breaks when this process is gone, however it went, and then the command ends too.
const child = spawn(node, [bin, ...process.argv.slice(2)], { stdio: ["inherit", "inherit", "inherit", "ipc"] })
// What is sent to this process alone is passed on. A terminal signals both, which the command takes for one signal; so does Windows,
// where passing a signal on would kill.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => process.platform !== "win32" && child.kill(signal))
}
child.on("error", () => {
  console.error(`executor needs Node 22.19 or newer; this is ${process.versions.node}.`)
  process.exit(1)
})
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
