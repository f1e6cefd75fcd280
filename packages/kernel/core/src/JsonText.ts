/**
 * JSON text from a value of the host, for what crosses into a sandbox or into a history.
 *
 * Use {@link encodeJson} instead of `JSON.stringify` wherever a value may be large or is not known: it never blocks the
 * event loop for more than a few milliseconds, stops as soon as the text passes its limit, and refuses what JSON cannot
 * hold with the place of it in the value. A BigInt is an integer, and a `JSON.rawJSON` is its text. The rules are those of this package's README, the same as inside a sandbox.
 */
import { Effect, Schema } from "effect"
import { types } from "node:util"
import { LimitExceeded } from "./LimitExceeded.ts"
import type { LimitName } from "./Limits.ts"
import { inSlices } from "./Slices.ts"

/** How deep a value that crosses may be nested, so that no reader of it runs out of stack. */
export const maxDepth = 256

/**
 * How many properties an object that leaves a sandbox may have. A parser makes a wide object in one step, which takes the host 30 ms at
 * twice as many; a list is read piece by piece.
 */
export const maxProperties = 65_536

/** The value holds something that JSON cannot. The message names its place and says what to send instead. */
export class UnserializableValue extends Schema.TaggedError<UnserializableValue>()("UnserializableValue", {
  message: Schema.String
}) {}

/** Options of {@link encodeJson}. */
export interface EncodeJsonOptions {
  /** What the value is called in errors: `result` gives `result.items[3] is a function`. */
  readonly root: string
  /** The limit on the text, in bytes of UTF-8, and the setting that it comes from. */
  readonly limit?: { readonly name: LimitName; readonly bytes: number } | undefined
  /**
   * Whether a reader must tell an integer beyond 2^53 from a number of that size: the number is written with an exponent then. For what
   * goes into a sandbox, which reads such integers as BigInt.
   */
  readonly wideIntegers?: boolean | undefined
}

/** The value as JSON text, `undefined` for `undefined`. */
export const encodeJson = (
  value: unknown,
  options: EncodeJsonOptions
): Effect.Effect<string | undefined, UnserializableValue | LimitExceeded> =>
  Effect.suspend(() =>
    value === undefined ? Effect.undefined : Effect.flatten(inSlices(encodeSteps(new Encoder(value, options))))
  )

function* encodeSteps(
  encoder: Encoder
): Generator<void, Effect.Effect<string, UnserializableValue | LimitExceeded>, void> {
  try {
    yield* encoder.work()
  } catch (error) {
    if (error instanceof UnserializableValue || error instanceof LimitExceeded) return Effect.fail(error)
    throw error
  }
  return Effect.succeed(encoder.text())
}

/** Values between two steps. */
const valuesPerStep = 256
/** Text is joined in pieces, so that no join is long. */
const partsPerChunk = 1024
/** A longer string is written in slices. */
const longString = 256 * 1024

interface Frame {
  readonly value: object
  readonly close: "]" | "}"
  readonly keys: ReadonlyArray<string> | undefined
  readonly items: ReadonlyArray<unknown> | Record<string, unknown> | NodeJS.TypedArray
  readonly length: number
  index: number
  empty: boolean
}

class Encoder {
  private readonly value: unknown
  private readonly options: EncodeJsonOptions
  private readonly frames: Array<Frame> = []
  private readonly chunks: Array<string> = []
  private parts: Array<string> = []
  private units = 0
  private bytes = 0
  private values = 0
  /** A long string that is being written, and how far. */
  private rest: { readonly text: string; at: number } | undefined

  constructor(value: unknown, options: EncodeJsonOptions) {
    this.value = value
    this.options = options
  }

  *work(): Generator<void, void, void> {
    this.write(this.value)
    for (;;) {
      if (this.rest !== undefined) {
        yield
        this.writeRest()
        continue
      }
      const frame = this.frames.at(-1)
      if (frame === undefined) return this.flush()
      // The keys of an object are listed at once, however many: afterwards others may run.
      const opened = frame.index === 0 && frame.length > valuesPerStep
      if (opened || ++this.values % valuesPerStep === 0) yield
      this.advance(frame)
    }
  }

  text(): string {
    return this.chunks.length === 1 ? (this.chunks[0] ?? "") : this.chunks.join("")
  }

  private advance(frame: Frame): void {
    if (frame.index >= frame.length) {
      this.frames.pop()
      this.emit(frame.close)
      return
    }
    const index = frame.index++
    const key = frame.keys?.[index]
    let value: unknown
    try {
      value = Reflect.get(frame.items, key ?? index)
    } catch {
      return this.refuse("a property that fails when it is read")
    }
    if (value === undefined && key !== undefined) return
    const separator = frame.empty ? "" : ","
    frame.empty = false
    if (key === undefined) {
      if (separator !== "") this.emit(separator)
      this.write(value === undefined ? null : value)
    } else {
      this.emit(`${separator}${JSON.stringify(key)}:`)
      this.write(value)
    }
  }

  private write(value: unknown): void {
    switch (typeof value) {
      case "string":
        if (value.length > longString) {
          this.emit('"')
          this.rest = { text: value, at: 0 }
          return
        }
        return this.emit(JSON.stringify(value))
      case "number":
        if (!Number.isFinite(value)) this.refuse(`${value}, which JSON cannot hold: send null, or text`)
        return this.emit(
          this.options.wideIntegers === true && Number.isInteger(value) && !Number.isSafeInteger(value)
            ? value.toExponential()
            : String(value)
        )
      case "boolean":
        return this.emit(value ? "true" : "false")
      case "undefined":
        return this.emit("null")
      case "object":
        return value === null ? this.emit("null") : this.writeObject(value)
      case "bigint":
        return this.emit(String(value))
      case "symbol":
        return this.refuse("a symbol, which JSON cannot hold: send its description")
      default:
        return this.refuse("a function, which JSON cannot hold: call it and send what it returns")
    }
  }

  private writeObject(value: object): void {
    if (JSON.isRawJSON(value)) return this.emit(value.rawJSON)
    if (this.frames.length >= maxDepth) this.refuseDepth()
    if (Array.isArray(value)) return this.open(value, value)
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) this.refuse("an invalid Date")
      return this.emit(JSON.stringify(value))
    }
    if (value instanceof Map) {
      const entries: Array<[string, unknown]> = []
      for (const [key, item] of value) {
        if (typeof key !== "string") this.refuse("a Map with a key that is not a string: send its entries instead")
        entries.push([key, item])
      }
      return this.open(
        value,
        Object.fromEntries(entries),
        entries.map(([key]) => key)
      )
    }
    if (value instanceof Set) return this.open(value, [...value])
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return this.open(value, value as NodeJS.TypedArray)
    if (value instanceof Error)
      return this.open(value, { name: value.name, message: value.message }, ["name", "message"])
    if (value instanceof Promise) this.refuse("a promise: await it first")
    const toJSON: unknown = Reflect.get(value, "toJSON")
    if (typeof toJSON === "function") {
      const replaced: unknown = Reflect.apply(toJSON, value, [""])
      if (replaced === value) this.refuse("an object whose toJSON returns itself")
      return typeof replaced === "object" && replaced !== null && "toJSON" in replaced
        ? this.refuse("an object whose toJSON returns an object with toJSON")
        : this.write(replaced)
    }
    if (types.isBoxedPrimitive(value)) return this.write(value.valueOf())
    const keys = Object.keys(value)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (keys.length === 0 && prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      this.refuse(`${article(value.constructor?.name)}, with no properties of its own to write: send a plain object`)
    }
    this.open(value, value as Record<string, unknown>, keys)
  }

  private open(value: object, items: Frame["items"], keys?: ReadonlyArray<string>): void {
    const length = keys === undefined ? (items as ReadonlyArray<unknown>).length : keys.length
    this.emit(keys === undefined ? "[" : "{")
    this.frames.push({ value, items, keys, length, close: keys === undefined ? "]" : "}", index: 0, empty: true })
  }

  private writeRest(): void {
    const { rest } = this
    if (rest === undefined) return
    let end = Math.min(rest.text.length, rest.at + longString)
    // Never between the two halves of a character.
    if (end < rest.text.length && (rest.text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end--
    this.emit(JSON.stringify(rest.text.slice(rest.at, end)).slice(1, -1))
    rest.at = end
    if (end === rest.text.length) {
      this.rest = undefined
      this.emit('"')
    }
  }

  private emit(part: string): void {
    this.parts.push(part)
    this.units += part.length
    if (this.parts.length >= partsPerChunk || part.length > longString / 2) this.flush()
    const { limit } = this.options
    if (limit !== undefined && this.units > limit.bytes) throw LimitExceeded.of(limit.name, limit.bytes)
  }

  private flush(): void {
    if (this.parts.length === 0) return
    const chunk = this.parts.join("")
    this.parts = []
    this.chunks.push(chunk)
    const { limit } = this.options
    if (limit === undefined) return
    this.bytes += Buffer.byteLength(chunk)
    if (this.bytes > limit.bytes) throw LimitExceeded.of(limit.name, limit.bytes)
  }

  private path(depth: number): string {
    let path = this.options.root
    for (const frame of this.frames.slice(0, depth)) {
      const key = frame.keys?.[frame.index - 1]
      if (key === undefined) path += `[${frame.index - 1}]`
      else path += /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
      if (path.length > 300) return `${path.slice(0, 300)}...`
    }
    return path
  }

  private refuse(what: string): never {
    throw new UnserializableValue({ message: `${this.path(this.frames.length)} is ${what}` })
  }

  private refuseDepth(): never {
    const { frames } = this
    for (let i = 1; i < frames.length; i++) {
      const first = frames.findIndex((frame) => frame.value === frames[i]?.value)
      if (first < i) {
        const message = `${this.path(i)} is the same object as ${this.path(first)}, so the value contains itself: send a part of it`
        throw new UnserializableValue({ message })
      }
    }
    this.refuse(`nested deeper than ${maxDepth} levels: send a flatter value`)
  }
}

const article = (name: string | undefined): string =>
  name === undefined || name === "" ? "an object of a class" : `${/^[AEIOU]/i.test(name) ? "an" : "a"} ${name}`
