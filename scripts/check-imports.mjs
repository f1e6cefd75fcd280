/**
 * Checks that imports only point down the list of packages, in sources and tests:
 *
 * - a package imports packages below it, never above and never beside it (hosts, plugins); it lists them as dependencies;
 * - relative imports stay inside their package;
 * - what the main entries of the packages marked `browser` reach uses no Node built-ins.
 *
 * Prints each import that breaks a rule and exits 1.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { dirname, join, relative, resolve } from "node:path"
import { parseSync } from "oxc-parser"

const root = resolve(import.meta.dirname, "..")

/** From the top down. Packages of one entry are beside each other. */
const layers = [
  ["apps/executor", "apps/web", "examples", "bench"],
  ["packages/hosts/cli", "packages/hosts/http", "packages/hosts/mcp"],
  ["packages/core/api"],
  ["packages/core/execution"],
  ["packages/plugins/openapi", "packages/plugins/mcp", "packages/plugins/graphql"],
  ["packages/storage/drizzle"],
  ["packages/kernel/quickjs"],
  ["packages/kernel/core"],
  ["packages/core/sdk"]
]
/** Import nothing of ours. */
const leaves = new Set(["packages/kernel/core", "packages/core/sdk"])
const browser = ["packages/core/sdk", "packages/core/api"]

const packages = layers.flatMap((dirs, layer) =>
  dirs
    .filter((dir) => existsSync(join(root, dir, "package.json")))
    .map((dir) => ({ dir, layer, manifest: JSON.parse(readFileSync(join(root, dir, "package.json"), "utf8")) }))
)
const byName = new Map(packages.map((entry) => [entry.manifest.name, entry]))
const problems = []

const onDisk = globSync(["packages/*/*/package.json", "apps/*/package.json"], { cwd: root }).map((file) =>
  dirname(file)
)
for (const dir of onDisk) {
  if (!packages.some((entry) => entry.dir === dir)) problems.push(`${dir} has no place in the list of packages`)
}

const packageName = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

/** Every module specifier of a file, types and dynamic imports included. */
const importsOf = (file) => {
  const source = readFileSync(file, "utf8")
  const { module, errors } = parseSync(file, source)
  if (errors.length > 0) problems.push(`${relative(root, file)} does not parse: ${errors[0].message}`)
  return [
    ...module.staticImports.map((entry) => ({
      specifier: entry.moduleRequest.value,
      erased: entry.entries.length > 0 && entry.entries.every((name) => name.isType)
    })),
    ...module.staticExports.flatMap((entry) =>
      entry.entries
        .filter((name) => name.moduleRequest !== null)
        .map((name) => ({ specifier: name.moduleRequest.value, erased: name.isType }))
    ),
    ...module.dynamicImports.flatMap((entry) => {
      const text = source.slice(entry.moduleRequest.start, entry.moduleRequest.end)
      return /^["'][^"']+["']$/.test(text) ? [{ specifier: text.slice(1, -1), erased: false }] : []
    })
  ]
}

for (const { dir, layer, manifest } of packages) {
  const runtime = new Set([manifest.name, ...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })])
  const files = globSync(["src/**/*.{ts,tsx}", "test/**/*.{ts,tsx}", "*.ts"], { cwd: join(root, dir) })
  for (const file of files) {
    const path = join(root, dir, file)
    for (const { specifier } of importsOf(path)) {
      const report = (why) => problems.push(`${dir}/${file} imports "${specifier}": ${why}`)
      if (specifier.startsWith(".")) {
        if (relative(join(root, dir), resolve(dirname(path), specifier)).startsWith(".."))
          report("it leaves the package")
        continue
      }
      const name = packageName(specifier)
      const target = byName.get(name)
      if (target !== undefined && target.dir !== dir) {
        if (leaves.has(dir)) report(`${dir} imports nothing of ours`)
        else if (target.layer < layer) report(`${target.dir} is above ${dir}`)
        else if (target.layer === layer) report(`${target.dir} is beside ${dir}`)
      }
      if (file.startsWith("src/") && !isBuiltin(specifier) && !runtime.has(name))
        report("it is not among its dependencies")
    }
  }
}

for (const dir of browser) {
  const seen = new Set()
  const visit = (file) => {
    if (seen.has(file)) return
    seen.add(file)
    for (const { specifier, erased } of importsOf(file)) {
      if (erased) continue
      if (isBuiltin(specifier) || specifier === "@effect/platform-node") {
        problems.push(
          `${relative(root, file)} imports "${specifier}", and the main entry of ${dir} must run in a browser`
        )
      } else if (specifier.startsWith(".")) visit(resolve(dirname(file), specifier))
      else {
        const target = byName.get(packageName(specifier))
        if (target !== undefined) visit(join(root, target.dir, "src/index.ts"))
      }
    }
  }
  visit(join(root, dir, "src/index.ts"))
}

if (problems.length > 0) {
  console.error(problems.join("\n"))
  console.error(`\n${problems.length} imports break the rules`)
  process.exit(1)
}
console.log(`imports: ${packages.length} packages point down`)
