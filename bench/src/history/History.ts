/**
 * A history that looks real, from a seed: what hosts would have told the store about executions of ninety days, in the order of
 * their creation.
 *
 * Days have their rhythm, and a few stretches are bursts. Few tools, programs and clients make most of it. 3 in 100 executions
 * fail, 1 in 200 is cancelled, 2 in 100 ask a human something, and about 20 have not ended.
 */
import {
  type CreateExecution,
  type ExecutionId,
  type ExecutionInteractionId,
  type ExecutionToolCallId,
  type FinishToolCall,
  type RecordInteraction,
  type RecordToolCall,
  type ResolveInteraction,
  ScopeId,
  type UpdateExecution
} from "@executor/sdk"
import { needle } from "./Needles.ts"
import { makePrograms, type Program } from "./Programs.ts"
import type { Random } from "./Random.ts"
import * as Choice from "./Random.ts"
import { makeWriting, people, type Writing } from "./Tools.ts"

/** All that the store is told about an execution. */
export interface GeneratedExecution {
  readonly create: CreateExecution & { readonly createdAt: number }
  readonly calls: ReadonlyArray<{ readonly record: RecordToolCall; readonly finish?: FinishToolCall | undefined }>
  readonly question?:
    | {
        readonly record: RecordInteraction
        readonly at: number
        readonly answer?: { readonly resolution: ResolveInteraction; readonly at: number } | undefined
      }
    | undefined
  readonly end: { readonly changes: UpdateExecution; readonly at: number }
}

export const scopeId = ScopeId.make("bench")

const hour = 3_600_000
const day = 24 * hour
const days = 90

/** When the history ends: not at the start of an hour, as no moment at which somebody looks. */
export const historyEnd = Date.UTC(2026, 10, 1, 15, 37, 12)

const slot = 5 * 60_000

/** How many executions each five minutes have, in proportion. */
const slotWeights = (random: Random, start: number, end: number): ReadonlyArray<number> => {
  let burst = 0
  return Array.from({ length: (end - start) / slot }, (_, index) => {
    const date = new Date(start + index * slot)
    const working = Math.exp(-(((date.getUTCHours() + date.getUTCMinutes() / 60 - 14) / 4) ** 2))
    const week = date.getUTCDay() % 6 === 0 ? 0.35 : 1
    if (burst === 0 && random.chance(0.002)) burst = 1 + random.below(18)
    const rush = burst > 0 ? 12 : 1
    burst = Math.max(0, burst - 1)
    return (0.15 + working) * week * rush * random.logNormal(1, 0.7)
  })
}

/** The times of creation, in order. */
function* times(random: Random, count: number, start: number, end: number): Generator<number> {
  const weights = slotWeights(random, start, end)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let sum = 0
  let given = 0
  for (const [index, weight] of weights.entries()) {
    sum += weight
    const due = index === weights.length - 1 ? count : Math.round((sum / total) * count)
    const from = start + index * slot
    yield* Array.from({ length: due - given }, () => from + random.below(slot)).toSorted((a, b) => a - b)
    given = due
  }
}

/** A UUID of version 7. */
const uuid = (random: Random, at: number): string => {
  const time = at.toString(16).padStart(12, "0")
  const digits = random.hex(18)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${digits.slice(0, 3)}-8${digits.slice(3, 6)}-${digits.slice(6, 18)}`
}

interface Started {
  readonly kind: string | null
  readonly metaJson: string | null
}

const clients = "claude-desktop cursor vscode inspector zed claude-code windsurf goose".split(" ")

const makeTriggers = (random: Random): (() => Started) => {
  const client = Choice.weighted(random, Choice.zipf(clients.length, 1.3))
  const kind = Choice.weighted(random, [55, 25, 15, 4, 1])
  return () => {
    switch (kind()) {
      case 0: {
        const name = clients[client()]!
        return { kind: "mcp", metaJson: `{"client":{"name":"${name}","version":"1.${name.length}.0"}}` }
      }
      case 1:
        return { kind: "http", metaJson: `{"user":"${random.pick(people)}"}` }
      case 2:
        return { kind: "cli", metaJson: null }
      case 3:
        return { kind: "sdk", metaJson: null }
      default:
        return { kind: null, metaJson: null }
    }
  }
}

/** So many have not ended, the newest ones but for others between them. */
const unfinished = 20

const failure = (name: string, message: string): string => JSON.stringify({ name, message })

/** What the parts of an execution are made with. */
interface Maker {
  readonly random: Random
  readonly writing: Writing
  readonly program: (rare: number | undefined) => Program
  readonly trigger: () => Started
}

/** Generates so many executions, of ninety days or of the day that follows them. */
export function* generate(count: number, seed = 1, followingDay = false): Generator<GeneratedExecution> {
  const random = Choice.make(seed)
  const writing = makeWriting(random)
  const maker = { random, writing, program: makePrograms(random, writing), trigger: makeTriggers(random) }
  const start = historyEnd - days * day
  let index = 0
  for (const createdAt of followingDay
    ? times(random, count, historyEnd, historyEnd + day)
    : times(random, count, start, historyEnd)) {
    const isOpen = count - index <= 40 * unfinished && index % 40 === 39
    yield makeExecution(maker, createdAt, isOpen, {
      code: needle.of(index, count, 11),
      call: needle.of(index, count, 7)
    })
    index++
  }
}

const makeExecution = (
  { program, random, trigger, writing }: Maker,
  createdAt: number,
  isOpen: boolean,
  rare: { readonly code: number | undefined; readonly call: number | undefined }
): GeneratedExecution => {
  const id = uuid(random, createdAt) as ExecutionId
  const { code, tools } = program(rare.code)
  const { kind, metaJson } = trigger()
  const asks = random.chance(isOpen ? 0.5 : 0.02)
  const fate = random.next()
  const status = isOpen
    ? asks
      ? "waiting_for_interaction"
      : "running"
    : fate < 0.03
      ? "failed"
      : fate < 0.035
        ? "cancelled"
        : "completed"
  const worked = Math.ceil(Math.min(600_000, random.logNormal(900, 1.3)))
  const waited = asks ? Math.ceil(Math.min(2 * day, random.logNormal(90_000, 1.5))) : 0
  const length = Math.min(30, 1 + Math.floor(-2.466 * Math.log(1 - random.next())))
  const isRejected = status === "failed" && random.chance(0.7)

  const calls = Array.from({ length }, (_, seq) => {
    const tool = random.pick(tools)
    const startedAt = createdAt + Math.floor((worked * seq) / length)
    const isLast = seq === length - 1
    const found = rare.call !== undefined && seq === 0 ? needle.call(rare.call) : undefined
    const isFound = rare.call !== undefined && rare.call % 2 === 0
    const given = writing.args(tool)
    const record: RecordToolCall = {
      id: `${id}:${seq}` as ExecutionToolCallId,
      executionId: id,
      scopeId,
      seq,
      toolPath: tool.path,
      argsJson: found === undefined || isFound ? given : `{"reference":"${found}","request":${given}}`,
      startedAt
    }
    const durationMs = Math.max(1, Math.floor((worked / length) * (0.3 + 0.6 * random.next()))) + (isLast ? waited : 0)
    const completedAt = startedAt + durationMs
    const result = writing.result(tool, completedAt)
    if (isLast && (isOpen || status === "cancelled")) return { record }
    const ended = { settleSeq: seq, completedAt, durationMs }
    if ((isLast && isRejected) || random.chance(0.01)) {
      const errorText = failure("ToolError", `${tool.path} answered ${400 + random.below(120)}: ${writing.prose(60)}`)
      return { record, finish: { ...ended, status: "failed", errorText } as const }
    }
    if (random.chance(0.0005)) return { record, finish: { ...ended, status: "in_doubt", settleSeq: null } as const }
    const resultJson = found !== undefined && isFound ? `{"reference":"${found}","response":${result}}` : result
    return { record, finish: { ...ended, status: "completed", resultJson } as const }
  })

  const last = calls.at(-1)!
  const askedAt = last.record.startedAt + 1
  const endedAt = createdAt + worked + waited
  const question = asks && {
    record: {
      id: uuid(random, askedAt) as ExecutionInteractionId,
      executionId: id,
      scopeId,
      toolCallId: last.record.id,
      kind: "approval",
      purpose: "tool_approval",
      payloadJson: `{"kind":"approval","message":"Allow ${last.record.toolPath}?","toolPath":"${last.record.toolPath}"}`
    } as const,
    at: askedAt,
    answer: isOpen
      ? undefined
      : {
          resolution:
            status === "cancelled"
              ? ({ status: "cancelled", responseJson: null, resolvedBy: null } as const)
              : ({ status: "resolved", responseJson: '{"action":"accept"}', resolvedBy: random.pick(people) } as const),
          at: askedAt + waited
        }
  }
  const logs = `[{"level":"log","message":"${writing.prose(40)}","at":${endedAt}}]`
  const failed = last.finish?.status === "failed" && last.finish.errorText
  const ended: UpdateExecution = {
    status,
    resultJson: status === "completed" ? `{"ok":true,"rows":${random.below(99)},"note":"${writing.prose(30)}"}` : null,
    errorText:
      status === "failed"
        ? failed || failure("TypeError", `Cannot read properties of undefined (reading '${writing.prose(6)}')`)
        : status === "cancelled"
          ? failure("Cancelled", `Cancelled by ${random.pick(people)}.`)
          : null,
    logsJson: random.chance(0.3) ? logs : null,
    completedAt: endedAt,
    durationMs: endedAt - createdAt
  }
  return {
    create: {
      id,
      scopeId,
      status: "running",
      code,
      triggerKind: kind,
      triggerMetaJson: metaJson,
      createdAt,
      startedAt: createdAt,
      seed: random.below(2 ** 31),
      owner: "0199c0de-0000-7000-8000-000000000001",
      parentExecutionId: null
    },
    calls,
    ...(question && { question }),
    end: isOpen ? { changes: { status }, at: askedAt } : { changes: ended, at: endedAt }
  }
}
