/**
 * Where a check of a value against a schema is, and what it has found wrong so far.
 *
 * Most of what is found is forgotten again, since it was in an alternative that another one made up for. So a finding costs little:
 * its locations are only written once it is told.
 */
import { encodePointer, type OutputUnit } from "@cfworker/json-schema"

/** A name of a property or keyword, or a place in an array. */
export type Key = string | number

/** What is kept of all that is wrong. */
const maxFindings = 1000

interface Finding {
  readonly keyword: string
  readonly error: string
  readonly place: ReadonlyArray<Key>
  readonly schema: ReadonlyArray<Key>
  /** The rest of the way to the keyword, as a pointer. */
  readonly rest: string
}

export class Findings {
  /** The way to the value that is looked at. */
  readonly place: Array<Key> = []
  /** The way to the schema that it is checked against; references on it count. */
  readonly schema: Array<Key> = []
  readonly #all: Array<Finding> = []

  get count(): number {
    return this.#all.length
  }

  /** Notes what is wrong with the value that is looked at: at the end, or before what was found since `at`. */
  wrong(keyword: string, error: string, at = this.count): false {
    if (at < maxFindings) this.#all.splice(at, 0, this.#finding(keyword, error, `/${keyword}`))
    return false
  }

  /** Notes what the library has found wrong with it, at locations that begin here. */
  take(units: ReadonlyArray<OutputUnit>): false {
    for (const { error, keyword, keywordLocation } of units) {
      if (this.count < maxFindings) this.#all.push(this.#finding(keyword, error, keywordLocation.slice(1)))
    }
    return false
  }

  /** Forgets what was found since: it was in an alternative that does not count. */
  forget(since: number): void {
    this.#all.length = since
  }

  /** What was found, in the library's form. */
  units(): ReadonlyArray<OutputUnit> {
    return this.#all.map(({ error, keyword, place, rest, schema }) => {
      const instanceLocation = `#${pointer(place)}`
      const keywordLocation = keyword === "false" ? instanceLocation : `#${pointer(schema)}${rest}`
      return { error, keyword, instanceLocation, keywordLocation }
    })
  }

  #finding(keyword: string, error: string, rest: string): Finding {
    return { keyword, error, place: this.place.slice(), schema: this.schema.slice(), rest }
  }
}

const pointer = (keys: ReadonlyArray<Key>): string => keys.map((key) => `/${encodePointer(String(key))}`).join("")
