/**
 * The programs that generated executions submit: a few thousand, some submitted again and again and most hardly ever.
 */
import { needle } from "./Needles.ts"
import type { Random } from "./Random.ts"
import * as Choice from "./Random.ts"
import { type GeneratedTool, tools, type Writing } from "./Tools.ts"

/** A program with the tools that it calls. */
export interface Program {
  readonly code: string
  readonly tools: ReadonlyArray<GeneratedTool>
}

const distinct = 4000

/** From a line to a screen or two. */
const minCode = 100
const maxCode = 4096

const makeProgram = (random: Random, writing: Writing, tool: () => number, comment: string): Program => {
  const called = new Set(Array.from({ length: 1 + random.below(5) }, () => tools[tool()]!))
  const size = Math.min(maxCode - 200, Math.max(minCode, random.logNormal(450, 0.9)))
  let code = `// ${comment}\n`
  for (const { path } of called) {
    code += `const ${path.replaceAll(".", "_")} = await tools.${path}({ query: "${writing.prose(8)}", limit: ${random.below(50)} })\n`
  }
  while (code.length < size) {
    code += random.chance(0.3)
      ? `// ${writing.prose(50)}\n`
      : `if (input_${random.hex(3)}?.state === "open") results.push({ name: "${writing.prose(20)}", count: ${random.below(999)} })\n`
  }
  return { code: `${code}return { ok: true, rows: ${random.below(99)} }\n`, tools: [...called] }
}

/** Gives a program each time: one that holds a rare text, where its number is given. */
export const makePrograms = (random: Random, writing: Writing): ((rare: number | undefined) => Program) => {
  const tool = Choice.weighted(random, Choice.zipf(tools.length))
  const program = (comment: string) => makeProgram(random, writing, tool, comment)
  const common = Array.from({ length: distinct }, () => program(writing.prose(30)))
  const rare = Array.from({ length: needle.count }, (_, number) => program(`see ${needle.code(number)}`))
  const rank = Choice.weighted(random, Choice.zipf(distinct))
  return (number) => (number === undefined ? common[rank()]! : rare[number]!)
}
