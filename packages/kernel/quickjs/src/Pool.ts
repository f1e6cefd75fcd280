/**
 * The workers, and which execution runs where.
 *
 * ## How many
 *
 * The first worker starts with the first execution, others as load comes, up to `workers`. A worker takes eight executions that
 * are active; one that has only waited for its calls for a while (for a person, perhaps) does not count, so waiting ones
 * never keep others out. What finds no place waits in a queue. A worker without executions for `idleMs` ends, the last one too:
 * it and its sandboxes hold tens of megabytes, and starting one again takes a tenth of a second.
 *
 * ## Long computations
 *
 * A worker is one thread: while one program computes, the others on it stand still. A watchdog looks at the workers' shared
 * memory. A worker that has been inside one program for {@link heldAfterMs} is *held*: it gets no new executions, the
 * others on it are moved, and another worker may start in its place, up to `maxWorkers` in all.
 *
 * Stopping a program has two deadlines. The sandbox itself stops when its CPU time is over or its cell in shared memory says so;
 * but it only looks between operations, and one operation on a large value can take minutes. It counts its looks in shared
 * memory: when none came for {@link graceMs} although the program is to stop, the watchdog ends the thread. The
 * others on it are moved.
 *
 * ## Moving
 *
 * A program does the same again when it is given the same outcomes in the same order. So moving it is starting it again
 * elsewhere with the outcomes it had received; calls that it repeats are not made again (see `Run`).
 */
import type { CompiledModules, EndMessage, FromWorker, GuestConstants } from "./Protocol.ts"
import { cell, slotsPerWorker } from "./Protocol.ts"
import type { Run } from "./Run.ts"
import { WorkerThread } from "./WorkerThread.ts"

/** Active executions that share a worker. */
const activePerWorker = 8
/** An execution that has only waited this long is not active. */
const parkedAfterMs = 1_000
/** Inside one program for this long, a worker is held. */
const heldAfterMs = 100
/** From the moment a program should have stopped to the end of its thread. */
const graceMs = 250
/** How often the watchdog looks, while anything runs. */
const watchMs = 50
/** A run that has computed longer than this waits for the holder rather than compute it all again elsewhere. */
const maxRepeatedCpuMs = 1_000
/** How often a run is moved out of the way of others, which has to end if all of them compute. */
const maxMoves = 3
/** How often a run is saved from a thread that died; one that is on every such thread is likely why. */
const maxRescues = 3

export interface PoolOptions {
  readonly workers: number
  readonly maxWorkers: number
  readonly idleMs: number
  readonly workerUrl: URL
  readonly compile: () => Promise<CompiledModules>
  readonly constants: GuestConstants
}

interface Placement {
  readonly runId: number
  readonly slot: number
  /** Absent once nobody waits for it here. */
  run: Run | undefined
  /** Since when it has been told to stop. */
  stopping: number | undefined
}

interface Member {
  readonly thread: WorkerThread
  readonly placements: Array<Placement | undefined>
  count: number
  /** Ends the worker; runs while it has no executions. */
  idle: NodeJS.Timeout | undefined
  ready: boolean
  held: boolean
  /** The entry into a sandbox that the watchdog saw last, and when it saw it first. */
  entry: number
  entrySince: number
  /** The same for when a program was last asked whether to stop. */
  beat: number
  beatSince: number
}

export class Pool {
  private readonly options: PoolOptions
  private readonly members = new Set<Member>()
  private readonly placed = new Map<Run, { readonly member: Member; readonly placement: Placement }>()
  private readonly moves = new WeakMap<Run, number>()
  private readonly rescues = new WeakMap<Run, number>()
  private queue: Array<Run> = []
  private modules: Promise<CompiledModules> | undefined
  private watch: NodeJS.Timeout | undefined
  private nextRunId = 1
  private closed = false

  constructor(options: PoolOptions) {
    this.options = options
  }

  /** Starts workers ahead of their use. */
  prewarm(count: number): void {
    while (this.members.size < Math.min(count, this.options.workers)) this.startWorker()
  }

  submit(run: Run): void {
    if (this.closed) return run.end({ _tag: "Failed", message: "The sandbox pool is closed" })
    this.queue.push(run)
    this.placeQueued()
  }

  /** Frees what the run holds; its program is stopped if it still runs. */
  release(run: Run): void {
    const at = this.placed.get(run)
    if (at === undefined) {
      this.queue = this.queue.filter((queued) => queued !== run)
      return
    }
    this.detach(run, at.member, at.placement)
  }

  close(): void {
    this.closed = true
    for (const member of this.members) this.retire(member)
    const runs = [...this.placed.keys(), ...this.queue]
    this.queue = []
    for (const run of runs) run.end({ _tag: "Failed", message: "The sandbox pool was closed while the program ran" })
    this.placed.clear()
    clearInterval(this.watch)
    this.watch = undefined
  }

  private placeQueued(): void {
    while (this.queue.length > 0) {
      const member = this.roomiest()
      if (member === undefined || member.count > 0) this.startWorkerIfAllowed()
      const target = member ?? this.roomiest()
      if (target === undefined) break
      const run = this.queue.shift()
      if (run !== undefined) this.place(run, target)
    }
    this.watching()
  }

  private roomiest(): Member | undefined {
    let best: Member | undefined
    let least = Infinity
    for (const member of this.members) {
      if (member.held) continue
      const active = member.count < activePerWorker ? member.count : this.activeCount(member)
      if (active >= activePerWorker || member.count >= slotsPerWorker) continue
      const load = member.ready ? active : active + activePerWorker
      if (load < least) {
        least = load
        best = member
      }
    }
    return best
  }

  private activeCount(member: Member): number {
    const now = performance.now()
    let active = 0
    for (const placement of member.placements) {
      if (placement === undefined) continue
      const { run } = placement
      if (run === undefined || run.openCallCount === 0 || now - run.lastActive < parkedAfterMs) active++
    }
    return active
  }

  private place(run: Run, member: Member): void {
    const free = member.placements.findIndex((placement) => placement === undefined)
    const slot = free === -1 ? member.placements.length : free
    const runId = this.nextRunId
    this.nextRunId = (this.nextRunId % 0x7fffffff) + 1
    const placement: Placement = { runId, slot, run, stopping: undefined }
    member.placements[slot] = placement
    if (member.count++ === 0) {
      member.thread.keepsProcessAlive = true
      clearTimeout(member.idle)
    }
    this.placed.set(run, { member, placement })
    const { code, limits, seed, startTime } = run.options
    member.thread.shared.cpu[slot] = 0
    member.thread.post({ _tag: "start", slot, runId, code, limits: { ...limits }, seed, startTime })
    for (const outcome of run.history ?? []) member.thread.post({ _tag: "settle", slot, runId, ...outcome })
    run.lastActive = performance.now()
    run.deliver = (outcome) => member.thread.post({ _tag: "settle", slot, runId, ...outcome })
  }

  private receive(member: Member, message: FromWorker): void {
    if (message._tag === "ready") {
      member.ready = true
      return
    }
    const placement = member.placements[message.slot]
    if (placement?.runId !== message.runId) return
    if (message._tag === "call") {
      placement.run?.onCall(message)
    } else {
      this.onEnd(member, placement, message)
    }
  }

  private onEnd(member: Member, placement: Placement, message: EndMessage): void {
    const { run } = placement
    this.vacate(member, placement)
    member.held = false
    member.entrySince = performance.now()
    if (run !== undefined) {
      this.placed.delete(run)
      run.onEnd(message)
    }
    if (member.count === 0 && this.members.size > this.options.workers) this.retire(member)
    this.placeQueued()
  }

  private vacate(member: Member, placement: Placement): void {
    member.placements[placement.slot] = undefined
    if (--member.count > 0) return
    member.thread.keepsProcessAlive = false
    this.idles(member)
  }

  private idles(member: Member): void {
    member.idle = setTimeout(() => this.retire(member), this.options.idleMs)
    member.idle.unref()
  }

  private retire(member: Member): void {
    this.members.delete(member)
    clearTimeout(member.idle)
    member.thread.terminate()
  }

  /** The run leaves its place; the place is free once the worker says so. */
  private detach(run: Run, member: Member, placement: Placement): void {
    this.placed.delete(run)
    run.deliver = undefined
    placement.run = undefined
    placement.stopping = performance.now()
    Atomics.store(member.thread.shared.cells, cell.stop(placement.slot), placement.runId)
    member.thread.post({ _tag: "abort", slot: placement.slot, runId: placement.runId })
    this.watching()
  }

  private startWorkerIfAllowed(): void {
    let held = 0
    for (const member of this.members) if (member.held) held++
    const { maxWorkers, workers } = this.options
    if (this.members.size < maxWorkers && this.members.size - held < workers) this.startWorker()
  }

  private startWorker(): void {
    this.modules ??= this.options.compile()
    const member: Member = {
      thread: new WorkerThread({
        url: this.options.workerUrl,
        modules: this.modules,
        constants: this.options.constants,
        onMessage: (message) => this.receive(member, message),
        onExit: (error) => this.onExit(member, error)
      }),
      placements: [],
      count: 0,
      idle: undefined,
      ready: false,
      held: false,
      entry: -1,
      entrySince: 0,
      beat: 0,
      beatSince: 0
    }
    this.members.add(member)
    this.idles(member)
  }

  private watching(): void {
    if (this.placed.size === 0 && this.queue.length === 0 && !this.anyStopping()) {
      clearInterval(this.watch)
      this.watch = undefined
    } else if (this.watch === undefined) {
      this.watch = setInterval(() => this.look(), watchMs)
      this.watch.unref()
    }
  }

  private anyStopping(): boolean {
    for (const member of this.members) if (member.count > 0) return true
    return false
  }

  private look(): void {
    const now = performance.now()
    for (const member of this.members) this.lookAt(member, now)
    this.placeQueued()
  }

  private lookAt(member: Member, now: number): void {
    const { cells, cpu } = member.thread.shared
    const inside = Atomics.load(cells, cell.inside) - 1
    const entry = Atomics.load(cells, cell.entries)
    const beat = Atomics.load(cells, cell.beats)
    if (beat !== member.beat || entry !== member.entry) {
      member.beat = beat
      member.beatSince = now
    }
    if (inside < 0 || entry !== member.entry) {
      member.held = false
      member.entry = inside < 0 ? -1 : entry
      member.entrySince = now
      return
    }
    const placement = member.placements[inside]
    const stuckMs = now - member.entrySince
    if (placement === undefined || stuckMs < heldAfterMs) return
    const limit = placement.run?.options.limits.cpuTimeMs ?? Infinity
    const overCpu = (cpu[inside] ?? 0) + stuckMs > limit + graceMs
    const overStop = placement.stopping !== undefined && now - placement.stopping > graceMs
    if ((overCpu || overStop) && now - member.beatSince > graceMs) {
      this.kill(member, placement)
    } else if (!member.held) {
      member.held = true
      for (const other of member.placements) {
        if (other?.run === undefined || other === placement || (cpu[other.slot] ?? 0) > maxRepeatedCpuMs) continue
        this.move(other.run, member, other)
      }
    }
  }

  private kill(member: Member, culprit: Placement): void {
    this.retire(member)
    const { run } = culprit
    if (run !== undefined) {
      this.placed.delete(run)
      run.endAtLimit("cpuTimeMs")
    }
    this.rescueAll(member, culprit)
  }

  private onExit(member: Member, error: Error | undefined): void {
    if (!this.members.delete(member)) return
    clearTimeout(member.idle)
    const why = error?.message ?? "its thread ended"
    if (!member.ready) {
      for (const placement of member.placements) this.fail(placement, `No sandbox worker could be started: ${why}`)
      return
    }
    const culprit = member.placements[Atomics.load(member.thread.shared.cells, cell.inside) - 1]
    this.fail(culprit, `The sandbox worker that ran the program ended: ${why}. Running it again may help.`)
    this.rescueAll(member, culprit)
  }

  private fail(placement: Placement | undefined, message: string): void {
    const run = placement?.run
    if (run === undefined) return
    this.placed.delete(run)
    run.end({ _tag: "Failed", message })
  }

  private rescueAll(member: Member, except: Placement | undefined): void {
    for (const placement of member.placements) {
      if (placement?.run === undefined || placement === except) continue
      this.placed.delete(placement.run)
      placement.run.deliver = undefined
      this.rescue(placement.run)
    }
    this.placeQueued()
  }

  private move(run: Run, member: Member, placement: Placement): void {
    const moves = this.moves.get(run) ?? 0
    if (run.history === undefined || moves >= maxMoves) return
    this.moves.set(run, moves + 1)
    this.detach(run, member, placement)
    this.queue.unshift(run)
  }

  private rescue(run: Run): void {
    const rescues = this.rescues.get(run) ?? 0
    if (run.history === undefined || rescues >= maxRescues) {
      run.end({ _tag: "Failed", message: "The sandbox worker that ran the program ended. Running it again may help." })
      return
    }
    this.rescues.set(run, rescues + 1)
    this.queue.unshift(run)
  }
}
