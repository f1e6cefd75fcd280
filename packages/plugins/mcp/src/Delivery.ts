/**
 * How far a request has come on its way to a server.
 *
 * A call whose request was never written as a whole has had no effect. From the moment of writing on it may have had one, whatever
 * happens then, until the server answers. The transport writes this down, and what reports the end of the call reads it.
 *
 * It travels with the request, under a key of its parameters that no JSON text can hold.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { Predicate } from "effect"

const key = Symbol("executor/delivery")

/** The way of one request. */
export class Delivery {
  #withdrawn = false

  /** When it was written, or began to be. `undefined` while the server cannot have all of it. */
  sentAt: Date | undefined

  /** The parameters of the request, with this in them. */
  attach<Params extends object>(params: Params): Params {
    return { ...params, [key]: this }
  }

  /** Takes the request back where it is not written yet. */
  withdraw(): void {
    this.#withdrawn = true
  }

  /** Says that it is about to be written. False if it must not be: it was withdrawn. */
  begin(): boolean {
    if (!this.#withdrawn) this.sentAt = new Date()
    return !this.#withdrawn
  }

  /** Says that it could not be written as a whole. */
  fail(): void {
    this.sentAt = undefined
  }
}

/** The delivery of a message, where somebody follows it. */
export const deliveryOf = (message: JSONRPCMessage): Delivery | undefined => {
  const params = "params" in message ? (message.params as { readonly [key]?: unknown } | undefined) : undefined
  return Predicate.isObject(params) && params[key] instanceof Delivery ? params[key] : undefined
}
