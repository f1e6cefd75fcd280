/**
 * Where a check of a value against a schema is, and what it has found wrong so far, in the library's form.
 */
import { encodePointer, type OutputUnit } from "@cfworker/json-schema"

/** A name of a property or keyword, or a place in an array. */
export type Key = string | number

/** What is kept of all that is wrong. */
const maxUnits = 1000

export class Findings {
  /** The way to the value that is looked at. */
  readonly place: Array<Key> = []
  /** The way to the schema that it is checked against; references on it count. */
  readonly keyword: Array<Key> = []
  readonly units: Array<OutputUnit> = []

  /** Notes what is wrong with the value that is looked at: at the end, or before what was found since `at`. */
  wrong(keyword: string, error: string, at = this.units.length, owner: ReadonlyArray<Key> = [keyword]): false {
    if (at >= maxUnits) return false
    const instanceLocation = toPointer(this.place)
    const keywordLocation = keyword === "false" ? instanceLocation : toPointer([...this.keyword, ...owner])
    this.units.splice(at, 0, { instanceLocation, keyword, keywordLocation, error })
    return false
  }

  /** Notes what the library finds wrong with it. */
  take(check: (instanceLocation: string, schemaLocation: string) => ReadonlyArray<OutputUnit>): false {
    const { units } = this
    if (units.length < maxUnits) units.push(...check(toPointer(this.place), toPointer(this.keyword)))
    return false
  }

  /** Forgets what was found since: it was in an alternative that does not count. */
  forget(since: number): void {
    this.units.length = since
  }
}

const toPointer = (tokens: ReadonlyArray<Key>): string =>
  tokens.length === 0 ? "#" : `#/${tokens.map((token) => encodePointer(String(token))).join("/")}`
