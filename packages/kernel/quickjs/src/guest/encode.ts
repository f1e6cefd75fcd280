/**
 * Guest text: how a value becomes JSON text inside the sandbox.
 *
 * It is one closure, run before any submitted code. All built-ins it uses are captured at that time, so a program that replaces
 * `JSON`, `Array.prototype` or `Object.prototype` changes nothing here. Getters, `toJSON` and proxy traps in the value run as part
 * of the program, under its limits. The rules are those of the kernel's README; `host.classId` tells what an object
 * is by the engine's own knowledge, which a program cannot forge.
 */
export const encodeText = /* js */ `
const maxDepth = host.maxDepth
const maxProperties = host.maxProperties
const reflectApply = Reflect.apply
const getPrototypeOf = Reflect.getPrototypeOf
const setPrototypeOf = Reflect.setPrototypeOf
const defineProperty = Reflect.defineProperty
const isArray = Array.isArray
const objectKeys = Object.keys
const objectPrototype = Object.prototype
const jsonParse = JSON.parse
const quote = JSON.stringify
const dateToISOString = Date.prototype.toISOString
const mapForEach = Map.prototype.forEach
const mapSize = Object.getOwnPropertyDescriptor(Map.prototype, "size").get
const setForEach = Set.prototype.forEach
const numberValueOf = Number.prototype.valueOf
const stringValueOf = String.prototype.valueOf
const booleanValueOf = Boolean.prototype.valueOf
const bigIntValueOf = BigInt.prototype.valueOf
const rawJSON = JSON.rawJSON
const isRawJSON = JSON.isRawJSON
const typedArrayLength = Object.getOwnPropertyDescriptor(getPrototypeOf(Uint8Array.prototype), "length").get
const regExpTest = RegExp.prototype.exec
const stringSlice = String.prototype.slice
const identifier = /^[A-Za-z_$][A-Za-z0-9_$]*$/
const NativeError = Error
const NativeTypeError = TypeError
const NativeRangeError = RangeError
const NativePromise = Promise
const NativeProxy = Proxy
const NativeString = String
const NativeNumber = Number
const NativeBigInt = BigInt

const classNames = []
setPrototypeOf(classNames, null)
const samples = {
  Object: {}, Array: [], Error: new Error(), Number: new Number(0), String: new String(""), Boolean: new Boolean(false),
  Symbol: Object(Symbol()), BigInt: Object(0n), Date: new Date(0), RegExp: /x/, Map: new Map(), Set: new Set(),
  WeakMap: new WeakMap(), WeakSet: new WeakSet(), ArrayBuffer: new ArrayBuffer(0), DataView: new DataView(new ArrayBuffer(0)),
  Promise: new Promise(() => {}), Proxy: new Proxy({}, {}), generator: (function* () {})(), "async generator": (async function* () {})(),
  URL: new URL("http://a/"), URLSearchParams: new URLSearchParams(), DOMException: new DOMException(),
  Iterator: [].values(), TextEncoder: new TextEncoder(), TextDecoder: new TextDecoder(),
  Arguments: (function () { return arguments })(),
  Uint8Array: new Uint8Array(), Int8Array: new Int8Array(), Uint8ClampedArray: new Uint8ClampedArray(),
  Uint16Array: new Uint16Array(), Int16Array: new Int16Array(), Uint32Array: new Uint32Array(), Int32Array: new Int32Array(),
  BigInt64Array: new BigInt64Array(), BigUint64Array: new BigUint64Array(),
  Float16Array: new Float16Array(), Float32Array: new Float32Array(), Float64Array: new Float64Array()
}
for (const name in samples) classNames[host.classId(samples[name])] = name
const classOf = (value) => classNames[host.classId(value)] ?? "special object"

class UnserializableValue extends NativeTypeError {}
defineProperty(UnserializableValue.prototype, "name", { value: "UnserializableValue", configurable: true, writable: true })

const toolPaths = new WeakMap()
const weakMapGet = WeakMap.prototype.get
const weakMapSet = WeakMap.prototype.set
const toolPathOf = (value) => reflectApply(weakMapGet, toolPaths, [value])
const stringSplit = String.prototype.split
// The expression that reaches a tool, or tools itself for the empty path.
const accessTo = (path) => {
  let text = "tools"
  if (path === "") return text
  const segments = reflectApply(stringSplit, path, ["."])
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i]
    text += reflectApply(regExpTest, identifier, [segment]) !== null ? "." + segment : "[" + quote(segment) + "]"
  }
  return text
}
const howToFind = 'find tools with await tools.search({ query: "..." }), and sources with await tools.executor.sources.list()'
const regExpDot = /\\./
const isNamespace = (path) => path !== "search" && reflectApply(regExpTest, regExpDot, [path]) === null
const nameOf = (path) => path === "" ? "tools" : (isNamespace(path) ? "namespace " : "tool ") + path
const howToUse = (path) => {
  if (path === "") return howToFind
  if (isNamespace(path)) return 'find its tools with await tools.search({ query: "...", namespace: ' + quote(path) + " })"
  return "call it, as in await " + accessTo(path) + "({ ... })"
}
// What stands for a tool where only text can.
const toolText = (path) => "[" + nameOf(path) + ": " + howToUse(path) + "]"

// A number of a result that a number cannot hold: an integer is a BigInt. Any other one is a Number object, which computes as the nearest
// number, and goes on to other tools, into the result and into text as it came.
const exactTexts = new WeakMap()
const exactText = (value) => reflectApply(weakMapGet, exactTexts, [value])
const integer = /^-?[0-9]+$/
const exactNumber = (text) => {
  if (reflectApply(regExpTest, integer, [text]) !== null) return NativeBigInt(text)
  const value = new NativeNumber(text)
  defineProperty(value, "toString", { value: () => text, configurable: true, writable: true, enumerable: false })
  defineProperty(value, "toJSON", { value: () => rawJSON(text), configurable: true, writable: true, enumerable: false })
  reflectApply(weakMapSet, exactTexts, [value, text])
  return value
}
// The host marks such numbers with "#", and strings that begin with it by another one.
const parseTagged = (text) => jsonParse(text, (_, value) =>
  typeof value !== "string" || value[0] !== "#" ? value
  : value[1] === "#" ? reflectApply(stringSlice, value, [1]) : exactNumber(reflectApply(stringSlice, value, [1])))

const bare = () => { const list = []; setPrototypeOf(list, null); return list }

// Most values are plain data, which the engine writes itself, several times faster. Anything that is not goes the long way, which
// handles it or says what is wrong with it. Gives what is left of the units, below zero if there are too few; nothing if it is not plain.
const spendPlain = (value, depth, units) => {
  if (--units < 0) return units
  switch (typeof value) {
    case "string": return units - value.length
    case "number": return value - value === 0 ? units : undefined
    case "boolean": case "undefined": return units
    case "object": return value === null ? units : spendPlainObject(value, depth, units)
    default: return undefined
  }
}
const spendPlainObject = (value, depth, units) => {
  if (depth >= maxDepth || value.toJSON !== undefined) return undefined
  if (isArray(value)) {
    for (let i = 0; units >= 0 && i < value.length; i++) units = spendPlain(value[i], depth + 1, units)
    return units
  }
  const prototype = getPrototypeOf(value)
  if (prototype !== objectPrototype && prototype !== null) return undefined
  const names = objectKeys(value)
  if (names.length > maxProperties) return undefined
  for (let i = 0; units >= 0 && i < names.length; i++) {
    units = spendPlain(value[names[i]], depth + 1, units - names[i].length)
  }
  return units
}

const over = (limitName) => {
  host.limit(limitName)
  throw new NativeRangeError("over the limit " + limitName)
}

const encode = (value, root, maxUnits, limitName) => {
  const left = spendPlain(value, 0, maxUnits)
  if (left === undefined) return encodeAny(value, root, maxUnits, limitName)
  if (left < 0) over(limitName)
  return quote(value)
}

const encodeAny = (value, root, maxUnits, limitName) => {
  const keys = bare()
  const ancestors = bare()
  let units = 0

  const pathTo = (depth) => {
    let path = root
    for (let i = 0; i < depth; i++) {
      const key = keys[i]
      if (typeof key === "number") path += "[" + key + "]"
      else if (reflectApply(regExpTest, identifier, [key]) !== null) path += "." + key
      else path += "[" + quote(key) + "]"
      if (path.length > 300) return reflectApply(stringSlice, path, [0, 300]) + "..."
    }
    return path
  }
  const refuse = (depth, what) => { throw new UnserializableValue(pathTo(depth) + " is " + what) }
  const spend = (text) => {
    if ((units += text.length + 1) > maxUnits) over(limitName)
    return text
  }
  const encodeValue = (value, depth) => {
    switch (typeof value) {
      case "string": return spend(quote(value))
      case "number":
        if (value - value !== 0) refuse(depth, value + ", which JSON cannot hold: send null, or text")
        return spend("" + value)
      case "boolean": return spend(value ? "true" : "false")
      case "undefined": return undefined
      case "object": return value === null ? spend("null") : encodeObject(value, depth)
      case "bigint": return spend("" + value)
      case "symbol": return refuse(depth, "a symbol, which cannot leave the sandbox: send its description")
      default: {
        const path = toolPathOf(value)
        return path === undefined
          ? refuse(depth, "a function, which cannot leave the sandbox: call it and send what it returns")
          : refuse(depth, "the " + (path === "" ? "tool tools" : nameOf(path)) + " itself: " + howToUse(path))
      }
    }
  }

  const encodeObject = (value, depth) => {
    if (depth >= maxDepth) tooDeep(depth)
    if (isRawJSON(value)) return spend(value.rawJSON)
    ancestors[depth] = value
    if (isArray(value)) return encodeElements(value, value.length, depth)
    const prototype = getPrototypeOf(value)
    if (prototype !== objectPrototype && prototype !== null) {
      const name = classOf(value)
      switch (name) {
        case "Date": {
          let text
          try { text = reflectApply(dateToISOString, value, []) } catch { refuse(depth, "an invalid Date: check it before sending") }
          return spend(quote(text))
        }
        case "Map": return encodeMap(value, depth)
        case "Set": return encodeSet(value, depth)
        case "Error": case "DOMException": return encodeProperties(value, ["name", "message"], depth)
        case "Number": {
          const text = exactText(value)
          return text === undefined ? encodeValue(reflectApply(numberValueOf, value, []), depth) : spend(text)
        }
        case "BigInt": return encodeValue(reflectApply(bigIntValueOf, value, []), depth)
        case "String": return encodeValue(reflectApply(stringValueOf, value, []), depth)
        case "Boolean": return encodeValue(reflectApply(booleanValueOf, value, []), depth)
        case "Uint8Array": case "Int8Array": case "Uint8ClampedArray": case "Uint16Array": case "Int16Array":
        case "Uint32Array": case "Int32Array": case "BigInt64Array": case "BigUint64Array":
        case "Float16Array": case "Float32Array": case "Float64Array":
          return encodeElements(value, reflectApply(typedArrayLength, value, []), depth)
        case "Promise": refuse(depth, "a promise: await it first")
        case "ArrayBuffer": refuse(depth, "an ArrayBuffer: send new Uint8Array(buffer), or base64 text")
        case "Object": case "Arguments": break
        default:
          if (typeof value.toJSON !== "function") refuse(depth, "a " + name + ", which JSON cannot hold: send the parts of it that you need")
      }
      const toJSON = value.toJSON
      if (typeof toJSON === "function") return encodeJSON(value, toJSON, depth)
      const keysOfInstance = objectKeys(value)
      if (keysOfInstance.length === 0) {
        refuse(depth, "an object of a class without any properties of its own to write: send a plain object")
      }
      return encodeProperties(value, keysOfInstance, depth)
    }
    const toJSON = value.toJSON
    if (typeof toJSON === "function" && toolPathOf(toJSON) === undefined) return encodeJSON(value, toJSON, depth)
    return encodeProperties(value, objectKeys(value), depth)
  }

  const encodeJSON = (value, toJSON, depth) => {
    const replaced = reflectApply(toJSON, value, [""])
    if (replaced === value) refuse(depth, "an object whose toJSON returns itself")
    keys[depth] = "toJSON()"
    return encodeValue(replaced, depth + 1)
  }
  const encodeProperties = (value, names, depth) => {
    if (names.length > maxProperties) tooWide(depth, names.length)
    let text = ""
    for (let i = 0; i < names.length; i++) {
      const key = names[i]
      keys[depth] = key
      const part = encodeValue(value[key], depth + 1)
      if (part !== undefined) text += (text === "" ? "" : ",") + spend(quote(key)) + ":" + part
    }
    spend("{}")
    return "{" + text + "}"
  }
  const encodeElements = (value, length, depth) => {
    let text = ""
    for (let i = 0; i < length; i++) {
      keys[depth] = i
      const part = encodeValue(value[i], depth + 1)
      text += (i === 0 ? "" : ",") + (part === undefined ? spend("null") : part)
    }
    spend("[]")
    return "[" + text + "]"
  }
  const encodeMap = (value, depth) => {
    const size = reflectApply(mapSize, value, [])
    if (size > maxProperties) tooWide(depth, size)
    let text = ""
    reflectApply(mapForEach, value, [(item, key) => {
      if (typeof key !== "string") refuse(depth, "a Map with a key that is not a string: send [...map] instead")
      keys[depth] = key
      const part = encodeValue(item, depth + 1)
      if (part !== undefined) text += (text === "" ? "" : ",") + spend(quote(key)) + ":" + part
    }])
    spend("{}")
    return "{" + text + "}"
  }
  const encodeSet = (value, depth) => {
    let text = ""
    let i = 0
    reflectApply(setForEach, value, [(item) => {
      keys[depth] = i++
      const part = encodeValue(item, depth + 1)
      text += (i === 1 ? "" : ",") + (part === undefined ? spend("null") : part)
    }])
    spend("[]")
    return "[" + text + "]"
  }
  const tooWide = (depth, size) => {
    refuse(depth, "an object of " + size + " properties, more than " + maxProperties + ": send a list of entries")
  }
  const tooDeep = (depth) => {
    for (let i = 1; i < depth; i++) {
      for (let j = 0; j < i; j++) {
        if (ancestors[i] === ancestors[j]) refuse(i, "the same object as " + pathTo(j) + ", so the value contains itself: send a part of it")
      }
    }
    refuse(depth, "nested deeper than " + maxDepth + " levels: send a flatter value")
  }

  return encodeValue(value, 0)
}
`
