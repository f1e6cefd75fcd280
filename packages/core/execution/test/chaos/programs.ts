/**
 * Programs that are killed at each of their steps. Their results do not depend on which of several calls is quicker.
 */

/** By what they try. */
export const programs: { readonly [name: string]: string } = {
  sequential: `
    let n = 1
    for (let i = 0; i < 3; i++) n = (await tools.t.write({ n })).write + 1
    return n`,
  concurrent: `
    const all = await Promise.all([1, 2, 3].map((n) => tools.t.write({ n })))
    return [all, Math.random() < 1]`,
  dependent: `
    const [a, b] = await Promise.all([tools.t.read({ n: 1 }), tools.t.put({ n: 2 })])
    const c = await tools.t.keyed({ n: a.read + b.put })
    return [a, b, c, await tools.t.write({ n: c.keyed })]`,
  racing: `
    const first = await Promise.race([tools.t.keyed({ n: 1 }), tools.t.slow({ n: 2 })])
    return [first, await tools.t.write({ n: 3 })]`,
  retried: `
    const retry = async (n) => {
      for (let attempt = 0; ; attempt++) {
        try { return await tools.t.flaky({ n, fails: attempt < 2 }) } catch (error) { if (attempt > 3) throw error }
      }
    }
    return [await retry(1), await tools.t.write({ n: 2 })]`,
  approved: `
    const before = await tools.t.write({ n: 1 })
    const asked = await Promise.all([tools.t.guarded({ n: 2 }), tools.t.guarded({ n: 3 })])
    return [before, asked, await tools.t.guarded({ n: 4 })]`,
  thrown: `
    await tools.t.write({ n: 1 })
    const caught = await tools.t.flaky({ n: 2, fails: true }).catch((error) => error.name + error.message)
    await tools.t.put({ n: 3 })
    throw new TypeError("ends with " + caught)`,
  timed: `
    await new Promise((resolve) => setTimeout(resolve, 5))
    const { write } = await tools.t.write({ n: 1 })
    await new Promise((resolve) => setTimeout(resolve, 5))
    return write`,
  lost: `
    const both = await Promise.all([tools.t.lost({ n: 1 }), tools.t.lost({ n: 2 })])
    return [both, await tools.t.lost({ n: 4 }), await tools.t.write({ n: 3 })]`,
  unawaited: `
    void tools.t.put({ n: 1 })
    const [a] = await Promise.all([tools.t.write({ n: 2 }), tools.t.keyed({ n: 3 })])
    console.log("logged", a)
    return a`,
  forgotten: `
    async function main() {
      for (let n = 0; n < 3; n++) await tools.t.write({ n })
      await new Promise((resolve) => setTimeout(resolve, 5))
      console.log("wrote", await tools.t.put({ n: 3 }))
    }
    main()`
}

/** By what they try: code that comes to its end, and the code of a fork of it, which is what is killed. */
export const forks: { readonly [name: string]: { readonly code: string; readonly fork: string } } = {
  corrected: {
    code: `
      const both = await Promise.all([tools.t.write({ n: 1 }), tools.t.keyed({ n: 2 })])
      await tools.t.put({ n: 3 })
      await tools.t.flaky({ n: 4, fails: true })`,
    fork: `
      const both = await Promise.all([tools.t.write({ n: 1 }), tools.t.keyed({ n: 2 })])
      await tools.t.put({ n: 3 })
      const asked = await tools.t.guarded({ n: 4 })
      return [both, asked, await tools.t.write({ n: 5 })]`
  },
  failingAgain: {
    code: `return await Promise.all([tools.t.flaky({ n: 1, fails: true }), tools.t.write({ n: 2 }), tools.t.write({ n: 3 })])`,
    fork: `return await Promise.all([tools.t.flaky({ n: 1, fails: true }), tools.t.write({ n: 2 }), tools.t.write({ n: 3 })])`
  }
}
