/**
 * The WebAssembly files of the sandbox: where they are, and compiling them, once a process and off its thread.
 */
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import type { CompiledModules } from "./Protocol.ts"

/** The files, as they are named in `quickjs-wasi` and in an `assetsUrl` folder. */
const assetNames = {
  quickjs: "quickjs.wasm",
  url: "url.so",
  encoding: "encoding.so",
  structuredClone: "structured-clone.so"
} as const

const installed = (name: string): string => createRequire(import.meta.url).resolve(`quickjs-wasi/${name}`)

/** Where the files are installed, for a build that copies them. */
export const assetUrls = (): ReadonlyArray<URL> =>
  Object.values(assetNames).map((name) => pathToFileURL(installed(name)))

const compile = async (name: string, folder: URL | undefined): Promise<WebAssembly.Module> => {
  const file =
    folder === undefined ? installed(name) : new URL(name, folder.href.endsWith("/") ? folder : `${folder.href}/`)
  return WebAssembly.compile(await readFile(file))
}

/** Reads and compiles all of them. */
export const compileAssets = async (folder: URL | undefined): Promise<CompiledModules> => {
  const [quickjs, url, encoding, structuredClone] = await Promise.all([
    compile(assetNames.quickjs, folder),
    compile(assetNames.url, folder),
    compile(assetNames.encoding, folder),
    compile(assetNames.structuredClone, folder)
  ])
  return { quickjs, url, encoding, structuredClone }
}
