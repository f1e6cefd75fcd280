/**
 * The worker, with a type stripper that can be broken (see `breakableStripper.ts`).
 */
import { registerHooks } from "node:module"
import { load, realStripper } from "./breakableStripper.ts"

const stand = new URL("breakableStripper.ts", import.meta.url).href
const kernel = import.meta.resolve("@executor/kernel/source")

registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier === realStripper) return next("amaro", { ...context, parentURL: kernel })
    return specifier === "amaro" ? { url: stand, shortCircuit: true } : next(specifier, context)
  }
})

await load()
await import(new URL("../src/worker.ts", import.meta.url).href)
