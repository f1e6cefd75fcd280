/**
 * One server, from its package to its record: heard alone, then taken through the command, and the two held against each other.
 */
import { ToolPath } from "@executor/sdk"
import { Predicate } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { type Bare, listen } from "./Bare.ts"
import { killStrays, type Setting } from "./Child.ts"
import * as Oddities from "./Oddities.ts"
import { program } from "./Packages.ts"
import { show, type Shown } from "./Product.ts"
import type { Record } from "./Record.ts"
import { placed, type Server } from "./Servers.ts"

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "executor-zoo")

/** For each step with a server. The command itself gives up on a server that does not start within 30 s. */
const stepSeconds = 120

/** All that a server and the command know of the person: where programs are. */
const settingIn = (home: string, server: Server): Setting => ({
  cwd: join(home, "work"),
  env: {
    PATH: process.env.PATH ?? "",
    LANG: "C.UTF-8",
    HOME: home,
    TMPDIR: join(home, "tmp"),
    EXECUTOR_DATA_DIR: join(home, "data"),
    ...server.env
  }
})

const tenths = (seconds: number): number => Math.round(seconds * 10) / 10

/** Takes a server through all of it. `home` is a new folder, all that it may write in; `before` is what is known of the server. */
export const visit = async (entry: Server, home: string, before: Record | undefined): Promise<Record> => {
  const problems: Array<string> = []
  let bare: Bare | undefined
  let shown: Shown | undefined
  let segments: ReadonlyArray<string> = []
  try {
    const folder = join(home, "work")
    for (const path of [folder, join(home, "tmp")]) mkdirSync(path, { recursive: true })
    writeFileSync(join(folder, "note.txt"), "a note of the zoo\n")
    const server = placed(entry, folder)
    const setting = settingIn(home, server)
    const command = await program(cache, server)

    bare = await listen(command, server.args ?? [], setting, stepSeconds)
    await killStrays(home)
    const names = bare.tools.map((tool) => (Predicate.isObject(tool) ? String(tool.name) : ""))
    segments = ToolPath.toSegments([...new Set(names)])

    shown = await show(command, server, [...segments, ...(before?.tools ?? [])], setting, stepSeconds)
    problems.push(...shown.problems)
    for (const { name, reason } of shown.omitted) problems.push(`${name} left out: ${reason}`)
    if (shown.tools.length > 0) {
      const omitted = ToolPath.toSegments(shown.omitted.map(({ name }) => name))
      const accounted = new Set([...shown.tools, ...omitted])
      const hidden = segments.filter((name) => !accounted.has(name))
      if (hidden.length > 0) problems.push(`left out without a word: ${hidden.join(", ")}`)
    }
  } catch (error) {
    problems.push(`could not be tried: ${(error as Error).message}`)
  }
  const strays = await killStrays(home)
  if (strays > 0) problems.push(`${strays} processes left behind`)
  return {
    version: entry.version,
    protocol: bare?.protocolVersion ?? "",
    listed: segments.length,
    tools: shown?.tools ?? [],
    annotations: Oddities.annotations(bare?.tools ?? []),
    odd: Oddities.oddities(bare?.tools ?? []),
    noise: bare?.noise.length ?? 0,
    bareSeconds: tenths(bare?.seconds ?? 0),
    seconds: tenths(shown?.seconds ?? 0),
    problems: problems.map((problem) => problem.replaceAll(home, "~").replaceAll(cache, "...").replaceAll(/\s+/g, " "))
  }
}
