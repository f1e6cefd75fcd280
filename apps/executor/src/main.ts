/**
 * The `executor` command: the terminal commands over everything that they run on.
 */
const running: ReadonlySet<string> = new Set(["run", "call", "resume", "fork", "replay", "serve", "mcp"])
const words = process.argv.slice(2)

// What is sure to run code starts its sandbox first of all: that takes as long as loading everything else.
if (words.some((word) => running.has(word)) && !words.includes("--help")) {
  void import("./sandbox.ts").then(({ sandbox }) => sandbox())
}

const [{ main }, { composition }] = await Promise.all([import("@executor/host-cli"), import("./composition.ts")])
main(composition)
