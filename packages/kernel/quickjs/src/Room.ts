/**
 * Who gives up a place when work is queued and every place is taken.
 *
 * Idle executions are set aside, those first that have been idle longest: they give up their places, and queue for new ones when their
 * next outcome comes (see `SetAside`). Starting again costs the CPU time that they have used so far, so one has to have waited
 * {@link worthMs} for each millisecond of that, and one that has used more than {@link maxRepeatedCpuMs}, or received more than is
 * kept, stays where it is. One that has been idle for `idleMs` is set aside in any case, so that its worker can end. If all
 * places are taken by such, more workers start, up to `maxWorkers`; if those are full of them too, the pool refuses new executions.
 */
import { activePerWorker, type Member, type Placement } from "./Member.ts"
import type { SetAside } from "./SetAside.ts"

/** A run that has computed longer than this keeps its place rather than compute it all again elsewhere. */
export const maxRepeatedCpuMs = 1_000
/** A run is set aside after waiting this long for each millisecond it has to compute again: a tenth more work at worst. */
const worthMs = 10
/** Starting a run again costs this much beside what it computes, in milliseconds. */
const startMs = 1
/** Another worker starts rather than wait longer than this until a run can be set aside. */
const patienceMs = 250

/**
 * Sets aside what makes room for `wanted` executions, if it is places that are wanting and not the time of the processor. Gives when
 * there will be room: soon, only after a while, or never by itself.
 */
export const makeRoom = (
  members: Iterable<Member>,
  wanted: number,
  aside: SetAside,
  now: number,
  putAside: (member: Member, placement: Placement) => void
): "soon" | "later" | "none" => {
  let soonestMs = Infinity
  for (const member of members) {
    const { active, leaving } = member
    // A place will be free without more ado: an active run ends or becomes idle.
    if (member.held || !member.isFull || active > 0 || leaving > 0) soonestMs = 0
    if (member.held || !member.isFull) continue
    wanted -= leaving
    let room = activePerWorker - active - leaving
    for (const placement of idleLongest(member)) {
      if (room <= 0 || wanted <= 0) break
      const ms = worthSettingAsideIn(member, placement, aside, now)
      soonestMs = Math.min(soonestMs, ms)
      if (ms > 0) continue
      putAside(member, placement)
      room--
      wanted--
    }
  }
  return soonestMs === Infinity ? "none" : soonestMs > patienceMs ? "later" : "soon"
}

/** How long until it is worth to set a run aside, in milliseconds; never, if it could not start again. */
export const worthSettingAsideIn = (member: Member, placement: Placement, aside: SetAside, now: number): number => {
  const { idleSince, run } = placement
  if (run === undefined || idleSince === undefined || !aside.takes(run)) return Infinity
  const cpuMs = member.cpuMs(placement)
  if (cpuMs > maxRepeatedCpuMs) return Infinity
  return Math.max(0, idleSince + (cpuMs + startMs) * worthMs - now)
}

/** The places whose runs are idle, those first that have been longest. */
const idleLongest = (member: Member): ReadonlyArray<Placement> =>
  member.placements
    .filter((placement) => placement !== undefined)
    .filter(({ idleSince, run }) => idleSince !== undefined && run !== undefined)
    .toSorted((a, b) => (a.idleSince ?? 0) - (b.idleSince ?? 0))
