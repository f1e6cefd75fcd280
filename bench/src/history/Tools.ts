/**
 * The tools that generated executions call, with arguments and results that look like those of real services.
 */
import type { Random } from "./Random.ts"

type Kind = "list" | "get" | "change"

/** A tool. */
export interface GeneratedTool {
  readonly path: string
  readonly kind: Kind
}

const operations: { readonly [namespace: string]: string } = {
  github:
    "issues.list issues.create issues.get issues.update pulls.list pulls.get pulls.merge repos.get repos.search comments.create commits.list actions.list",
  slack: "messages.send channels.list channels.get users.list users.get messages.search reactions.create",
  linear: "issues.list issues.create issues.update issues.get projects.list teams.list cycles.get",
  postgres: "query tables.list tables.get explain",
  stripe:
    "customers.list customers.get invoices.list invoices.create invoices.get refunds.create charges.search balance.get",
  gmail: "messages.list messages.get messages.send drafts.create threads.get labels.list",
  calendar: "events.list events.create events.update events.get freebusy.get",
  notion: "pages.get pages.create pages.update databases.list databases.search blocks.get",
  sentry: "issues.list issues.get issues.update events.list projects.list",
  jira: "issues.search issues.get issues.create issues.update boards.list sprints.get",
  filesystem: "read write list search stat move",
  weather: "forecast.get alerts.list stations.search current.get"
}

const kindOf = (operation: string): Kind =>
  /list|search|query/.test(operation) ? "list" : /get|read|stat|explain/.test(operation) ? "get" : "change"

/** About 80 tools, those of the namespaces in turn: the first are called most. */
export const tools: ReadonlyArray<GeneratedTool> = Object.entries(operations)
  .flatMap(([namespace, text]) =>
    text.split(" ").map((operation, rank) => ({
      rank,
      tool: { path: `${namespace}.${operation}`, kind: kindOf(operation) }
    }))
  )
  .toSorted((left, right) => left.rank - right.rank)
  .map(({ tool }) => tool)

const words =
  "account active after agent alert archive assigned backup balance batch billing branch build cache cancel change channel check client close cluster commit config confirm contract customer daily dashboard database debug default deliver deploy design detail disk document draft duplicate email endpoint error event export failed feature field filter folder gateway group header history import index inventory invoice issue item job key label latency ledger limit list login market memory merge message meeting metric migrate missing mobile module monitor network notice order owner package page parse partner payment pending pipeline plan policy price process product profile project provider pull quarter query queue quota record refund region release remote report request reset resolve response restart result retry review role rollout route sample schedule schema search secret section server service session setting shipment signal snapshot source staging status storage stream summary support sync table target task team template tenant ticket timeout token tracker traffic transfer trigger update upload usage user validate vendor version warehouse webhook worker".split(
    " "
  )

/** The people of the history. */
export const people = "ada.byron grace.h lin.w marie.c noor.k omar.d priya.s ruth.b sven.l tomas.r uma.p yuki.t".split(
  " "
)

/** Text and JSON of one generator. */
export interface Writing {
  /** Words of about this many characters in all. */
  readonly prose: (characters: number) => string
  readonly args: (tool: GeneratedTool) => string
  readonly result: (tool: GeneratedTool, at: number) => string
}

/** So many pieces of prose are made at first, and put together later. */
const pieces = 4096

export const makeWriting = (random: Random): Writing => {
  const fragments = Array.from({ length: pieces }, () =>
    Array.from({ length: 3 + random.below(5) }, () => random.pick(words)).join(" ")
  )
  const prose = (characters: number) => {
    let text = random.pick(fragments)
    while (text.length < characters) text += ` ${random.pick(fragments)}`
    return text
  }
  const number = () => random.below(90_000) + 1000
  const entry = (at: number) =>
    `{"id":"${random.hex(12)}","number":${number()},"title":"${random.pick(fragments)}","state":"${random.pick(states)}","updatedAt":${at - random.below(9_000_000)}}`

  const args = ({ kind, path }: GeneratedTool) => {
    if (kind === "list") {
      return `{"query":"${random.pick(words)} ${random.pick(words)}","state":"${random.pick(states)}","limit":${10 * (1 + random.below(5))}}`
    }
    if (kind === "get") return `{"id":"${random.hex(12)}","project":"${random.pick(words)}-${random.below(40)}"}`
    const body = prose(Math.min(1800, random.logNormal(90, 0.9)))
    return `{"project":"${path.slice(0, 4)}-${random.below(40)}","title":"${random.pick(fragments)}","body":"${body}","assignee":"${random.pick(people)}"}`
  }

  const result = ({ kind, path }: GeneratedTool, at: number) => {
    if (kind === "list") {
      const count = Math.min(13, Math.floor(random.logNormal(2.5, 0.8)))
      const items = Array.from({ length: count }, () => entry(at)).join(",")
      return `{"items":[${items}],"total":${number()},"cursor":"${random.hex(16)}"}`
    }
    if (kind === "get") {
      const body = prose(Math.min(1800, random.logNormal(180, 0.9)))
      return `{"id":"${random.hex(12)}","author":"${random.pick(people)}","state":"${random.pick(states)}","body":"${body}","updatedAt":${at}}`
    }
    return `{"id":"${random.hex(12)}","url":"https://${path.split(".")[0]}.example.com/${random.hex(8)}","createdAt":${at}}`
  }
  return { prose, args, result }
}

const states = ["open", "closed", "active", "archived"]
