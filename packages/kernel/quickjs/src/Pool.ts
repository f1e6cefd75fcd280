/**
 * The workers, and which execution runs where.
 *
 * ## How many
 *
 * The first worker starts with the first execution, others as load comes, up to `workers`. A worker takes eight executions that
 * are active; one whose program is idle, and only waits for its calls (for a person, perhaps), does not count. What finds no
 * place waits in a queue. A worker without executions for `idleMs` ends, the last one too: it and its sandboxes hold tens of
 * megabytes, and starting one again takes a tenth of a second.
 *
 * ## Starting again
 *
 * A program does the same again when it is given the same outcomes in the same order. So an execution can leave its place and be
 * started again in another one with the outcomes it had received; calls that it repeats are not made again (see `Run`). This is
 * how executions that wait never keep others out, however many they are (see `Room`), and how a stuck worker harms only the program
 * that is stuck.
 *
 * ## Long computations
 *
 * A worker is one thread: while one program computes, the others on it stand still. A watchdog looks at the workers' shared
 * memory. A worker that has been inside one program for a tenth of a second is *held*: it gets no new executions, the idle ones on it
 * are set aside, the active ones are moved, and another worker may start in its place, up to `maxWorkers` in all.
 *
 * Stopping a program has two deadlines. The sandbox itself stops when its CPU time is over or its cell in shared memory says so;
 * but it only looks between operations, and one operation on a large value can take minutes. It counts its looks in shared
 * memory: when none came for a while although the program is to stop, the watchdog ends the thread. The others on it are
 * started again elsewhere. The same happens when a program has broken the type stripper of its worker.
 */
import { activePerWorker, Member, type Placement } from "./Member.ts"
import type { CompiledModules, EndMessage, FromWorker, GuestConstants } from "./Protocol.ts"
import { makeRoom, maxRepeatedCpuMs, worthSettingAsideIn } from "./Room.ts"
import type { Run } from "./Run.ts"
import { SetAside } from "./SetAside.ts"

/** How often the watchdog looks, while anything runs. */
const watchMs = 50
/** Executions that nothing can make a place for are refused after this time, in which a call of another may have ended. */
const refuseAfterMs = 5_000
/** How long a run that is stopped is waited for to tell what it has logged. One whose thread is busy elsewhere takes longer, or never does. */
const tellMs = 250
/** How often a run is moved out of the way of others, which has to end if all of them compute. */
const maxMoves = 3
/** How often a run is saved from a thread that died for no known reason; one that is on every such thread is likely why. */
const maxRescues = 3

const threadEnded = "The sandbox worker that ran the program ended"

export interface PoolOptions {
  readonly workers: number
  readonly maxWorkers: number
  /** Executions that one worker can hold at once. */
  readonly slots: number
  /** What is kept of all executions that are set aside, in UTF-16 units. */
  readonly maxSetAside: number
  readonly idleMs: number
  readonly workerUrl: URL
  readonly compile: () => Promise<CompiledModules>
  readonly constants: GuestConstants
}

export class Pool {
  private readonly options: PoolOptions
  private readonly members = new Set<Member>()
  private readonly placed = new Map<Run, { readonly member: Member; readonly placement: Placement }>()
  private readonly setAside: SetAside
  private readonly moves = new WeakMap<Run, number>()
  private readonly rescues = new WeakMap<Run, number>()
  private queue: Array<Run> = []
  /** Since when nothing could make a place for what is queued. */
  private fullSince: number | undefined
  private modules: Promise<CompiledModules> | undefined
  private watch: NodeJS.Timeout | undefined
  private closed = false

  constructor(options: PoolOptions) {
    this.options = options
    this.setAside = new SetAside(options.maxSetAside)
  }

  /** Starts workers ahead of their use. */
  prewarm(count: number): void {
    while (this.members.size < Math.min(count, this.options.workers)) this.startWorker()
  }

  submit(run: Run): void {
    if (this.closed) return run.end({ _tag: "Broken", message: "The sandbox pool is closed" })
    this.queue.push(run)
    this.placeQueued()
  }

  /**
   * Frees what the run holds. If its program still runs it is stopped, and what is given ends when the run has been told what its program
   * had logged, or soon.
   */
  release(run: Run): Promise<void> | undefined {
    const at = this.placed.get(run)
    if (at !== undefined) {
      this.detach(run, at.member, at.placement)
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, tellMs)
        at.placement.onLeft = (logs) => {
          clearTimeout(timer)
          run.tell(logs)
          resolve()
        }
      })
    }
    if (this.setAside.delete(run)) return undefined
    const queued = this.queue.indexOf(run)
    if (queued !== -1) this.queue.splice(queued, 1)
    return undefined
  }

  close(): void {
    this.closed = true
    for (const member of this.members) this.retire(member)
    const runs = [...this.placed.keys(), ...this.setAside.clear(), ...this.queue]
    this.queue = []
    this.placed.clear()
    for (const run of runs) run.end({ _tag: "Broken", message: "The sandbox pool was closed while the program ran" })
    clearInterval(this.watch)
    this.watch = undefined
  }

  private placeQueued(): void {
    while (this.queue.length > 0) {
      const member = this.roomiest()
      if (member === undefined || member.count > 0) this.startWorkerIfAllowed()
      const target = member ?? this.roomiest()
      if (target === undefined) {
        this.makeRoom(performance.now())
        break
      }
      this.fullSince = undefined
      const run = this.queue.shift()
      if (run !== undefined) this.placed.set(run, { member: target, placement: target.place(run) })
    }
    this.watching()
  }

  private roomiest(): Member | undefined {
    let best: Member | undefined
    let least = Infinity
    for (const member of this.members) {
      if (member.held || member.isFull) continue
      const active = member.count < activePerWorker ? member.count : member.active
      if (active >= activePerWorker) continue
      const load = member.ready ? active : active + activePerWorker
      if (load < least) {
        least = load
        best = member
      }
    }
    return best
  }

  private makeRoom(now: number): void {
    const next = makeRoom(this.members, this.queue.length, this.setAside, now, (member, placement) =>
      this.putAside(member, placement)
    )
    if (next !== "none") this.fullSince = undefined
    if (next !== "soon" && this.members.size < this.options.maxWorkers) this.startWorker()
    else if (next === "none") this.refuseNew(now)
  }

  private putAside(member: Member, placement: Placement): void {
    const { run } = placement
    if (run === undefined) return
    this.detach(run, member, placement)
    this.keepAside(run, member, placement)
  }

  private keepAside(run: Run, member: Member, placement: Placement): void {
    run.repeats = { received: placement.given, cpuMs: member.cpuMs(placement) }
    this.setAside.add(run, () => {
      this.queue.push(run)
      this.placeQueued()
    })
  }

  private refuseNew(now: number): void {
    this.fullSince ??= now
    if (now - this.fullSince < refuseAfterMs) return
    const message =
      `The sandbox is full: its ${this.members.size} workers are taken by executions that wait for their calls, and have ` +
      "computed or received too much to be set aside. Try again when some have ended, or raise `maxWorkers` or `setAsideBytes`."
    const refused = this.queue.filter((run) => !run.begun)
    this.queue = this.queue.filter((run) => run.begun)
    for (const run of refused) run.end({ _tag: "Broken", message })
  }

  private receive(member: Member, message: FromWorker): void {
    if (message._tag === "ready") {
      member.ready = true
      return
    }
    const placement = member.placements[message.slot]
    if (placement?.runId !== message.runId) return
    switch (message._tag) {
      case "call":
        return placement.run?.onCall(message)
      case "idle":
        if (!member.rests(placement, message)) return
        placement.run?.onIdle(message.received)
        if (this.queue.length > 0) this.placeQueued()
        return
      case "end":
        return this.onEnd(member, placement, message)
    }
  }

  private onEnd(member: Member, placement: Placement, message: EndMessage): void {
    const { run } = placement
    member.vacate(placement)
    if (run !== undefined) {
      this.placed.delete(run)
      run.onEnd(message)
    }
    placement.onLeft?.(message.logs)
    if (message.spoilt) {
      this.retire(member)
      return this.rescueAll(member, placement)
    }
    this.placeQueued()
    if (member.count > 0) return
    if (this.members.size > this.options.workers) this.retire(member)
    else this.retireLater(member)
  }

  private retireLater(member: Member): void {
    member.retirement = setTimeout(() => this.retire(member), this.options.idleMs)
    member.retirement.unref()
  }

  private retire(member: Member): void {
    this.members.delete(member)
    clearTimeout(member.retirement)
    member.thread.terminate()
  }

  private detach(run: Run, member: Member, placement: Placement): void {
    this.placed.delete(run)
    member.leave(placement)
    placement.onLeft = (logs) => run.tell(logs)
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
    const member = new Member({
      url: this.options.workerUrl,
      modules: this.modules,
      constants: this.options.constants,
      slots: this.options.slots,
      onMessage: (member, message) => this.receive(member, message),
      onExit: (member, error) => this.onExit(member, error)
    })
    this.members.add(member)
    this.retireLater(member)
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
    for (const member of this.members) {
      const seen = member.look(now)
      if (seen?._tag === "Stuck") this.kill(member, seen.placement)
      else if (seen === undefined) this.clearOut(member, now)
      else if (!member.held) this.hold(member, seen.placement, now)
    }
    this.placeQueued()
  }

  /** Sets aside what has been idle for long, though nobody wants its place, so that its worker can end. */
  private clearOut(member: Member, now: number): void {
    for (const placement of member.placements) {
      if (placement?.idleSince === undefined || now - placement.idleSince < this.options.idleMs) continue
      if (worthSettingAsideIn(member, placement, this.setAside, now) === 0) this.putAside(member, placement)
    }
  }

  private hold(member: Member, holder: Placement, now: number): void {
    member.held = true
    for (const placement of member.placements) {
      if (placement?.run === undefined || placement === holder) continue
      if (member.cpuMs(placement) > maxRepeatedCpuMs) continue
      if (worthSettingAsideIn(member, placement, this.setAside, now) === 0) this.putAside(member, placement)
      else this.move(placement.run, member, placement)
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
    clearTimeout(member.retirement)
    const why = error?.message ?? "its thread ended"
    if (!member.ready) {
      for (const placement of member.placements) this.fail(placement, `No sandbox worker could be started: ${why}`)
      return
    }
    const culprit = member.inside
    this.fail(culprit, `${threadEnded}: ${why}. Running it again may help.`)
    this.rescueAll(member, culprit)
  }

  private fail(placement: Placement | undefined, message: string): void {
    const run = placement?.run
    if (run === undefined) return
    this.placed.delete(run)
    run.end({ _tag: "Broken", message })
  }

  private rescueAll(member: Member, except: Placement | undefined): void {
    // What the thread has still sent is about places that its runs have left.
    for (const placement of member.placements.splice(0)) {
      placement?.onLeft?.([])
      const run = placement?.run
      if (placement === undefined || run === undefined || placement === except) continue
      this.placed.delete(run)
      run.deliver = undefined
      if (placement.idleSince !== undefined && this.setAside.takes(run)) this.keepAside(run, member, placement)
      else this.rescue(run, except !== undefined)
    }
    this.placeQueued()
  }

  private move(run: Run, member: Member, placement: Placement): void {
    const moves = this.moves.get(run) ?? 0
    if (run.history === undefined || moves >= maxMoves) return
    this.moves.set(run, moves + 1)
    run.repeats = undefined
    this.detach(run, member, placement)
    this.queue.unshift(run)
  }

  private rescue(run: Run, isInnocent: boolean): void {
    const rescues = (this.rescues.get(run) ?? 0) + (isInnocent ? 0 : 1)
    if (run.history === undefined || rescues > maxRescues) {
      run.end({ _tag: "Broken", message: `${threadEnded}. Running it again may help.` })
      return
    }
    this.rescues.set(run, rescues)
    run.repeats = undefined
    this.queue.unshift(run)
  }
}
