/**
 * A worker of the pool with its places, as the host keeps account of them: which run is where, and which of them have anything to
 * compute.
 *
 * A run in a place is **active** from its start, and from each outcome it is given, until the worker says that it is idle after as many
 * outcomes as it was given. A place that was left is taken until the worker says that it is free.
 */
import type { FlatLogs, FromWorker, IdleMessage } from "./Protocol.ts"
import { cell } from "./Protocol.ts"
import type { Run } from "./Run.ts"
import { WorkerThread, type WorkerThreadOptions } from "./WorkerThread.ts"

/** Active executions that share a worker. */
export const activePerWorker = 8
/** Inside one program for this long, a worker is held. */
const heldAfterMs = 100
/** From the moment a program should have stopped to the end of its thread. */
const graceMs = 250

/** A run in a slot of a worker. */
export interface Placement {
  readonly runId: number
  readonly slot: number
  /** Absent once nobody waits for it here. */
  run: Run | undefined
  /** Outcomes it was given. */
  given: number
  /** Since when it has had nothing to compute; absent while it is active. */
  idleSince: number | undefined
  /** Since when it has been told to stop. */
  stopping: number | undefined
  /** Told what the program had logged, once a run that left its place is gone from it. */
  onLeft: ((logs: FlatLogs) => void) | undefined
}

/** What {@link Member} is made with. */
export interface MemberOptions extends Omit<WorkerThreadOptions, "onMessage" | "onExit"> {
  readonly slots: number
  readonly onMessage: (member: Member, message: FromWorker) => void
  readonly onExit: (member: Member, error: Error | undefined) => void
}

let lastRunId = 0

export class Member {
  readonly thread: WorkerThread
  readonly placements: Array<Placement | undefined> = []
  /** Places that are taken. */
  count = 0
  ready = false
  /** It has been inside one program for long. */
  held = false
  /** Ends the worker; runs while it has no executions. */
  retirement: NodeJS.Timeout | undefined
  private readonly slots: number
  /** The entry into a sandbox that was seen last, and when it was seen first. */
  private entry = -1
  private entrySince = 0
  /** The same for when a program was last asked whether to stop. */
  private beat = 0
  private beatSince = 0

  constructor(options: MemberOptions) {
    this.slots = options.slots
    this.thread = new WorkerThread({
      ...options,
      onMessage: (message) => options.onMessage(this, message),
      onExit: (error) => options.onExit(this, error)
    })
  }

  get isFull(): boolean {
    return this.count >= this.slots
  }

  /** Runs that compute, or are about to. */
  get active(): number {
    let active = 0
    for (const placement of this.placements) {
      if (placement !== undefined && placement.idleSince === undefined) active++
    }
    return active
  }

  /** Idle runs that were told to leave their places. */
  get leaving(): number {
    let leaving = 0
    for (const placement of this.placements) {
      if (placement !== undefined && placement.idleSince !== undefined && placement.run === undefined) leaving++
    }
    return leaving
  }

  /** CPU time that the run in a place has used, in milliseconds, up to when it last paused. */
  cpuMs(placement: Placement): number {
    return this.thread.shared.cpu[placement.slot] ?? 0
  }

  /** Starts a run, or starts it again with the outcomes it has received. */
  place(run: Run): Placement {
    const { thread } = this
    const free = this.placements.findIndex((placement) => placement === undefined)
    const slot = free === -1 ? this.placements.length : free
    const runId = (lastRunId = (lastRunId % 0x7fffffff) + 1)
    const history = run.history ?? []
    const placement: Placement = {
      runId,
      slot,
      run,
      given: history.length,
      idleSince: undefined,
      stopping: undefined,
      onLeft: undefined
    }
    this.placements[slot] = placement
    if (this.count++ === 0) {
      thread.keepsProcessAlive = true
      clearTimeout(this.retirement)
    }
    const { code, limits, seed, startTime } = run.options
    const { repeats } = run
    thread.shared.cpu[slot] = 0
    thread.post({ _tag: "start", slot, runId, code, limits: { ...limits }, seed, startTime, repeats })
    for (const outcome of history) thread.post({ _tag: "settle", slot, runId, ...outcome })
    run.begun = true
    run.deliver = (outcome) => {
      placement.given++
      placement.idleSince = undefined
      thread.post({ _tag: "settle", slot, runId, ...outcome })
    }
    return placement
  }

  /** The worker says that a run has come to rest. Whether it still has, as far as the host knows. */
  rests(placement: Placement, message: IdleMessage): boolean {
    if (message.received !== placement.given) return false
    placement.idleSince = performance.now()
    return true
  }

  /** The run leaves its place, which is free once the worker says so. */
  leave(placement: Placement): void {
    const { runId, run, slot } = placement
    if (run !== undefined) run.deliver = undefined
    placement.run = undefined
    placement.stopping = performance.now()
    Atomics.store(this.thread.shared.cells, cell.stop(slot), runId)
    this.thread.post({ _tag: "abort", slot, runId })
  }

  /** The worker says that the place is free. */
  vacate(placement: Placement): void {
    this.placements[placement.slot] = undefined
    this.held = false
    this.entrySince = performance.now()
    if (--this.count === 0) this.thread.keepsProcessAlive = false
  }

  /** The place of the run that computes at this moment. */
  get inside(): Placement | undefined {
    return this.placements[Atomics.load(this.thread.shared.cells, cell.inside) - 1]
  }

  /** Looks at what the thread is doing; see `Pool` for what is done about it. */
  look(now: number): { readonly _tag: "Held" | "Stuck"; readonly placement: Placement } | undefined {
    const { cells } = this.thread.shared
    const inside = Atomics.load(cells, cell.inside) - 1
    const entry = Atomics.load(cells, cell.entries)
    const beat = Atomics.load(cells, cell.beats)
    if (beat !== this.beat || entry !== this.entry) {
      this.beat = beat
      this.beatSince = now
    }
    if (inside < 0 || entry !== this.entry) {
      this.held = false
      this.entry = inside < 0 ? -1 : entry
      this.entrySince = now
      return undefined
    }
    const placement = this.placements[inside]
    const stuckMs = now - this.entrySince
    if (placement === undefined || stuckMs < heldAfterMs) return undefined
    const limit = placement.run?.options.limits.cpuTimeMs ?? Infinity
    const overCpu = this.cpuMs(placement) + stuckMs > limit + graceMs
    const overStop = placement.stopping !== undefined && now - placement.stopping > graceMs
    const isStuck = (overCpu || overStop) && now - this.beatSince > graceMs
    return { _tag: isStuck ? "Stuck" : "Held", placement }
  }
}
