/**
 * The order of units of work that wait: urgent ones come before all others, and each kind keeps the order of submission.
 */

/** Puts a unit into its place. */
export const enqueue = <Unit extends { readonly urgent: boolean }>(queue: Array<Unit>, unit: Unit): void => {
  const place = unit.urgent ? queue.findIndex(({ urgent }) => !urgent) : -1
  queue.splice(place === -1 ? queue.length : place, 0, unit)
}
