/**
 * Durations, sizes and counts as people write them.
 */
import { formatDuration, parseCount, parseDuration, parseSize } from "@executor/host-cli"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"

type Parse = (text: string) => Result.Result<number, string>

const values = (parse: Parse, texts: ReadonlyArray<string>) =>
  texts.map((text) => Result.getOrElse(parse(text), () => "refused"))

const refused = (parse: Parse, texts: ReadonlyArray<string>) => texts.filter((text) => Result.isFailure(parse(text)))

describe("units", () => {
  it("reads durations", () => {
    const texts = ["500ms", "2s", "1.5s", "10m", "1h", "7D"]
    assert.deepStrictEqual(values(parseDuration, texts), [500, 2_000, 1_500, 600_000, 3_600_000, 604_800_000])
    const wrong = ["", "2", "s", "-2s", "0s", "2 weeks", "0.0001ms", "2s3s", "Infinitys", "1e3s"]
    assert.deepStrictEqual(refused(parseDuration, wrong), wrong)
  })

  it("reads sizes", () => {
    const texts = ["10b", "256kb", "64 MB", "0.5kb", "1gb"]
    assert.deepStrictEqual(values(parseSize, texts), [10, 262_144, 67_108_864, 512, 1_073_741_824])
    const wrong = ["", "64", "64mib", "-1mb", "0mb", "0.3b", "mb"]
    assert.deepStrictEqual(refused(parseSize, wrong), wrong)
  })

  it("reads counts", () => {
    assert.deepStrictEqual(values(parseCount, ["1", "10000"]), [1, 10_000])
    const wrong = ["", "0", "-1", "1.5", "1e3", "0x10", "99999999999999999999"]
    assert.deepStrictEqual(refused(parseCount, wrong), wrong)
  })

  it("writes durations", () => {
    const cases = {
      0: "0 ms",
      999: "999 ms",
      1_000: "1.0 s",
      59_949: "59.9 s",
      60_000: "1 min 0 s",
      125_000: "2 min 5 s",
      10_920_000: "3 h 2 min"
    }
    for (const [ms, text] of Object.entries(cases)) assert.strictEqual(formatDuration(Number(ms)), text)
  })
})
