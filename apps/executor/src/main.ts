/**
 * The `executor` command: the terminal commands over everything that they run on.
 */
import { setFlagsFromString } from "node:v8"

const running: ReadonlySet<string> = new Set(["run", "call", "resume", "fork", "replay", "serve", "mcp"])
const words = process.argv.slice(2)

// By itself V8 lets garbage grow to several times what lives before it looks for it: hundreds of megabytes in a busy server.
if (words.includes("serve")) setFlagsFromString("--heap-growing-percent=20")

// What is sure to run code starts its sandbox first of all: that takes as long as loading everything else.
if (words.some((word) => running.has(word)) && !words.includes("--help")) {
  void import("./sandbox.ts").then(({ sandbox }) => sandbox())
}

const [{ main }, { composition }] = await Promise.all([import("@executor/host-cli"), import("./composition.ts")])
main(composition)
