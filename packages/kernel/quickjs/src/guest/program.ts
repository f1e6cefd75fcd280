/**
 * Guest text: `tools`, timers, and the loop between the program and its host.
 *
 * `run` starts the program; `deliver` hands it one settlement. The host drains microtasks after each. A call is numbered
 * by `host.call` at the moment it is made; what waits for its outcome is kept here under that number, so the host
 * holds no guest object.
 */
export const programText = /* js */ `
// Half a character makes text slow to carry over.
const toWellFormed = String.prototype.toWellFormed
const wellFormed = (text) => reflectApply(toWellFormed, text, [])
const pending = { __proto__: null }
const promiseReject = (error) => new NativePromise((_, reject) => reject(error))

const hide = (object, key, value) => defineProperty(object, key, { value, configurable: true, writable: true, enumerable: false })

const callTool = (path, args) => {
  let text
  try {
    if (args.length > 1) {
      throw new NativeTypeError("tools." + path + " takes one input, and was given " + args.length + ": put them in one object")
    }
    text = args.length === 0 ? undefined : encode(args[0], "input", maxArguments, "argumentsBytes")
  } catch (error) {
    return promiseReject(error)
  }
  const error = new NativeError()
  return new NativePromise((resolve, reject) => {
    pending[host.call(wellFormed(path), text)] = { resolve, reject, error }
  })
}

const maxPath = 1024
const maxKnownNodes = 1000
let knownNodes = 0
const toolNode = (path) => {
  const children = { __proto__: null }
  const node = new NativeProxy(() => {}, {
    get: (_, key) => {
      const known = children[key]
      if (known !== undefined) return known
      if (key === symbolToPrimitive) return () => "tools" + (path === "" ? "" : "." + path)
      if (typeof key === "symbol" || key === "then" || key === "toJSON") return undefined
      const next = path === "" ? key : path + "." + key
      if (next.length > maxPath) throw new NativeRangeError("The path of a tool has at most " + maxPath + " characters")
      const child = toolNode(next)
      if (knownNodes < maxKnownNodes) {
        knownNodes++
        children[key] = child
      }
      return child
    },
    apply: (_, self, args) =>
      path === "" ? promiseReject(new NativeTypeError("tools is not a tool: call tools.<path>(input)")) : callTool(path, args),
    construct: () => { throw new NativeTypeError("A tool is called without new") },
    set: () => { throw new NativeTypeError("tools cannot be changed") },
    defineProperty: () => { throw new NativeTypeError("tools cannot be changed") },
    deleteProperty: () => { throw new NativeTypeError("tools cannot be changed") },
    setPrototypeOf: () => { throw new NativeTypeError("tools cannot be changed") },
    preventExtensions: () => { throw new NativeTypeError("tools cannot be changed") }
  })
  reflectApply(weakMapSet, toolPaths, [node, path === "" ? "tools" : path])
  return node
}
const symbolToPrimitive = Symbol.toPrimitive
defineProperty(globalThis, "tools", { value: toolNode(""), enumerable: true, configurable: false, writable: false })

const mathTrunc = Math.trunc
const setTimer = (callback, delay, ...args) => {
  if (typeof callback !== "function") throw new NativeTypeError("setTimeout needs a function")
  let ms = mathTrunc(+delay)
  if (!(ms > 0)) ms = 0
  if (ms > 2147483647) ms = 2147483647
  const error = new NativeError()
  const timer = {
    resolve: () => {
      if (timer.cleared) return
      try { reflectApply(callback, undefined, args) } catch (thrown) { fail(thrown) }
    },
    reject: (thrown) => { if (!timer.cleared) fail(thrown) },
    error,
    cleared: false
  }
  const seq = host.call(host.sleepPath, '{"ms":' + ms + "}")
  pending[seq] = timer
  return seq + 1
}
hide(globalThis, "setTimeout", function setTimeout(callback, delay, ...args) { return setTimer(callback, delay, ...args) })
hide(globalThis, "clearTimeout", function clearTimeout(id) {
  const timer = pending[id - 1]
  if (timer !== undefined && timer.cleared === false) timer.cleared = true
})

const show = (error, name, value) => {
  if (value !== undefined) defineProperty(error, name, { value, configurable: true, writable: true, enumerable: true })
}

const deliver = (seq, failed, text) => {
  const entry = pending[seq]
  if (entry === undefined) return
  delete pending[seq]
  if (!failed) return entry.resolve(text === undefined ? undefined : jsonParse(text))
  const rejection = jsonParse(text)
  hide(entry.error, "message", rejection.message)
  hide(entry.error, "name", rejection.name)
  show(entry.error, "code", rejection.code)
  show(entry.error, "outcome", rejection.outcome)
  show(entry.error, "data", rejection.data)
  entry.reject(entry.error)
}

const textOf = (read) => {
  try {
    const value = read()
    return typeof value === "string" ? wellFormed(value) : undefined
  } catch { return undefined }
}
const fail = (thrown) => {
  const kind = thrown !== null && typeof thrown === "object" ? classOf(thrown) : typeof thrown
  if (kind === "Error" || (typeof thrown === "object" && thrown !== null && textOf(() => thrown.stack) !== undefined)) {
    host.fail(textOf(() => thrown.name) ?? "Error", textOf(() => thrown.message) ?? "", textOf(() => thrown.stack) ?? "")
  } else {
    host.fail("Error", "The program threw a value that is not an Error: " + wellFormed(inspect(thrown)), "")
  }
}

const functionToString = Function.prototype.toString
let maxArguments = 0
const run = async (main, length, seed, argumentsBytes, resultBytes) => {
  maxArguments = argumentsBytes
  // A source that closes the wrapper and opens another would make two programs of one.
  if (typeof main !== "function" || reflectApply(functionToString, main, []).length !== length) {
    host.fail("SyntaxError", "The source closes a bracket that it never opened", "")
    return
  }
  seedRandom(seed)
  let text
  try {
    text = encode(await main(), "result", resultBytes, "resultBytes")
  } catch (thrown) {
    fail(thrown)
    return
  }
  host.done(text)
}
`
