/**
 * Guest text: `tools`, timers, and the loop between the program and its host.
 *
 * `run` starts the program; `deliver` hands it one settlement. The host drains microtasks after each. A call is numbered
 * by `host.call` at the moment it is made; what waits for its outcome is kept here under that number, so the host
 * holds no guest object. `rejected` is told of promises that are rejected without a handler, and of handlers that come late; `finish`
 * ends a program that came to its end without a value, and fails it if such a rejection is left.
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
      throw new NativeTypeError(accessTo(path) + " takes one input, and was given " + args.length + ": put them in one object")
    }
    if (isCode(args[0])) throw new NativeTypeError(givenCode(path))
    text = args.length === 0 ? undefined : encode(args[0], "input", maxArguments, "argumentsBytes")
  } catch (error) {
    return promiseReject(error)
  }
  const error = new NativeError()
  return new NativePromise((resolve, reject) => {
    pending[host.call(wellFormed(path), text)] = { resolve, reject, error }
  })
}

const stringLastIndexOf = String.prototype.lastIndexOf
const isCode = (value) => typeof value === "function" && toolPathOf(value) === undefined
const givenCode = (path) => {
  const dot = reflectApply(stringLastIndexOf, path, ["."])
  const message = accessTo(path) + " takes JSON, and was given a function"
  if (dot === -1) return message
  const call = accessTo(reflectApply(stringSlice, path, [0, dot])) + "({ ... })"
  const method = reflectApply(stringSlice, path, [dot + 1])
  const use = method === "catch" || method === "finally" ? call + "." + method : "(await " + call + ")." + method
  return message + ". What a tool gives is there when it was called: " + use + "(...)"
}

// Names by which JavaScript itself asks any object for something. A tool may have such a name too: its input is no function and no text.
const askedByJavaScript = {
  __proto__: null,
  then: (owner, args) => {
    if (!isCode(args[0])) return false
    host.log("warn", accessTo(owner) + " was awaited, but not called, so nothing was done: " + howToUse(owner))
    reflectApply(args[0], undefined, [toolNode(owner, true)])
    return true
  },
  hasOwnProperty: (owner, args) => typeof args[0] === "string" && refuseListing(owner),
  propertyIsEnumerable: (owner, args) => typeof args[0] === "string" && refuseListing(owner)
}
const refuseListing = (path) => {
  throw new NativeTypeError("The properties of " + accessTo(path) + " cannot be listed or looked up: " + howToFind)
}

const maxPath = 1024
const maxKnownNodes = 1000
let knownNodes = 0
const symbolToPrimitive = Symbol.toPrimitive
const symbolIterator = Symbol.iterator
const symbolAsyncIterator = Symbol.asyncIterator
// What was awaited has no "then": the engine would ask for it again.
const toolNode = (path, isAwaited, owner, name) => {
  const children = { __proto__: null }
  const refuseChange = () => { throw new NativeTypeError("tools cannot be changed") }
  const refuseToList = () => refuseListing(path)
  const node = new NativeProxy(() => {}, {
    get: (_, key) => {
      const known = children[key]
      if (known !== undefined) return known
      if (key === symbolToPrimitive) return () => toolText(path)
      if (key === symbolIterator || key === symbolAsyncIterator) {
        throw new NativeTypeError(accessTo(path) + " is no list: " + howToUse(path))
      }
      if (typeof key === "symbol" || (isAwaited && key === "then")) return undefined
      const next = path === "" ? key : path + "." + key
      if (next.length > maxPath) throw new NativeRangeError("The path of a tool has at most " + maxPath + " characters")
      const child = toolNode(next, false, path, key)
      if (knownNodes < maxKnownNodes) {
        knownNodes++
        children[key] = child
      }
      return child
    },
    apply: (_, self, args) => {
      if (path === "") return promiseReject(new NativeTypeError("tools is not a tool: " + howToFind))
      if (name === "toJSON" && typeof args[0] === "string") return toolText(owner)
      if (askedByJavaScript[name]?.(owner, args)) return undefined
      return callTool(path, args)
    },
    construct: () => { throw new NativeTypeError("A tool is called without new") },
    has: refuseToList,
    ownKeys: refuseToList,
    getOwnPropertyDescriptor: refuseToList,
    set: refuseChange,
    defineProperty: refuseChange,
    deleteProperty: refuseChange,
    setPrototypeOf: refuseChange,
    preventExtensions: refuseChange
  })
  reflectApply(weakMapSet, toolPaths, [node, path])
  return node
}
defineProperty(globalThis, "tools", { value: toolNode("", false), enumerable: true, configurable: false, writable: false })

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
  if (timer === undefined || timer.cleared !== false) return
  timer.cleared = true
  host.forget(id - 1)
})

const show = (error, name, value) => {
  if (value !== undefined) defineProperty(error, name, { value, configurable: true, writable: true, enumerable: true })
}

const deliver = (seq, failed, text, tagged) => {
  const entry = pending[seq]
  if (entry === undefined) return
  delete pending[seq]
  const read = tagged ? parseTagged : jsonParse
  if (!failed) return entry.resolve(text === undefined ? undefined : read(text))
  const rejection = read(text)
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

// Rejections that nobody has handled so far; of very many the first.
const maxUnhandled = 100
const unhandled = new Map()
const mapSet = Map.prototype.set
const mapDelete = Map.prototype.delete
const rejected = (promise, reason, isHandled) => {
  if (isHandled) reflectApply(mapDelete, unhandled, [promise])
  else if (reflectApply(mapSize, unhandled, []) < maxUnhandled) reflectApply(mapSet, unhandled, [promise, reason])
}
const eachUnhandled = (handle) => reflectApply(mapForEach, unhandled, [handle])

// Nothing is left to do for a program that came to its end without a value.
const finish = () => eachUnhandled(fail)

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
  if (text !== undefined) {
    eachUnhandled((reason) => host.log("warn", wellFormed("A promise was rejected, and nothing handled it: " + inspect(reason))))
  }
  host.done(text)
}
`
