/**
 * Guest text: the console, and the globals that stand in for what the host must control (time, chance) or the engine lacks.
 */
export const globalsText = /* js */ `
const stringReplace = String.prototype.replace
const numberToString = Number.prototype.toString
const dateNow = Date.now
const errorToString = Error.prototype.toString
const mapEntries = (map) => { const list = bare(); let n = 0; reflectApply(mapForEach, map, [(v, k) => { list[n++] = [k, v] }]); return [list, n] }
const setItems = (set) => { const list = bare(); let n = 0; reflectApply(setForEach, set, [(v) => { list[n++] = v }]); return [list, n] }

const maxItems = 100
const maxInspectDepth = 4
const inspect = (value) => {
  const ancestors = bare()
  const show = (value, depth) => {
    switch (typeof value) {
      case "string": return quote(value)
      case "bigint": return value + "n"
      case "symbol": return NativeString(value)
      case "function": {
        const path = toolPathOf(value)
        return path === undefined ? "[Function" + (typeof value.name === "string" && value.name !== "" ? ": " + value.name : "") + "]" : toolText(path)
      }
      case "object": return value === null ? "null" : showObject(value, depth)
      default: return NativeString(value)
    }
  }
  const showObject = (value, depth) => {
    const name = classOf(value)
    const number = exactText(value)
    if (number !== undefined) return number
    if (name === "Proxy") return "[Proxy]"
    if (name === "Error") return errorText(value)
    if (name === "Date") { try { return reflectApply(dateToISOString, value, []) } catch { return "Invalid Date" } }
    if (name === "RegExp") return NativeString(value)
    for (let i = 0; i < depth; i++) if (ancestors[i] === value) return "[Circular]"
    if (depth >= maxInspectDepth) return isArray(value) ? "[Array]" : "[" + name + "]"
    ancestors[depth] = value
    if (isArray(value)) return list("[", "]", value.length, (i) => show(value[i], depth + 1))
    if (name === "Map") {
      const [entries, n] = mapEntries(value)
      return "Map(" + n + ") " + list("{ ", " }", n, (i) => show(entries[i][0], depth + 1) + " => " + show(entries[i][1], depth + 1))
    }
    if (name === "Set") {
      const [items, n] = setItems(value)
      return "Set(" + n + ") " + list("{ ", " }", n, (i) => show(items[i], depth + 1))
    }
    if (name !== "Object" && typeof value.length === "number" && typeof value.BYTES_PER_ELEMENT === "number") {
      return name + "(" + value.length + ") " + list("[", "]", value.length, (i) => show(value[i], depth + 1))
    }
    const keys = objectKeys(value)
    const tag = name === "Object" ? "" : name + " "
    if (keys.length === 0) return tag + "{}"
    return tag + list("{ ", " }", keys.length, (i) => {
      const key = keys[i]
      return (reflectApply(regExpTest, identifier, [key]) !== null ? key : quote(key)) + ": " + show(value[key], depth + 1)
    })
  }
  const list = (open, close, length, item) => {
    let text = ""
    const shown = length > maxItems ? maxItems : length
    for (let i = 0; i < shown; i++) text += (i === 0 ? "" : ", ") + item(i)
    if (shown < length) text += ", ... " + (length - shown) + " more"
    return open + text + close
  }
  try { return show(value, 0) } catch (error) { return "[a value that cannot be shown]" }
}
const errorText = (error) => {
  const head = reflectApply(errorToString, error, [])
  const stack = textOf(() => error.stack)
  return stack === undefined || stack === "" ? head : head + "\\n" + host.frames(wellFormed(stack))
}

const console = {}
const line = (level) => function (...args) {
  let text = ""
  for (let i = 0; i < args.length; i++) text += (i === 0 ? "" : " ") + (typeof args[i] === "string" ? args[i] : inspect(args[i]))
  host.log(level, wellFormed(text))
}
const levels = { debug: "debug", log: "log", info: "info", warn: "warn", error: "error", trace: "debug", dir: "log", table: "log" }
for (const name in levels) console[name] = line(levels[name])
const logError = console.error
console.assert = function (condition, ...args) { if (!condition) logError("Assertion failed", ...args) }
hide(globalThis, "console", console)

let a = 0, b = 0, c = 0, d = 0
const random32 = () => {
  const t = (((a + b) | 0) + d) | 0
  d = (d + 1) | 0
  a = b ^ (b >>> 9)
  b = (c + (c << 3)) | 0
  c = (c << 21) | (c >>> 11)
  c = (c + t) | 0
  return t >>> 0
}
const imul = Math.imul
const seedRandom = (seed) => {
  const next = () => {
    seed = (seed + 0x9e3779b9) | 0
    let z = seed
    z = imul(z ^ (z >>> 16), 0x21f0aaad)
    z = imul(z ^ (z >>> 15), 0x735a2d97)
    return z ^ (z >>> 15)
  }
  a = next(); b = next(); c = next(); d = next()
  for (let i = 0; i < 12; i++) random32()
  started = dateNow()
}
let started = 0
hide(Math, "random", function random() { return ((random32() >>> 5) * 67108864 + (random32() >>> 6)) / 9007199254740992 })

const hexByte = (byte) => (byte < 16 ? "0" : "") + reflectApply(numberToString, byte, [16])
hide(globalThis, "crypto", {
  randomUUID() {
    let text = ""
    for (let i = 0; i < 16; i++) {
      let byte = random32() & 255
      if (i === 6) byte = (byte & 15) | 64
      if (i === 8) byte = (byte & 63) | 128
      text += (i === 4 || i === 6 || i === 8 || i === 10 ? "-" : "") + hexByte(byte)
    }
    return text
  },
  getRandomValues(array) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    for (let i = 0; i < bytes.length; i++) bytes[i] = random32() & 255
    return array
  }
})
hide(globalThis, "performance", { now() { return dateNow() - started }, get timeOrigin() { return started } })
delete globalThis.SharedArrayBuffer

// Programs may format stacks, but not reach the prelude's functions through them.
const formatStack = Error.prepareStackTrace
Error.prepareStackTrace = (_, sites) => sites
delete getPrototypeOf(new NativeError().stack[0]).getFunction
Error.prepareStackTrace = formatStack

const { get: searchOf, set: setSearch } = Object.getOwnPropertyDescriptor(URL.prototype, "search")
const searchParamsText = URLSearchParams.prototype.toString
const NativeURLSearchParams = URLSearchParams
const searchParamsOf = new WeakMap()
const shownSearch = new WeakMap()
const paramsDelete = URLSearchParams.prototype.delete
const paramsAppend = URLSearchParams.prototype.append
const paramsForEach = URLSearchParams.prototype.forEach
const ownerOf = new WeakMap()
const refresh = (params, search) => {
  const stale = bare()
  let n = 0
  reflectApply(paramsForEach, params, [(_, key) => { stale[n++] = key }])
  for (let i = 0; i < n; i++) reflectApply(paramsDelete, params, [stale[i]])
  reflectApply(paramsForEach, new NativeURLSearchParams(search), [(value, key) => reflectApply(paramsAppend, params, [key, value])])
}
defineProperty(URL.prototype, "searchParams", {
  configurable: true,
  enumerable: true,
  get() {
    const search = reflectApply(searchOf, this, [])
    let params = reflectApply(weakMapGet, searchParamsOf, [this])
    if (params === undefined) {
      params = new NativeURLSearchParams(search)
      reflectApply(weakMapSet, searchParamsOf, [this, params])
      reflectApply(weakMapSet, ownerOf, [params, this])
    } else if (reflectApply(weakMapGet, shownSearch, [this]) !== search) {
      refresh(params, search)
    }
    reflectApply(weakMapSet, shownSearch, [this, search])
    return params
  }
})
const writeBack = ["set", "append", "delete", "sort"]
for (let i = 0; i < writeBack.length; i++) {
  const name = writeBack[i]
  const native = URLSearchParams.prototype[name]
  hide(URLSearchParams.prototype, name, { [name](...args) {
    const result = reflectApply(native, this, args)
    const url = reflectApply(weakMapGet, ownerOf, [this])
    if (url !== undefined) {
      reflectApply(setSearch, url, [reflectApply(searchParamsText, this, [])])
      reflectApply(weakMapSet, shownSearch, [url, reflectApply(searchOf, url, [])])
    }
    return result
  } }[name])
}
`
