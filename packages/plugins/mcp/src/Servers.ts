/**
 * The processes of one source: mostly one, which takes all calls.
 *
 * A call that must run alone (see `Questions.ts`) and gets no turn for a moment, because a person thinks about a question
 * of another call or that call takes long, goes to a further process. So no open question holds up other calls, and each process
 * still knows whose its questions are. There are at most `maxProcesses`; a call that finds no place in `turnMillis` fails and
 * was not sent.
 *
 * A process that has died, or answers nothing any more, takes no further calls: the next one starts another. Those under way at a
 * process that hangs are left alone and have their own time; it is closed when the last of them has ended. A process without calls
 * is closed after its idle time, a further one sooner.
 *
 * Starting belongs to no caller: several wait for the same start, and an interrupted one takes it from nobody.
 */
import { SourceUnavailable, type ToolError, ToolFailed } from "@executor/sdk"
import { Clock, Deferred, Effect, Exit, Option, Scope } from "effect"
import { NoTurn } from "./Questions.ts"
import type { Server } from "./Server.ts"

/** A further process is of use while others are busy. */
const furtherIdleMillis = 30_000

/** The processes of a source. */
export interface Servers {
  /** Uses the process that has been there longest, starting it where there is none. */
  readonly use: <A>(f: (server: Server) => Effect.Effect<A, SourceUnavailable>) => Effect.Effect<A, SourceUnavailable>
  /** Uses the first process that gives the call its turn; `f` fails with `NoTurn` at the others. */
  readonly call: <A, R>(
    call: { readonly tool: string; readonly path: string },
    f: (server: Server) => Effect.Effect<A, ToolError | NoTurn, R>
  ) => Effect.Effect<A, ToolError, R>
}

interface Slot {
  readonly scope: Scope.Closeable
  readonly started: Deferred.Deferred<Server, SourceUnavailable>
  server: Server | undefined
  calls: number
  /** A call has waited here in vain, and none has ended since. */
  full: boolean
  /** When its last call ended, in milliseconds since the epoch. */
  usedAt: number
  /** Whether its idle time is watched. */
  watched: boolean
}

/** Makes the processes of a source, and starts none; they end with the scope. */
export const makeServers = Effect.fnUntraced(function* (options: {
  readonly namespace: string
  readonly start: Effect.Effect<Server, SourceUnavailable, Scope.Scope>
  /** How long a call looks for a process that has a place. */
  readonly turnMillis: number
  readonly maxProcesses: number
  readonly idleMillis: number
}): Effect.fn.Return<Servers, never, Scope.Scope> {
  const { idleMillis, maxProcesses, namespace, turnMillis } = options
  const parent = yield* Effect.scope
  const clock = yield* Clock.Clock
  const slots: Array<Slot> = []
  let changed = Deferred.makeUnsafe<void>()
  const closed = () => new SourceUnavailable({ namespace, message: `${namespace} was closed` })

  const change = () => {
    Deferred.doneUnsafe(changed, Exit.void)
    changed = Deferred.makeUnsafe()
  }

  const remove = (slot: Slot) => {
    const index = slots.indexOf(slot)
    if (index >= 0) slots.splice(index, 1)
    change()
  }

  const begin = Effect.fnUntraced(function* () {
    const slot: Slot = {
      scope: yield* Scope.fork(parent, "sequential"),
      started: Deferred.makeUnsafe(),
      server: undefined,
      calls: 0,
      full: false,
      usedAt: 0,
      watched: false
    }
    slots.push(slot)
    const start = Effect.onExit(Scope.provide(options.start, slot.scope), (exit) => {
      if (Exit.isSuccess(exit)) {
        slot.server = exit.value
        return Deferred.done(slot.started, exit)
      }
      remove(slot)
      const failure = Exit.hasInterrupts(exit) ? Exit.fail(closed()) : exit
      return Effect.andThen(Scope.close(slot.scope, Exit.void), Deferred.done(slot.started, failure))
    })
    yield* Effect.forkIn(start, parent)
    return slot
  })

  /** Enters the slot that `find` finds, or a new one if there may be one more. */
  const enter = (find: () => Slot | undefined): Effect.Effect<Slot | undefined, SourceUnavailable> =>
    Effect.suspend(() => {
      if (parent.state._tag === "Closed") return closed()
      if (!slots.every(isUsable)) return Effect.andThen(removeBroken(), enter(find))
      const slot = find()
      if (slot === undefined && slots.length < maxProcesses) return Effect.map(begin(), entered)
      return Effect.succeed(slot && entered(slot))
    })

  const entered = (slot: Slot): Slot => {
    slot.calls++
    return slot
  }

  const removeBroken = Effect.fnUntraced(function* () {
    for (const slot of slots.filter((each) => !isUsable(each))) {
      remove(slot)
      if (slot.calls === 0) yield* Effect.forkIn(Scope.close(slot.scope, Exit.void), parent)
    }
  })

  const leave = (slot: Slot): Effect.Effect<unknown> =>
    Effect.suspend(() => {
      slot.calls--
      change()
      if (!isUsable(slot)) remove(slot)
      if (slot.calls > 0 || slot.server === undefined) return Effect.void
      if (!slots.includes(slot)) return Scope.close(slot.scope, Exit.void)
      slot.usedAt = clock.currentTimeMillisUnsafe()
      if (slot.watched) return Effect.void
      slot.watched = true
      return Effect.forkIn(closeWhenIdle(slot), parent)
    })

  /** One watch for all calls of a process: a timer for each would cost each. */
  const closeWhenIdle = Effect.fnUntraced(function* (slot: Slot) {
    while (slots.includes(slot)) {
      const millis = slots[0] === slot ? idleMillis : Math.min(furtherIdleMillis, idleMillis)
      const left = slot.usedAt + millis - clock.currentTimeMillisUnsafe()
      if (slot.calls === 0 && left <= 0) {
        remove(slot)
        return yield* Scope.close(slot.scope, Exit.void)
      }
      yield* Effect.sleep(left > 0 ? left : millis)
    }
  })

  const within = <A, E, R>(
    find: () => Slot | undefined,
    f: (server: Server) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SourceUnavailable | NoTurn, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(enter(find), (slot): Effect.Effect<A, E | SourceUnavailable | NoTurn, R> =>
        slot === undefined
          ? Effect.fail(new NoTurn())
          : Effect.onExit(restore(Effect.flatMap(Deferred.await(slot.started), f)), (exit) => {
              slot.full = Exit.isFailure(exit) && Option.exists(Exit.findErrorOption(exit), isNoTurn)
              return leave(slot)
            })
      )
    )

  return {
    use: (f) =>
      Effect.catchIf(
        within(() => slots[0], f),
        isNoTurn,
        () => Effect.fail(closed())
      ),

    call: <A, R>(
      call: { readonly tool: string; readonly path: string },
      f: (server: Server) => Effect.Effect<A, ToolError | NoTurn, R>
    ) => {
      const hasPlace = (slot: Slot) => !slot.full || slot.server?.questions.mayStart(call.tool) === true
      const attempt = within(() => slots.find(hasPlace), f)
      const attemptUntil = (until: number): Effect.Effect<A, ToolError, R> =>
        Effect.suspend(() => {
          const before = changed
          return Effect.catchIf(attempt, isNoTurn, () => {
            const left = until - clock.currentTimeMillisUnsafe()
            // Where a slot was left, something has changed.
            return left <= 0
              ? noPlace(call.path, options)
              : Effect.andThen(Effect.timeoutOption(Deferred.await(before), left), attemptUntil(until))
          })
        })
      return Effect.suspend(() => attemptUntil(clock.currentTimeMillisUnsafe() + turnMillis))
    }
  }
})

const isNoTurn = (error: unknown): error is NoTurn => error instanceof NoTurn

const isUsable = ({ server }: Slot): boolean =>
  server === undefined || (server.process.isRunning && !server.hangs && server.questions.isUsable())

const noPlace = (path: string, limits: { readonly turnMillis: number; readonly maxProcesses: number }): ToolFailed =>
  new ToolFailed({
    path,
    message:
      `was not sent, since it did not get its turn within ${limits.turnMillis} ms: all processes of its server (${limits.maxProcesses}, the ` +
      "setting maxProcesses) are busy with calls that must run alone, and may wait for a person's answer. Answer the open questions, or try again later"
  })
