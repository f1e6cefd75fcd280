/**
 * Long reads of a database file, on threads of their own.
 *
 * The first read starts a thread, and reads queue for it in their order. One that has to wait for a while starts a
 * second thread, so that a slow count does not hold up quick lists. A thread that ends by itself is replaced, and what
 * it was reading is read again, once: reads are safe to repeat. A read that is interrupted leaves the queue, or is
 * cancelled in the thread; a thread that does not notice in time is replaced as well. Where no thread can be started,
 * reads run on the thread of the adapter, and starting is tried again later.
 *
 * Checkpoints go before reads. Threads keep the process alive only while somebody waits for a read.
 */
import { DBError } from "@executor/sdk"
import { Effect } from "effect"
import { databaseClosed } from "./errors.ts"
import type { FileIdentity } from "./fileIdentity.ts"
import { type ReadAnswer, ReaderThread } from "./readerThread.ts"
import type { ReadItem, ReadRequest } from "./reads.ts"

const maxThreads = 2

/** A read that has waited this long starts the second thread; most wait for less than it takes to start. */
const growAfterMillis = 20

/** A query looks for its cancellation about each millisecond; one that has not by now sorts a lot, or reads one large text. */
const cancelWaitMillis = 100

/** After a failure to start a thread. */
const restartAfterMillis = 60_000

/**
 * A thread ends within milliseconds of being asked to, unless it is still starting, or cannot be cancelled either. On a busy machine a start
 * takes seconds, and a thread that is torn out of loading the database's native code may take its process with it.
 */
const closeWaitMillis = 10_000

type Outcome = Effect.Effect<ReadonlyArray<ReadItem>, DBError>

interface Read {
  readonly request: ReadRequest
  readonly resume: (outcome: Outcome) => void
  /** How many threads have ended while they ran it. */
  losses: number
}

export interface ReadersOptions {
  readonly url: URL
  readonly file: string
  /** The files that are open. Where their paths lead elsewhere by now, a thread does not start. */
  readonly files: FileIdentity
  readonly lockWaitMillis: number
  /** Runs a read on this thread. */
  readonly inline: (request: ReadRequest) => Outcome
  /** Whether there are threads: `false` when none can be started, `true` when one is there again. */
  readonly onAvailable: (available: boolean) => void
}

export interface Readers {
  readonly read: (request: ReadRequest) => Outcome
  /** Has the log written back to the database, soon. */
  readonly checkpoint: () => void
  /** Has the space of deleted rows given back, by a thread that there is: who deletes has looked for what to delete. */
  readonly tidy: () => void
  /** Ends the threads; what is read fails. */
  readonly close: Effect.Effect<void>
}

export const makeReaders = (options: ReadersOptions): Readers => {
  const threads = new Map<ReaderThread, Read | undefined>()
  let queue: Array<Read> = []
  let checkpointWanted = false
  let growTimer: ReturnType<typeof setTimeout> | undefined
  let noThreadsUntil = 0
  let warning: Effect.Effect<void> | undefined
  let closed = false
  let onAllEnded: (() => void) | undefined

  /** Starts threads that are needed, gives work to those that are free. */
  const pump = (): void => {
    if (closed) return
    for (const thread of threads.keys()) if (thread.isFree) give(thread)
    if (queue.length > 0 || checkpointWanted) grow()
    updateKeepAlive()
  }

  const give = (thread: ReaderThread): void => {
    if (checkpointWanted) {
      checkpointWanted = false
      thread.checkpoint()
      return
    }
    const read = queue.shift()
    if (read === undefined) return
    try {
      thread.read(read.request, (answer) => {
        threads.set(thread, undefined)
        read.resume(toOutcome(answer))
      })
      threads.set(thread, read)
    } catch (error) {
      read.resume(Effect.die(error))
      give(thread)
    }
  }

  const grow = (): void => {
    if (threads.size === 0) start()
    else if (threads.size < maxThreads && queue.length > 0) {
      growTimer ??= setTimeout(() => {
        growTimer = undefined
        if (queue.length > 0 && !closed && performance.now() >= noThreadsUntil) start()
      }, growAfterMillis).unref()
    }
  }

  const start = (): void => {
    if (threads.size >= maxThreads) return
    const { file, files, lockWaitMillis, url } = options
    threads.set(new ReaderThread({ url, file, files, lockWaitMillis, onReady, onFree: pump, onExit }), undefined)
    updateKeepAlive()
  }

  const onReady = (): void => {
    if (closed) return
    noThreadsUntil = 0
    options.onAvailable(true)
  }

  const onExit = (thread: ReaderThread, error: Error | undefined): void => {
    const read = threads.get(thread)
    threads.delete(thread)
    if (threads.size === 0) onAllEnded?.()
    if (closed) return
    if (!thread.started) noThreadsUntil = performance.now() + restartAfterMillis
    if (read !== undefined && ++read.losses <= 1) queue.unshift(read)
    else read?.resume(Effect.fail(threadLost(error)))
    if (!thread.started && threads.size === 0) {
      const waiting = queue
      queue = []
      checkpointWanted = false
      warning = Effect.logWarning(cannotStart, error)
      options.onAvailable(false)
      for (const { request, resume } of waiting) resume(readInline(request))
    }
    pump()
  }

  const readInline = (request: ReadRequest): Outcome => {
    const log = warning
    warning = undefined
    return log === undefined ? options.inline(request) : Effect.andThen(log, options.inline(request))
  }

  const cancel = (read: Read): void => {
    queue = queue.filter((other) => other !== read)
    for (const [thread, current] of threads) {
      if (current !== read) continue
      threads.set(thread, undefined)
      const isStuck = thread.cancel()
      setTimeout(() => {
        if (!isStuck() || !threads.delete(thread)) return
        thread.terminate()
        pump()
      }, cancelWaitMillis).unref()
    }
    updateKeepAlive()
  }

  const updateKeepAlive = (): void => {
    const isWaited = queue.length > 0 || [...threads.values()].some((read) => read !== undefined)
    for (const thread of threads.keys()) thread.keepsProcessAlive = isWaited
  }

  return {
    read: (request) =>
      Effect.callback((resume) => {
        if (closed) return resume(Effect.fail(databaseClosed()))
        if (performance.now() < noThreadsUntil && threads.size === 0) return resume(readInline(request))
        const read: Read = { request, resume, losses: 0 }
        queue.push(read)
        pump()
        return Effect.sync(() => cancel(read))
      }),
    checkpoint: () => {
      if (closed || performance.now() < noThreadsUntil) return
      checkpointWanted = true
      pump()
    },
    tidy: () => {
      const [thread] = threads.keys()
      if (!closed) thread?.tidy()
    },
    close: Effect.callback((resume) => {
      closed = true
      clearTimeout(growTimer)
      const waiting = [...queue, ...threads.values()]
      queue = []
      for (const read of waiting) read?.resume(Effect.fail(databaseClosed()))
      if (threads.size === 0) return resume(Effect.void)
      const timer = setTimeout(() => {
        for (const thread of threads.keys()) thread.terminate()
        resume(Effect.void)
      }, closeWaitMillis)
      onAllEnded = () => {
        clearTimeout(timer)
        resume(Effect.void)
      }
      for (const thread of threads.keys()) thread.end()
    })
  }
}

const cannotStart = "The database is read on the thread of its writers: no reader thread could be started."

const toOutcome = (answer: ReadAnswer): Outcome => {
  if (answer._tag === "items") return Effect.succeed(answer.items)
  const { cause, message, reason } = answer
  if (reason === undefined) return Effect.die(cause ?? new Error(message))
  return Effect.fail(new DBError({ message, reason, ...(cause !== undefined && { cause }) }))
}

const threadLost = (cause: Error | undefined): DBError =>
  new DBError({
    message: "The thread that reads the database ended twice during this read. Ask for less at once.",
    reason: "unavailable",
    ...(cause !== undefined && { cause })
  })
