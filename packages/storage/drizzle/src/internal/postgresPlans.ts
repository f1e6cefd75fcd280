/**
 * Plans that keep up with tables that grow.
 *
 * A connection to Postgres keeps the plans of what it has prepared, and of triggers and foreign keys. Where a table was small, a plan may
 * read all of it. It is kept until the statistics of the table are made anew, which takes a minute or more: long enough for
 * ten thousand executions, each of which reads those before it. So plans are thrown away after so many uses of a connection; making one
 * again takes the server about a tenth of a millisecond.
 */
import type { PoolClient } from "pg"

const usesPerPlan = 32

const uses = new WeakMap<PoolClient, number>()

/** Takes note of a use of a connection, before its queries. */
export const keepPlansFresh = (client: PoolClient): void => {
  const used = uses.get(client) ?? 0
  uses.set(client, used + 1)
  // If it fails, so do the queries behind it, for the same reason.
  if (used % usesPerPlan === usesPerPlan - 1) client.query("DISCARD PLANS").catch(() => undefined)
}
