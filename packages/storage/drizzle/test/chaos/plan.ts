/**
 * What the processes of the contention write, so that it can be told afterwards what must be there.
 */
import type { ExecutionStatus } from "@executor/sdk"

/** Where nothing is removed, and where every process removes what is old. */
export const keptScope = "kept"
export const sweptScope = "swept"

/** How many executions a sweep leaves. */
export const keptSwept = 20

const statuses = ["completed", "completed", "failed", "cancelled"] as const

/** How the execution of a round ends. */
export const statusOf = (round: number): ExecutionStatus => statuses[round % statuses.length] ?? "completed"

/** How many tools it calls. */
export const callsOf = (round: number): number => round % 4

/** The tool of a call. */
export const toolOf = (round: number, seq: number): string => `chaos.tool${(round + seq) % 5}`
