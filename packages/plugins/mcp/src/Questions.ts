/**
 * Which call does a question of the server belong to?
 *
 * Servers of protocol 2026-07-28 ask in the answer to the very call (`input_required`), so there is nothing to find out.
 * Older servers send `elicitation/create` as a request of their own, and over stdio nothing in it names the call that caused
 * it. Giving it to a wrong call would show a person the wrong tool and hand their answer to the wrong work, so this must be
 * impossible, and not only unlikely. The rules:
 *
 * - A question is given to a call only when no other call can have caused it: exactly one call is under way, and no earlier
 *   one was abandoned (interrupted or timed out) that the server may still be working on. (The protocol forbids a server to
 *   ask for a call that it has already answered; nobody could tell.)
 * - When several are under way, the question is held until all but one have ended; it belongs to the one that is left. New
 *   calls wait meanwhile. A second question that comes while one is held may mean that two calls wait for answers and neither
 *   will end, so then all held questions are answered `cancel`.
 * - After an abandoned call a question is answered `cancel`, and the server is started anew as soon as it has nothing to do.
 *
 * To make such dead ends rare, a tool runs alone until it is known to be calm, which is when it has ended once without
 * asking. Calm tools run concurrently with anything; a tool that has asked once runs alone from then on. So the first call of
 * each tool is serial, calls of tools that never ask are concurrent after that, and tools that ask are one at a time. Waiting
 * calls start in order, except that calm ones go ahead while a person is thinking. Which tools are calm is a guess, and only
 * decides about order.
 *
 * A call that gets no turn within {@link patienceMillis} gives up with {@link NoTurn}, to be made at another process.
 */
import { Data, Deferred, Effect, Exit } from "effect"

/** How long a call waits for its turn. */
const patienceMillis = 2000

/** A call under way. */
export interface Call<Question, Answer> {
  readonly tool: string
  /** Puts a question to the person behind this call. */
  readonly ask: (question: Question) => Promise<Answer>
  /** Whether it has had its turn. */
  started: boolean
  /** Questions that a person is thinking about. */
  pending: number
}

/** The call did not get its turn, and was not started. */
export class NoTurn extends Data.TaggedError("NoTurn") {}

/** The habits of the tools of a server, at whichever of its processes they were called. */
export interface Manners {
  /** Tools that have ended once. */
  readonly ended: Set<string>
  /** Tools that have asked once. */
  readonly asked: Set<string>
}

/** Nothing is known yet. */
export const makeManners = (): Manners => ({ ended: new Set(), asked: new Set() })

/** Finds the calls that questions belong to, for one connection. */
export interface Questions<Question, Answer> {
  /** Runs a call when the rules allow it to start. */
  readonly during: <A, E, R>(
    call: Call<Question, Answer>,
    run: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | NoTurn, R>
  /** Whether a call of this tool would start at once. */
  readonly mayStart: (tool: string) => boolean
  /** Puts a question that names no call to the right person; `undefined` when it cannot be attributed. */
  readonly answer: (question: Question) => Promise<Answer | undefined>
  /** Whether questions can still be attributed, or else the server must be started anew. True while calls are under way. */
  readonly isUsable: () => boolean
}

/** Makes the attribution for one connection. Without `exclusive` all calls run concurrently, for servers that cannot ask this way. */
export const makeQuestions = <Question, Answer>(options: {
  readonly exclusive: boolean
  readonly manners: Manners
}): Questions<Question, Answer> => {
  type AnyCall = Call<Question, Answer>
  const running = new Set<AnyCall>()
  const waiting: Array<{ readonly call: AnyCall; readonly admitted: Deferred.Deferred<void> }> = []
  const held: Array<(owner: AnyCall | undefined) => void> = []
  const { asked, ended } = options.manners
  let abandoned = false
  let unattributed = false

  const isCalm = (tool: string) => !options.exclusive || (ended.has(tool) && !asked.has(tool))
  const mayStart = (tool: string) => held.length === 0 && (isCalm(tool) || running.size === 0)

  const admit = () => {
    const thinking = [...running].some((call) => call.pending > 0)
    for (const entry of waiting.slice()) {
      if (mayStart(entry.call.tool)) {
        waiting.splice(waiting.indexOf(entry), 1)
        entry.call.started = true
        running.add(entry.call)
        Deferred.doneUnsafe(entry.admitted, Exit.void)
      } else if (!thinking) {
        break
      }
    }
  }

  const release = (owner: AnyCall | undefined) => {
    for (const resolve of held.splice(0)) resolve(owner)
  }

  const leave = (call: AnyCall) => {
    running.delete(call)
    if (running.size <= 1) release(abandoned ? undefined : [...running][0])
    admit()
  }

  const findOwner = (): Promise<AnyCall | undefined> => {
    const [only] = running
    if (abandoned || only === undefined) return Promise.resolve(undefined)
    if (running.size === 1) return Promise.resolve(only)
    if (held.length > 0) {
      for (const call of running) asked.add(call.tool)
      release(undefined)
      return Promise.resolve(undefined)
    }
    return new Promise((resolve) => held.push(resolve))
  }

  return {
    during: (call, run) =>
      Effect.uninterruptibleMask((restore) => {
        const entry = { call, admitted: Deferred.makeUnsafe<void>() }
        waiting.push(entry)
        admit()
        const withdraw = () => {
          const index = waiting.indexOf(entry)
          if (index >= 0) waiting.splice(index, 1)
          return index >= 0
        }
        const underWay = Effect.onExit(restore(run), (exit) =>
          Effect.sync(() => {
            if (Exit.hasInterrupts(exit)) abandoned = true
            else ended.add(call.tool)
            leave(call)
          })
        )
        if (call.started) return underWay
        const turn = Effect.timeoutOrElse(Deferred.await(entry.admitted), {
          duration: patienceMillis,
          orElse: () => (withdraw() ? Effect.fail(new NoTurn()) : Effect.void)
        })
        const leaving = Effect.sync(() => {
          if (!withdraw()) leave(call)
        })
        return Effect.andThen(
          Effect.onInterrupt(restore(turn), () => leaving),
          underWay
        )
      }),

    mayStart,

    answer: async (question) => {
      const owner = await findOwner()
      if (owner === undefined) {
        unattributed = true
        return undefined
      }
      asked.add(owner.tool)
      owner.pending++
      admit()
      try {
        return await owner.ask(question)
      } finally {
        owner.pending--
      }
    },

    isUsable: () => !(abandoned && unattributed) || running.size > 0 || waiting.length > 0
  }
}
