/**
 * The tour behind `npm run quickstart`: builds the command, then does the main job once, all four ways in, in a folder of its own
 * (`.quickstart/`). Each command is printed before it runs, so that a reader learns by watching. Any step that does not do
 * what it should ends the tour with exit code 1.
 */
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { spawn } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { styleText } from "node:util"

const root = resolve(import.meta.dirname, "..")
const folder = join(root, ".quickstart")
const executorBin = join(root, "apps/executor/bin/executor.js")
const environment = { ...process.env, EXECUTOR_DATA_DIR: join(folder, "data"), EXECUTOR_SERVER: "" }

const say = (text) => console.log(`\n${styleText("bold", text)}`)
const show = (command) => console.log(styleText("cyan", `$ ${command}`))
const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

const running = new Set()
const start = (program, args, options) => {
  const child = spawn(program, args, { cwd: folder, env: environment, ...options })
  running.add(child)
  child.once("exit", () => running.delete(child))
  return child
}

const fail = (message) => {
  throw new Error(message)
}

/** Runs a program with its output on ours, and gives its standard output. */
const run = (program, args, { exitCode = 0, env = environment, cwd = folder, quiet = false } = {}) =>
  new Promise((done, reject) => {
    const child = start(program, args, { stdio: ["ignore", "pipe", "inherit"], env, cwd })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text
      if (!quiet) process.stdout.write(text)
    })
    child.once("error", reject)
    child.once("close", (code) =>
      code === exitCode ? done(output) : reject(new Error(`${program} ended with ${code}; ${exitCode} was expected`))
    )
  })

const executor = (args, options) => {
  show(`executor ${args.map(quote).join(" ")}`)
  return run(process.execPath, [executorBin, ...args], options)
}

/** Starts `executor serve` on a free port and waits until it says where it listens. */
const serve = () =>
  new Promise((done, reject) => {
    show("executor serve --port 0 &")
    const server = start(process.execPath, [executorBin, "serve", "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const read = (text) => {
      output += text
      const url = /http:\/\/[\w.:[\]]+/.exec(output)?.[0]
      if (url !== undefined) done({ server, url })
    }
    server.stdout.setEncoding("utf8").on("data", read)
    server.stderr.setEncoding("utf8").on("data", read)
    server.once("close", () => reject(new Error(`the server ended: ${output}`)))
  })

const tour = async () => {
  say("Building")
  await run(join(root, "node_modules/.bin/turbo"), ["run", "build", "--output-logs=errors-only"], {
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" },
    cwd: root
  })

  say("1. Add a real MCP server from npm as a source")
  await executor(["sources", "add", "mcp", "everything", "--", "npx", "-y", "@modelcontextprotocol/server-everything"])
  await executor(["sources", "list"])

  say("2. Find a tool and read what it takes")
  await executor(["search", "add two numbers"])
  await executor(["describe", "everything.get-sum"])

  say("3. Call it from the terminal")
  const sum = await executor(["call", "everything.get-sum", "a=2", "b=40"])
  if (!sum.includes("42")) fail("the sum of 2 and 40 is missing")

  say("4. Run a script: several calls at once, their results filtered before anybody reads them")
  const code = `const cities = ["New York", "Chicago", "Los Angeles"] as const
const reports = await Promise.all(
  cities.map(async (location) => ({ location, ...(await tools.everything["get-structured-content"]({ location })) }))
)
return reports.filter((report) => report.temperature > 34)
`
  writeFileSync(join(folder, "weather.ts"), code)
  show("cat weather.ts")
  console.log(code.trimEnd())
  await executor(["run", "weather.ts"])

  say("5. Serve, and let a tool that changes something wait for a person")
  const { server, url } = await serve()
  console.log(`listening on ${url}`)
  const viaServer = { ...environment, EXECUTOR_SERVER: url }
  show(`export EXECUTOR_SERVER=${url}`)
  const toggle = 'return await tools.everything["toggle-simulated-logging"]({})'
  const paused = JSON.parse(await executor(["run", "--json", "-e", toggle], { exitCode: 3, env: viaServer }))
  await executor(["resume", paused.executionId, "--accept"], { env: viaServer })

  say("6. Post the script over HTTP")
  show(
    `curl ${url}/executions -H "authorization: Bearer $(executor token)" -H 'content-type: application/json' -d '{"code": "..."}'`
  )
  const token = (await run(process.execPath, [executorBin, "token"], { quiet: true })).trim()
  const response = await fetch(`${url}/executions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ code })
  })
  console.log(await response.text())
  if (response.status !== 200) fail(`the server answered ${response.status}`)
  server.kill("SIGTERM")

  say("7. Send it again from an MCP client over stdio")
  show("executor mcp    # started by the client, which calls its tool `execute`")
  const client = new Client({ name: "quickstart", version: "1.0.0" })
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [executorBin, "mcp"], env: environment })
  )
  const answer = await client.callTool({ name: "execute", arguments: { code } })
  console.log(answer.content.map((part) => part.text).join("\n"))
  await client.close()
  if (answer.isError === true) fail("the MCP client got an error")

  say("8. One history: the same work under cli, http and mcp")
  await executor(["executions", "list"])
  const { executions } = JSON.parse(
    await run(process.execPath, [executorBin, "executions", "list", "--code", "get-structured-content", "--json"], {
      quiet: true
    })
  )
  const triggers = new Set(executions.map(({ execution }) => execution.triggerKind))
  for (const kind of ["cli", "http", "mcp"]) if (!triggers.has(kind)) fail(`the history has no execution under ${kind}`)

  say("Done. Look around:")
  console.log(`  export EXECUTOR_DATA_DIR=${quote(environment.EXECUTOR_DATA_DIR)}`)
  console.log("  npx executor executions list --trigger mcp")
  console.log("  npx executor --help")
}

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const started = performance.now()
try {
  await tour()
  console.log(`\n${((performance.now() - started) / 1000).toFixed(0)} s`)
} catch (error) {
  console.error(`\nThe quickstart stopped: ${error.message}`)
  process.exitCode = 1
} finally {
  for (const child of running) child.kill("SIGTERM")
}
