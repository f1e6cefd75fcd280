/**
 * Changing JSON Schemas: a copy with some keywords left out or rewritten, at every depth.
 *
 * The walk knows where keywords end and names of somebody else's fields begin: a field called `default` is a schema, the keyword
 * `default` is data and stays as it is.
 */
import { Predicate } from "effect"

/** Says that a keyword is left out. */
export const dropped = Symbol("dropped")

/** Gives the new value of a keyword, its old one, or {@link dropped}. */
export type ChangeKeyword = (key: string, value: unknown, owner: Readonly<Record<PropertyKey, unknown>>) => unknown

const mapsOfSchemas = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"])
const data = new Set(["const", "enum", "default", "examples", "example"])

/** Gives what takes the place of a rebuilt schema. */
export type FinishSchema = (schema: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>

/** Whether the value of a keyword is data and no schema. */
export const isSchemaData = (key: string): boolean => data.has(key)

/** Rebuilds a schema. A changed value is taken as it is; all others are walked. */
export const rebuildSchema = (
  schema: unknown,
  change: ChangeKeyword,
  finish: FinishSchema = (each) => each
): unknown => {
  if (Array.isArray(schema)) return schema.map((each) => rebuildSchema(each, change, finish))
  if (!Predicate.isObject(schema)) return schema
  const entries: Array<[string, unknown]> = []
  for (const [key, value] of Object.entries(schema)) {
    const changed = change(key, value, schema)
    if (changed === dropped) continue
    if (changed !== value || data.has(key)) entries.push([key, changed])
    else if (mapsOfSchemas.has(key) && Predicate.isObject(value)) {
      const named = Object.entries(value).map(([name, each]): [string, unknown] => [
        name,
        rebuildSchema(each, change, finish)
      ])
      entries.push([key, Object.fromEntries(named)])
    } else entries.push([key, rebuildSchema(value, change, finish)])
  }
  return finish(Object.fromEntries(entries))
}
