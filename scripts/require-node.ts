/** Refuses to run the tests on a Node that the native dependencies crash on (better-sqlite3 13 needs 22.19 or newer). */
export const setup = (): void => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major < 22 || (major === 22 && minor < 19)) {
    throw new Error(
      `The tests need Node 22.19 or newer and run on ${process.versions.node}. Run them with \`npm test\`.`
    )
  }
}
