import { Effect } from "effect"

/** The tag of the error that an effect fails with. */
export const tagOf = <E extends { readonly _tag: string }>(effect: Effect.Effect<unknown, E>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)
