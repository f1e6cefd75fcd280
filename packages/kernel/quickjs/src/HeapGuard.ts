/**
 * Notices that a sandbox ran out of its heap, even when the program catches the error and goes on.
 *
 * The engine reports a failed allocation as an ordinary exception, and nothing remains of it once it is caught. But the engine
 * allocates through three functions in the module's table. They are replaced there by functions that call them and
 * note in a global when one returns nothing. The replacements are WebAssembly too, so an allocation costs no more than
 * one call. They are the following module, written out by hand, as it is too small to bring an assembler for:
 *
 * ```wat
 * (module
 *   (type $two (func (param i32 i32) (result i32)))
 *   (type $three (func (param i32 i32 i32) (result i32)))
 *   (import "engine" "malloc" (func $malloc (type $two)))
 *   (import "engine" "calloc" (func $calloc (type $three)))
 *   (import "engine" "realloc" (func $realloc (type $three)))
 *   (global $failed (export "failed") (mut i32) (i32.const 0))
 *   (func (export "malloc") (type $two) (local i32)
 *     local.get 0  local.get 1  call $malloc
 *     local.tee 2  i32.eqz  if  i32.const 1  global.set $failed  end
 *     local.get 2)
 *   ;; calloc and realloc likewise
 * )
 * ```
 *
 * Where the three functions are is not documented. If they are not found, there is no guard: the limit holds all the same, and a
 * program that does not catch the error still ends with it.
 */

const i32 = 0x7f

/** A number as WebAssembly writes lengths: seven bits a byte, the lowest first. */
const length = (n: number): ReadonlyArray<number> => (n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...length(n >>> 7)])

const vector = (items: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => [
  ...length(items.length),
  ...items.flat()
]

const section = (id: number, content: ReadonlyArray<number>): ReadonlyArray<number> => [
  id,
  ...length(content.length),
  ...content
]

const name = (text: string): ReadonlyArray<number> => [text.length, ...new TextEncoder().encode(text)]

const importFunction = (field: string, type: number): ReadonlyArray<number> => [
  ...name("engine"),
  ...name(field),
  0x00,
  type
]

const wrapper = (callee: number, parameters: number): ReadonlyArray<number> => {
  const loads = Array.from({ length: parameters }, (_, index) => [0x20, index]).flat()
  const note = [0x22, parameters, 0x45, 0x04, 0x40, 0x41, 1, 0x24, 0, 0x0b]
  const body = [1, 1, i32, ...loads, 0x10, callee, ...note, 0x20, parameters, 0x0b]
  return [...length(body.length), ...body]
}

/** "\0asm", version 1. */
const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

const moduleBytes = (): Uint8Array<ArrayBuffer> =>
  new Uint8Array([
    ...header,
    ...section(
      1,
      vector([
        [0x60, 2, i32, i32, 1, i32],
        [0x60, 3, i32, i32, i32, 1, i32]
      ])
    ),
    ...section(2, vector([importFunction("malloc", 0), importFunction("calloc", 1), importFunction("realloc", 1)])),
    ...section(3, vector([[0], [1], [1]])),
    ...section(6, vector([[i32, 1, 0x41, 0, 0x0b]])),
    ...section(
      7,
      vector([
        [...name("malloc"), 0, 3],
        [...name("calloc"), 0, 4],
        [...name("realloc"), 0, 5],
        [...name("failed"), 3, 0]
      ])
    ),
    ...section(10, vector([wrapper(0, 2), wrapper(1, 3), wrapper(2, 3)]))
  ])

let compiled: WebAssembly.Module | undefined

/** The guard of one instance. */
export interface HeapGuard {
  /** Whether an allocation failed since the last {@link HeapGuard.reset}. */
  readonly failed: () => boolean
  readonly reset: () => void
}

/** Puts a guard into an instance, given its exports; `undefined` if it is not built as expected. */
export const install = (exports: object): HeapGuard | undefined => {
  const memory: unknown = Reflect.get(exports, "memory")
  const table: unknown = Reflect.get(exports, "__indirect_function_table")
  const runtime: unknown = Reflect.get(exports, "qjs_get_runtime_ptr")
  if (
    !(memory instanceof WebAssembly.Memory) ||
    !(table instanceof WebAssembly.Table) ||
    typeof runtime !== "function"
  ) {
    return undefined
  }
  // The runtime starts with its allocation functions: calloc, malloc, free, realloc.
  const [calloc, malloc, free, realloc] = new Uint32Array(memory.buffer, Number(runtime()), 4)
  const arity = (index: number | undefined): number => {
    if (index === undefined || index >= table.length) return -1
    const entry: unknown = table.get(index)
    return typeof entry === "function" ? entry.length : -1
  }
  if (arity(calloc) !== 3 || arity(malloc) !== 2 || arity(free) !== 2 || arity(realloc) !== 3) return undefined
  if (calloc === undefined || malloc === undefined || realloc === undefined) return undefined
  compiled ??= new WebAssembly.Module(moduleBytes())
  const guard = new WebAssembly.Instance(compiled, {
    engine: { calloc: table.get(calloc), malloc: table.get(malloc), realloc: table.get(realloc) }
  }).exports
  const failed = guard["failed"]
  if (!(failed instanceof WebAssembly.Global)) return undefined
  table.set(calloc, guard["calloc"])
  table.set(malloc, guard["malloc"])
  table.set(realloc, guard["realloc"])
  return {
    failed: () => failed.value !== 0,
    reset: () => {
      failed.value = 0
    }
  }
}
