import { readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import {
  createExecutor,
  type Executor,
  MemoryAdapter,
  OutcomeUnknown,
  SourceInvalid,
  SourceProgress,
  SourceUnavailable,
  ToolFailed
} from "@executor/sdk"
import { defaultInstallTimeoutMillis, idempotencyMetaKey, mcpPlugin } from "@executor/plugin-mcp"
import { Deferred, Effect, Exit, Fiber, Predicate, Scope } from "effect"
import { TestClock } from "effect/testing"
import { add, call, fixture, isRunning, makeExecutor, temporaryFolder, withVariable } from "./Support.ts"

const pidOf = (executor: Executor, namespace = "raw") =>
  Effect.map(call(executor, `${namespace}.pid`), (result) => {
    assert(Predicate.isObject(result))
    return Number(result["pid"])
  })

const shell = (script: string) => ({ transport: "stdio", command: "sh", args: ["-c", script] })

/** The number of processes of the fixture that were started, counted by themselves. */
const counted = Effect.gen(function* () {
  const file = `${yield* temporaryFolder}/starts`
  yield* withVariable("RAW_SERVER_STARTS", file)
  return {
    config: (...args: ReadonlyArray<string>) => ({ ...fixture("raw-server", ...args), env: ["RAW_SERVER_STARTS"] }),
    starts: Effect.sync(() => Number(readFileSync(file, "utf8")))
  }
})

describe("tools of a server", () => {
  it.live("all pages are read, and names that are no path segments get unique ones that call the original", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      const source = yield* add(executor, "raw", fixture("raw-server"))
      const tools = yield* executor.tools.list({ namespace: "raw" })
      assert.strictEqual(source.toolCount, tools.length)
      const originals = {
        "raw.a_b": "a_b",
        "raw.a_b_2": "a.b",
        "raw.a_b_c": "a/b c",
        "raw.__proto__": "__proto__",
        "raw.then": "then",
        "raw._": "\u00fc"
      }
      assert.includeMembers(
        tools.map((tool) => tool.path),
        [...Object.keys(originals), "raw.die", "raw.huge"]
      )
      for (const [path, original] of Object.entries(originals)) {
        assert.strictEqual(yield* call(executor, path), original)
      }
      const pid = tools.find((tool) => tool.path === "raw.pid")
      assert.deepInclude(pid, { name: "Process id", requiresApproval: false })
      const annotations = (path: string) => Effect.map(executor.tools.schema(path), ({ annotations }) => annotations)
      assert.deepStrictEqual(yield* annotations("raw.pid"), { readOnly: true, acceptsIdempotencyKey: true })
      assert.deepStrictEqual(yield* annotations("raw.hang"), {})
    })
  )

  it.live("results of every shape", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", fixture("raw-server"))
      const shape = (shape: string) => call(executor, "raw.shapes", { shape })
      assert.strictEqual(yield* shape("text"), "plain")
      assert.strictEqual(yield* shape("json"), '{"a":1}')
      assert.strictEqual(yield* shape("none"), null)
      assert.deepNestedPropertyVal(yield* shape("many"), "content.length", 2)
      const error = yield* Effect.flip(shape("error"))
      assert(error instanceof ToolFailed)
      assert.deepInclude(error, { message: "no such [31muser", path: "raw.shapes" })
      assert.lengthOf(String(yield* call(executor, "raw.huge", { bytes: 9_000_000 })), 9_000_000)
    })
  )

  it.live(
    "a call that wants pages to be visited first is made again after that, and not when the person declines",
    () =>
      Effect.gen(function* () {
        const executor = yield* makeExecutor()
        yield* add(executor, "raw", fixture("raw-server"))
        const seen: Array<unknown> = []
        const login = (action: "accept" | "decline") =>
          call(executor, "raw.login", {}, (request) => {
            seen.push([request.kind, request.url, request.toolPath])
            return Effect.succeed({ action })
          })
        const error = yield* Effect.flip(login("decline"))
        assert(error instanceof ToolFailed)
        assert.include(error.message, "Please log in")
        assert.strictEqual(yield* login("accept"), "logged in")
        const page = ["url", "https://example.com/login", "raw.login"]
        assert.deepStrictEqual(seen, [page, page])
      })
  )

  it.live("the idempotency key travels in _meta", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", fixture("raw-server"))
      const seen = yield* executor.tools.invoke(
        "raw.echo_call",
        { a: 1 },
        { idempotencyKey: "e:7", onElicitation: () => Effect.succeed({ action: "accept" }) }
      )
      assert.deepNestedPropertyVal(seen, "arguments", { a: 1 })
      assert.deepEqual((seen as { _meta: Record<string, unknown> })._meta[idempotencyMetaKey], "e:7")
    })
  )
})

describe("the process", () => {
  it.live("is one for ten concurrent first calls, and a stored source is listed without it", () =>
    Effect.gen(function* () {
      const { config, starts } = yield* counted
      const adapter = MemoryAdapter.make()
      yield* Effect.scoped(Effect.flatMap(makeExecutor(adapter), (executor) => add(executor, "raw", config())))
      assert.strictEqual(yield* starts, 1)
      const executor = yield* makeExecutor(adapter)
      assert.strictEqual((yield* executor.tools.search({ query: "process id" }))[0]?.tool.path, "raw.pid")
      assert.strictEqual(yield* starts, 1)
      const pids = yield* Effect.all(
        Array.from({ length: 10 }, () => pidOf(executor)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(pids).size, 1)
      assert.strictEqual(yield* starts, 2)
    })
  )

  it.live("ends with the executor, also when it ignores the end of its input and SIGTERM", () =>
    Effect.gen(function* () {
      for (const args of [[], ["--stay"]]) {
        const scope = yield* Scope.make()
        const executor = yield* Scope.provide(makeExecutor(), scope)
        yield* add(executor, "raw", fixture("raw-server", ...args))
        const pid = yield* pidOf(executor)
        assert.isTrue(isRunning(pid))
        yield* Scope.close(scope, Exit.void)
        assert.isFalse(isRunning(pid))
        assert.instanceOf(yield* Effect.flip(pidOf(executor)), SourceUnavailable)
      }
    })
  )

  it.live(
    "that dies mid-call gives a typed error with its exit code and what it printed, but no secrets, and is started again",
    () =>
      Effect.gen(function* () {
        const executor = yield* makeExecutor()
        yield* add(executor, "raw", fixture("raw-server"))
        const before = yield* pidOf(executor)
        const error = yield* Effect.flip(call(executor, "raw.die"))
        assert(error instanceof OutcomeUnknown)
        assert.include(error.message, "exited with code 3")
        assert.include(error.message, "The last that it printed:\nSECRET=*** noise on standard error")
        const after = yield* pidOf(executor)
        assert.notStrictEqual(after, before)
      })
  )

  it.live("that closes its input is ended, the error says so, and the next call starts it again", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", fixture("raw-server"))
      const before = yield* pidOf(executor)
      yield* call(executor, "raw.deaf")
      const error = yield* Effect.flip(pidOf(executor))
      assert(error instanceof SourceUnavailable)
      assert.include(error.message, "closed its standard input")
      assert.include(error.message, "The next call starts it again")
      assert.isFalse(isRunning(before))
      assert.notStrictEqual(yield* pidOf(executor), before)
    })
  )

  it.live("learns tools that appear while it runs, which can be called right away, and goes on for a refresh", () =>
    Effect.gen(function* () {
      const { config, starts } = yield* counted
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", config())
      const before = (yield* executor.tools.list({ namespace: "raw" })).length
      yield* call(executor, "raw.grow")
      assert.strictEqual(yield* call(executor, "raw.grown"), "grown")
      assert.strictEqual((yield* executor.sources.refresh("raw")).toolCount, before + 1)
      assert.strictEqual(yield* starts, 1)
      for (const era of [[], ["--old"]]) {
        const namespace = `asking${era.length}`
        yield* add(executor, namespace, fixture("asking-server", ...era))
        assert.strictEqual(yield* call(executor, `${namespace}.grow`), "done")
        assert.strictEqual(yield* call(executor, `${namespace}.grown`), "grown")
      }
    })
  )

  it.live("that nobody has called for its idle time ends, and the next call starts another", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", { ...fixture("raw-server"), idleTimeoutMillis: 1 })
      const before = yield* pidOf(executor)
      yield* Effect.repeat(Effect.sleep(5), { until: () => !isRunning(before) })
      assert.notStrictEqual(yield* pidOf(executor), before)
    })
  )

  it.live("that died while nobody called is started again without an error", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", fixture("raw-server"))
      const before = yield* pidOf(executor)
      process.kill(before, "SIGKILL")
      yield* Effect.repeat(Effect.sleep(5), { until: () => !isRunning(before) })
      assert.notStrictEqual(yield* pidOf(executor), before)
    })
  )

  it.live("that does not start, exits at once, or never answers is refused, and nothing is stored", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      for (const [config, message] of [
        [{ transport: "stdio", command: "/no/such/program" }, "no such program"],
        [fixture("raw-server", "--crash"), "exited with code 7"],
        ...[0, 1, 4].map((code) => [shell(`exit ${code}`), `exited with code ${code}`] as const),
        [shell("exec 0<&-; sleep 0.2; exit 5"), "exited with code 5"],
        [shell("kill -9 $$"), "was ended by SIGKILL"],
        [fixture("raw-server", "--no-list"), "does not know the method `tools/list`"],
        [{ ...fixture("raw-server", "--silent"), startTimeoutMillis: 400 }, "startTimeoutMillis"],
        [{ ...fixture("raw-server"), env: ["NO_SUCH_VARIABLE_HERE"] }, "NO_SUCH_VARIABLE_HERE"]
      ] as const) {
        const error = yield* Effect.flip(add(executor, "raw", config))
        assert(error instanceof SourceUnavailable)
        assert.include(error.message, message)
      }
      assert.deepStrictEqual(yield* executor.sources.list(), [])
    })
  )

  it.live("that does not start says why in its own words, without the values of variables and keys in arguments", () =>
    Effect.gen(function* () {
      yield* withVariable("RAW_TOKEN", "open.sesame")
      const executor = yield* makeExecutor()
      const args = [
        "--crash",
        "--tell",
        "--api-key",
        "k3yy",
        "--key=k-123",
        "https://me:hu%40nter@example.com/?token=t0ken"
      ]
      const error = yield* Effect.flip(add(executor, "raw", { ...fixture("raw-server", ...args), env: ["RAW_TOKEN"] }))
      assert(error instanceof SourceUnavailable)
      assert.include(
        error.message,
        "exited with code 7. The last that it printed:\nSECRET=*** noise on standard error\nmy token is ***\n" +
          "my arguments are --crash --tell --api-key *** --key=*** https://me:***@example.com/?token=***"
      )
    })
  )

  it.effect("that a program like npx may download first has minutes, and again as long while it prints something", () =>
    Effect.gen(function* () {
      const npx = `${yield* temporaryFolder}/npx`
      const script = `#!${process.execPath}\nconsole.error("downloading\\u001b[1m 10%")\nsetInterval(() => {}, 1000)`
      yield* Effect.sync(() => writeFileSync(npx, script, { mode: 0o755 }))
      const executor = yield* makeExecutor()
      const heard = yield* Deferred.make<string>()
      const adding = yield* add(executor, "slow", { transport: "stdio", command: npx }).pipe(
        Effect.provideService(SourceProgress, (_, line) => void Deferred.doneUnsafe(heard, Exit.succeed(line))),
        Effect.flip,
        Effect.forkChild({ startImmediately: true })
      )
      assert.strictEqual(yield* Deferred.await(heard), "downloading 10%")
      yield* TestClock.adjust(defaultInstallTimeoutMillis)
      assert.isUndefined(adding.pollUnsafe())
      yield* TestClock.adjust(defaultInstallTimeoutMillis)
      const error = yield* Fiber.join(adding)
      assert.include(error.message, "did not start within 300000 ms (the setting startTimeoutMillis")
      assert.include(error.message, "--start-timeout")
      assert.include(error.message, "downloading 10%")
    })
  )

  it.live("that exits over an unknown first request is greeted in the old way", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", fixture("raw-server", "--picky"))
      assert.isAbove(yield* pidOf(executor), 0)
    })
  )

  it.live("sees a harmless environment and the named variables, and names are all that is stored", () =>
    Effect.gen(function* () {
      yield* withVariable("RAW_TOKEN", "token-value")
      const passedOn = {
        HTTPS_PROXY: "http://proxy.example:8080",
        no_proxy: "localhost,.example",
        NODE_EXTRA_CA_CERTS: "/etc/ca.pem",
        LC_TIME: "de_CH.UTF-8",
        npm_config_cache: "/tmp/cache",
        UV_DEFAULT_INDEX: "https://index.example/simple",
        XDG_CACHE_HOME: "/tmp/xdg"
      }
      const keptBack = {
        RAW_OTHER: "other-value",
        HTTP_PROXY: "http://me:secret@proxy.example:8080",
        all_proxy: "me:secret@proxy.example:8080",
        npm_config__auth: "c2VjcmV0",
        "npm_config_//registry.example/:_authToken": "npm-secret",
        UV_INDEX_PRIVATE_PASSWORD: "uv-secret",
        PIP_INDEX_URL: "https://token@index.example/simple"
      }
      for (const [name, value] of Object.entries({ ...passedOn, ...keptBack })) yield* withVariable(name, value)
      const adapter = MemoryAdapter.make()
      const executor = yield* makeExecutor(adapter)
      yield* add(executor, "raw", { ...fixture("raw-server"), env: ["RAW_TOKEN"] })
      const env = yield* call(executor, "raw.env")
      assert.propertyVal(env, "RAW_TOKEN", "token-value")
      assert.deepInclude(env, passedOn)
      assert.doesNotHaveAnyKeys(env, Object.keys(keptBack))
      assert.property(env, "PATH")
      const rows = yield* Effect.all([adapter.find({ table: "source" }), adapter.find({ table: "tool" })])
      assert.notInclude(JSON.stringify(rows), "token-value")
    })
  )

  it.live("a wrong configuration names what is wrong", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      for (const [config, field] of [
        [{ transport: "stdio" }, "command"],
        [{ transport: "carrier-pigeon", command: "x" }, "transport"],
        [{ ...fixture("raw-server"), env: ["A=secret"] }, "env"],
        [{ ...fixture("raw-server"), shell: true }, "shell"]
      ] as const) {
        const error = yield* Effect.flip(add(executor, "raw", config))
        assert(error instanceof SourceInvalid)
        assert.include(error.message, field)
      }
    })
  )
})

describe("time", () => {
  it.live("the outcome of a call that takes too long is unknown; others go on with the same process", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", { ...fixture("raw-server"), callTimeoutMillis: 1000 })
      const pid = yield* pidOf(executor)
      const error = yield* Effect.flip(call(executor, "raw.hang"))
      assert(error instanceof OutcomeUnknown)
      assert.include(error.message, "callTimeoutMillis")
      assert.strictEqual(yield* pidOf(executor), pid)
    })
  )

  it.live("a server that hangs is ended, and started again by the next call", () =>
    Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "raw", { ...fixture("raw-server"), callTimeoutMillis: 1000 })
      const pid = yield* pidOf(executor)
      const error = yield* Effect.flip(call(executor, "raw.freeze"))
      assert(error instanceof OutcomeUnknown)
      assert.include(error.message, "does not answer any more")
      assert.isFalse(isRunning(pid))
      assert.notStrictEqual(yield* pidOf(executor), pid)
    })
  )

  it.live("an interrupted call ends at once, and the process goes on", () =>
    Effect.gen(function* () {
      const executor = yield* createExecutor({ scopes: ["a"], adapter: MemoryAdapter.make(), plugins: [mcpPlugin()] })
      yield* add(executor, "raw", fixture("raw-server"))
      const pid = yield* pidOf(executor)
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        executor.tools.invoke(
          "raw.hang",
          {},
          {
            onElicitation: () => Effect.succeed({ action: "accept" }),
            onStart: () => void Deferred.doneUnsafe(started, Exit.void)
          }
        )
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.strictEqual(yield* pidOf(executor), pid)
    })
  )
})
