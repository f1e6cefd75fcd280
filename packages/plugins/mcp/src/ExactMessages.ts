/**
 * Numbers of a server that JavaScript's numbers cannot hold, kept as their text on the way past the client of the protocol.
 *
 * The client copies what it checks, and a copy of such a text is no number any more. So results of calls travel beside the client (see
 * `LargeMessages.ts`), and the data of an error is not copied. Everything else, schemas above all, is read with the nearest numbers.
 */
import { holdsExact, parseJson, readJson } from "@executor/kernel"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { Effect } from "effect"
import { takeOut } from "./LargeMessages.ts"

const wide = { wideIntegers: true } as const

const choose = (line: string, read: unknown, large: boolean): JSONRPCMessage => {
  const message = read as JSONRPCMessage
  if (!holdsExact(message)) return large ? takeOut(message) : message
  const taken = takeOut(message)
  return taken !== message || "error" in message ? taken : (JSON.parse(line) as JSONRPCMessage)
}

/** A message. Throws where the line is no JSON. */
export const readMessage = (line: string): JSONRPCMessage => choose(line, readJson(line, wide), false)

/** A large message, read in slices. */
export const readLargeMessage = (line: string): Effect.Effect<JSONRPCMessage> =>
  Effect.map(parseJson(line, wide), (message) => choose(line, message, true))
