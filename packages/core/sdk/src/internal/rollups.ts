/** The periods of the rollups in milliseconds, longest first; 0 is all time. */
export const rollupPeriods: ReadonlyArray<number> = [0, 86_400_000, 3_600_000]
