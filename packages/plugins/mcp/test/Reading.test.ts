import { assert, describe, it } from "@effect/vitest"
import { OutcomeUnknown, ToolFailed } from "@executor/sdk"
import { Deferred, Effect, Exit, Fiber } from "effect"
import * as fc from "fast-check"
import { answer, opened, print } from "./OddServer.ts"

const result = (fields: string) => answer(`"result":{"_meta":{"pad":"$PAD"},${fields}}`)
const ok = '"result":{"content":[{"type":"text","text":"ok"}]}'

/** Both are read the same: a large message takes another way. */
const sizes = [0, 40_000]

const image = { type: "image", data: "AA==", mimeType: "image/png" }
const cat = [image, { type: "resource", resource: { uri: "file:///a", text: "a" } }, { type: "hologram", depth: null }]

const pretty = (text: string) => text.replaceAll(/(?<=[{,])|(?=\})/g, "\n  ").replace("{", "{ ")

const unread = '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}'

/** Each might be an answer and is none: what follows it decides. */
const looksLikeAnswer = [
  '{"level":"warn","id":$ID,"error":"cache miss, goes to the origin"}',
  '{"level":"warn","id":$ID,"error":{"code":"E_MISS","message":"cache miss"}}',
  '{"level":"info","id":$ID,"msg":"begins"}',
  '{"level":"info","id":$ID,"result":"cache hit"}',
  '{"id":$ID,"error":"cache miss"}',
  '{"id":$ID}',
  'DEBUG got {"id":$ID,"error":{"code":404,"message":"cache miss"}}',
  'DEBUG got {"id":$ID,"error":None}',
  '{"id":$ID,"result":{},"error":{"code":1,"message":"cache miss"}}',
  unread,
  unread.replace('"error"', '"result":null,"error"'),
  'DEBUG said {"result": {"content": []}}',
  'DEBUG said {"result": {"items": [1, 2, ...',
  'DEBUG got {"result": "aaaa...',
  'ERROR cache: {"error": None}',
  '{"result": {"items": [1, 2, ...',
  '{"result": "aaaa...',
  '{"error": None}'
]

describe("answers", () => {
  it.live("are read as what they plainly mean, at every size", () =>
    Effect.gen(function* () {
      const executor = yield* opened()
      const log = '{"level":"info"}\nnot JSON { at all\n[INFO] started\n{ name: \'inspect\',\n  list: [ 1 ]\n}\n'
      for (const [text, expected] of [
        [result('"content":[{"type":"text","text":"ok","annotations":null,"_meta":null}],"isError":null'), "ok"],
        [result('"content":[{"type":"text","text":"ok"}],"structuredContent":null,"nextCursor":null'), "ok"],
        [result('"content":[{"type":"text","text":null}]'), ""],
        [result('"content":[null,"ok"]'), "ok"],
        [result('"content":"ok"'), "ok"],
        [result('"content":{"type":"text","text":"ok"}'), "ok"],
        [result('"content":{"text":"ok"}'), "ok"],
        [result('"content":null'), null],
        [result('"isError":false'), null],
        [result('"toolResult":[1]'), [1]],
        [result('"rows":[1]'), { rows: [1] }],
        [result('"structuredContent":[1,"a"]'), [1, "a"]],
        [result('"content":[],"structuredContent":7'), 7],
        [result(`"content":${JSON.stringify(cat)}`), { content: cat }],
        [
          result('"content":[{"type":"image","data":"data:image/png;base64,AA==","mimeType":null}]'),
          { content: [image] }
        ],
        [answer('"result":null,"error":null'), null],
        [answer('"result":"ok"'), "ok"],
        [answer(`${ok},"error":null`), "ok"],
        [answer(`${ok},"error":{"code":0,"message":""}`), "ok"],
        ...['{"code":0,"message":""}', "{}", "false", '""'].map(
          (empty) => [answer(`"result":null,"error":${empty}`), null] as const
        ),
        [`{"id":$ID,${ok}}\n`, "ok"],
        [`{"jsonrpc":"2.0","id":"$ID",${ok}}\n`, "ok"],
        [`\uFEFF${answer(ok).trim()}\r\n`, "ok"],
        [`{"jsonrpc":"2.0","method":"notifications/message","params":null}${answer(ok)}`, "ok"],
        [`[${answer(ok).trim()},{"jsonrpc":"2.0","method":"x"}]\n`, "ok"],
        [`loading 100% ${answer(ok)}`, "ok"],
        [log + answer(ok), "ok"],
        [`{\n${answer(ok)}`, "ok"],
        // Logs that look like answers, before the answer.
        ...looksLikeAnswer.map((line) => [`${line}\n${answer(ok)}`, "ok"] as const),
        [`DEBUG said {"result": {"items": [1, ...\n${pretty(answer(ok))}`, "ok"],
        [`{\n${pretty(answer(ok))}`, "ok"],
        [pretty(answer('"result":{"pad":"$PAD","content":"ok"}')), "ok"],
        [`[\n  ${answer(ok).replaceAll(",", ",\r\n    ")}]\n`, "ok"]
      ] as const) {
        for (const pad of sizes) assert.deepStrictEqual(yield* print(executor, text, pad), expected, text)
      }
    })
  )

  it.live("that were changed without a change of their meaning read the same", () =>
    Effect.gen(function* () {
      const executor = yield* opened()
      const part = fc.oneof(
        fc.record({ type: fc.constant("text"), text: fc.string() }),
        fc.constantFrom<Record<string, unknown>>(...cat)
      )
      const whole = fc.record(
        {
          content: fc.array(part, { maxLength: 3 }),
          structuredContent: fc.dictionary(
            fc.string().filter((key) => key !== "__proto__"),
            fc.jsonValue({ maxDepth: 2 })
          )
        },
        { requiredKeys: ["content"] }
      )
      type Message = Record<string, unknown> & { result: Record<string, unknown> }
      const inMessage: ReadonlyArray<(message: Message) => Message> = [
        (message) => ({ ...message, error: null }),
        (message) => ({ ...message, id: "$ID" }),
        ({ jsonrpc: _jsonrpc, ...message }) => message,
        ({ id, ...message }) => ({ ...message, id }),
        (message) => ({ ...message, result: { ...message.result, isError: null, _meta: null } }),
        (message) => ({ ...message, result: { structuredContent: null, ...message.result } }),
        (message) => ({ ...message, result: { ...message.result, _meta: { large: "$PAD" } } })
      ]
      const inText: ReadonlyArray<(text: string) => string> = [
        (text) => `\uFEFF${text}`,
        (text) => `${text}\r`,
        (text) => `[${text}]`,
        (text) => `${text}{"jsonrpc":"2.0","method":"x"}`,
        (text) => `{"jsonrpc":"2.0","method":"x"} ${text}`,
        (text) => `working... ${text}`,
        (text) => `a log\n${text}\n{"a": "log"}`
      ]
      const run = (text: string, pad = 0) => Effect.runPromise(print(executor, `${text}\n`, pad))
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            whole,
            fc.subarray([...inMessage]),
            fc.constantFrom(undefined, 1, 2, "\t"),
            fc.option(fc.constantFrom(...inText), { nil: undefined }),
            fc.constantFrom(...sizes),
            async (given, changes, space, wrap = (text: string) => text, pad) => {
              const message = { jsonrpc: "2.0", id: "$ID", result: given }
              const numbered = (json: string) =>
                json.replace('"id":"$ID"', '"id":$ID').replace('"id": "$ID"', '"id": $ID')
              const changed = changes.reduce<Message>((each, change) => change(each), message)
              const isText = changes.includes(inMessage[1] ?? ((each) => each))
              const json = JSON.stringify(changed, null, space)
              assert.deepStrictEqual(
                await run(wrap(isText ? json : numbered(json)), pad),
                await run(numbered(JSON.stringify(message)))
              )
            }
          ),
          { numRuns: 40 }
        )
      )
    })
  )

  it.live("that cannot be read fail their call at once, saying what is wrong and where, and the server goes on", () =>
    Effect.gen(function* () {
      const executor = yield* opened()
      const secret = "hunter2"
      // Meanwhile: one that stops in the middle of a message over several lines.
      const other = yield* opened()
      const stopped = yield* Effect.forkChild(Effect.flip(print(other, '{\n  "jsonrpc": "2.0",\n  "id": $ID,\n')))
      // And those that may be answers, which no other follows: nobody can say that the call failed.
      const doubtful = yield* Effect.forkChild(
        Effect.forEach(
          [
            ['{"id":$ID,"error":"no"}\n', 'has no "jsonrpc"'],
            ['DEBUG got {"id":$ID,"error":{"code":1,"message":"no"}}\n', 'has no "jsonrpc"'],
            ['{"result":{"content":[]}}\n', "has no id"],
            [`${unread}\n`, "has no id and says that the server could not read a message"],
            ['{"error": None}\n', "unexpected None"],
            ['DEBUG got {"jsonrpc":"2.0","id":$ID,"result":NaN}\n', "unexpected NaN"]
          ] as const,
          ([text, problem]) =>
            Effect.gen(function* () {
              const error = yield* Effect.flip(print(yield* opened(), text))
              assert(error instanceof OutcomeUnknown, text)
              assert.include(error.message, problem, text)
            }),
          { concurrency: "unbounded" }
        )
      )
      for (const [text, problem] of [
        [result('"content":[],"structuredContent":{"rows":[{"v":NaN}]}'), "unexpected NaN at character "],
        [
          result('"content":[],"structuredContent":{"rows":[{"v":-Infinity}]}'),
          ", in result.structuredContent.rows[0].v"
        ],
        [`{"result":{"content":[],"structuredContent":{"v":NaN},"_meta":"$PAD"},"jsonrpc":"2.0","id":$ID}\n`, "NaN"],
        [result(`"content":[{"type":"text","text":"${secret}`), "it ends in the middle"],
        [result(`"content":[{"type":"text","text":"a\n${secret}"}]`), "in result.content[0].text"],
        [result(`"content":[{"type":"text","text":"\\x41${secret}"}]`), "unexpected \\"],
        [result(`"content":[{"type":"text" ${secret}:1}]`), "unexpected text"],
        [result('"content":[],'), "unexpected }"],
        [
          `{\n  "jsonrpc": "2.0",\n  "id": $ID,\n  "result": { "pad": "$PAD", "v": undefined }\n}\n`,
          "unexpected undefined"
        ],
        [`[${answer('"result":{"v":NaN}').trim()}]\n`, "NaN"],
        [answer(`${ok},"error":{"code":1,"message":"no"}`), "has both a result and an error"],
        [answer('"params":{}'), "has neither a result nor an error"],
        [answer('"result":7'), "has a result that is a number"],
        [result('"content":["ok",[]]'), "has a part of content that is a list"],
        [result('"resultType":"task","content":[]'), 'the result type "task"'],
        [`{"jsonrpc":"2.0",${ok}}\n`, "has no id"]
      ] as const) {
        for (const pad of sizes) {
          const error = yield* Effect.flip(print(executor, text, pad))
          assert(error instanceof OutcomeUnknown, text)
          assert.include(error.message, problem, text)
          assert.include(error.message, "cannot be read: it ")
          assert.notInclude(error.message, secret)
          assert.strictEqual(error.path, "odd.print")
        }
      }
      assert.strictEqual(yield* print(executor, answer(ok)), "ok")
      for (const text of [result('"content":[]'), '{"result":{"content":"$PAD"},"jsonrpc":"2.0","id":$ID}\n']) {
        const tooLong = yield* Effect.flip(print(executor, text, 17 * 1024 * 1024))
        assert(tooLong instanceof OutcomeUnknown)
        assert.include(tooLong.message, "longer than 16777216 bytes")
      }
      const longLog = 'DEBUG said {"result":"$PAD"}\n'
      assert.strictEqual(yield* print(executor, longLog + answer(ok), 17 * 1024 * 1024), "ok")
      const error = yield* Fiber.join(stopped)
      assert(error instanceof OutcomeUnknown)
      assert.include(error.message, "it ends in the middle at character")
      yield* Fiber.join(doubtful)
    })
  )

  it.live("that cannot be read fail the call whose id they show, else all that wait", () =>
    Effect.gen(function* () {
      const executor = yield* opened()
      const started = yield* Deferred.make<void>()
      const waiting = yield* Effect.forkChild(
        Effect.flip(print(executor, "no answer\n", 0, () => void Deferred.doneUnsafe(started, Exit.void)))
      )
      yield* Deferred.await(started)
      for (const text of [
        answer('"result":NaN'),
        '{"result":NaN,"jsonrpc":"2.0","id":$ID}\n',
        '{"result":"$PAD","id":$ID,"jsonrpc":"2.0"}\n'
      ]) {
        for (const pad of [0, 17 * 1024 * 1024]) {
          const failed = pad > 0 || text.includes("NaN")
          const call = print(executor, text, pad)
          if (failed) assert.instanceOf(yield* Effect.flip(call), OutcomeUnknown)
          else yield* call
        }
      }
      // Neither a log nor a broken message of another kind is an answer.
      const noise =
        'DEBUG said {"result": {"items": [1, ...\nERROR cache: {"error": None}\n{"level":"error","error":{}\n{"jsonrpc":"2.0","method":"x","params":NaN}\n{"jsonrpc":"2.0","id":4711,"result":NaN}\n'
      assert.strictEqual(yield* print(executor, noise + answer(ok)), "ok")
      assert.isUndefined(waiting.pollUnsafe())
      assert.instanceOf(yield* Effect.flip(print(executor, '{"jsonrpc":"2.0","result":NaN}\n')), OutcomeUnknown)
      assert.instanceOf(yield* Fiber.join(waiting), OutcomeUnknown)
    })
  )

  it.live("that are errors reach the caller with code and data, whatever they are", () =>
    Effect.gen(function* () {
      const executor = yield* opened()
      const failure = (text: string) =>
        Effect.map(Effect.flip(print(executor, text)), (error) => {
          assert(error instanceof ToolFailed)
          const { code, data, message } = error
          return { message, ...(code === undefined ? {} : { code }), ...(data === undefined ? {} : { data }) }
        })
      const silent = (code: string) => `the server answered with an error${code} and did not say why`
      for (const [text, expected] of [
        ['"error":{"code":-32602,"message":"no","data":{"a":[1]}}', { message: "no", code: -32602, data: { a: [1] } }],
        ['"result":null,"error":{"code":"E_NO","message":"no","data":"x"}', { message: "no", code: "E_NO", data: "x" }],
        ['"error":{"code":-32000,"data":0}', { message: silent(" (code -32000)"), code: -32000, data: 0 }],
        ['"error":{"message":null,"detail":"x"}', { message: silent(""), data: { message: null, detail: "x" } }],
        ['"error":"no"', { message: "no" }],
        ['"result":{"isError":true,"content":"no"}', { message: "no" }],
        [
          '"result":{"isError":true,"structuredContent":[1]}',
          { message: "the tool failed and did not say why", data: [1] }
        ],
        [
          `"result":{"isError":true,"structuredContent":{"a":1},"content":["no",${JSON.stringify(image)}]}`,
          { message: "no", data: { a: 1, _content: [image] } }
        ]
      ] as const) {
        assert.deepStrictEqual(yield* failure(answer(text)), expected)
      }
      assert.include((yield* failure(answer('"error":{"code":-32601,"message":"x"}'))).message, "Refresh the source")
    })
  )

  it.live("with text beside structured content give both, unless the text says the same", () =>
    Effect.gen(function* () {
      const executor = yield* opened()
      const both = (structuredContent: unknown, ...texts: ReadonlyArray<string>) =>
        print(
          executor,
          answer(
            `"result":${JSON.stringify({ content: texts.map((text) => ({ type: "text", text })), structuredContent })}`
          )
        )
      const parts = (...texts: ReadonlyArray<string>) => texts.map((text) => ({ type: "text", text }))
      const file = { fileName: "a.txt" }
      assert.deepStrictEqual(yield* both(file, "the text"), { fileName: "a.txt", _content: parts("the text") })
      assert.deepStrictEqual(yield* both([1], "one"), { structuredContent: [1], content: parts("one") })
      const taken = { _content: 1 }
      assert.deepStrictEqual(yield* both(taken, "x"), { structuredContent: taken, content: parts("x") })
      for (const [structured, ...texts] of [
        [file],
        [file, "", " "],
        [file, '{ "fileName": "a.txt" }'],
        [{ a: 1, b: [{ c: null }] }, '{"b":[{"c":null}],"a":1.0}'],
        [{ result: "plain" }, "plain"],
        [{ result: [1, { a: 1 }, "x"] }, "1", '{"a":1}', "x"],
        [{ content: "text", size: 4 }, "text"],
        [[1, 2], "[1,2]"],
        [[1, "b"], "1", "b"]
      ] as ReadonlyArray<[unknown, ...ReadonlyArray<string>]>) {
        assert.deepStrictEqual(yield* both(structured, ...texts), structured)
      }
    })
  )
})
