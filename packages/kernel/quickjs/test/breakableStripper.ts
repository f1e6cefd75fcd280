/**
 * A type stripper that does what the real one does, and breaks where a program says so: it traps, or computes for ever. Once it has
 * trapped it fails for every program, as WebAssembly does whose stack was torn through.
 */
type Strip = (source: string, options: unknown) => { readonly code: string }

/** The name under which `breakableWorker.ts` gives the real one. */
export const realStripper = "test:real-stripper"

let isTorn = false
let strip: Strip | undefined

export const transformSync: Strip = (source, options) => {
  if (source.includes("compute for ever")) for (;;);
  isTorn ||= source.includes("trap here")
  if (isTorn || strip === undefined) throw new WebAssembly.RuntimeError("memory access out of bounds")
  return strip(source, options)
}

/** Loads the real one. */
export const load = async (): Promise<void> => {
  strip = ((await import(realStripper)) as { readonly transformSync: Strip }).transformSync
}
