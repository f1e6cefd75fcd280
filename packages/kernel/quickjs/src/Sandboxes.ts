/**
 * The sandboxes of a worker that no execution is in.
 *
 * The one that was left last is taken first: its memory, two megabytes, is the likeliest to be in the processor's caches, and a worker
 * whose executions never wait makes do with one. A sandbox that was left is made fresh when it is taken, or, where there is time
 * before, by {@link Sandboxes.tidy}.
 */
import type { CompiledModules, GuestConstants, PlainLimits } from "./Protocol.ts"
import { type GuestHost, Sandbox } from "./Sandbox.ts"

export class Sandboxes {
  private readonly modules: CompiledModules
  private readonly constants: GuestConstants
  private readonly fresh: Array<Sandbox> = []
  private readonly left: Array<Sandbox> = []
  private readonly prepared: Array<Promise<Sandbox>> = []

  constructor(modules: CompiledModules, constants: GuestConstants) {
    this.modules = modules
    this.constants = constants
  }

  /** A sandbox that is at hand, and has begun. */
  take(host: GuestHost, limits: PlainLimits, startTime: number): Sandbox | undefined {
    for (;;) {
      const left = this.left.pop()
      left?.restore()
      const sandbox = left ?? this.fresh.pop()
      if (sandbox === undefined || sandbox.begin(host, limits, startTime)) return sandbox
    }
  }

  /** One that is made for the occasion, or is being made already. */
  async make(host: GuestHost, limits: PlainLimits, startTime: number): Promise<Sandbox> {
    const prepared = await this.prepared.shift()?.catch(() => undefined)
    if (prepared?.begin(host, limits, startTime) === true) return prepared
    const sandbox = await Sandbox.make(this.modules, this.constants, limits)
    sandbox.begin(host, limits, startTime)
    return sandbox
  }

  /** Takes back one whose execution has ended in order. */
  leave(sandbox: Sandbox, limits: PlainLimits): void {
    if (sandbox.isRestorable) this.left.push(sandbox)
    else this.replace(limits)
  }

  /** Makes one ahead, for one that was dropped. If that fails, so does the next that is made, which can report it. */
  replace(limits: PlainLimits): void {
    const sandbox = Sandbox.make(this.modules, this.constants, limits)
    sandbox.catch(() => undefined)
    this.prepared.push(sandbox)
  }

  /** Makes fresh what was left. */
  tidy(): void {
    for (const sandbox of this.left.splice(0)) {
      sandbox.restore()
      this.fresh.push(sandbox)
    }
  }
}
