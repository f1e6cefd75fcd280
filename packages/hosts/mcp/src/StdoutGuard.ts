/**
 * Keeps standard output for the protocol.
 *
 * A client reads one JSON-RPC message per line from there, and a stray line breaks the connection or is taken for a
 * message. While the guard is held, only its stream reaches standard output; `console.log` and everything else that
 * writes there goes to standard error, where a person can still read it.
 */
import { Effect } from "effect"
import process from "node:process"
import { Writable } from "node:stream"

/** Takes standard output for the life of the scope, and gives the stream that still reaches it. */
export const acquire = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const { stdout, stderr } = process
      const write = stdout.write
      const toStdout = write.bind(stdout)
      const protocol = new Writable({
        decodeStrings: false,
        write: (chunk: string | Uint8Array, _encoding, callback) => {
          toStdout(chunk, callback)
        }
      })
      // A client that hangs up makes a late write fail. The transport learns it from `protocol`; nothing else is to do.
      const ignoreError = () => {}
      protocol.on("error", ignoreError)
      stdout.on("error", ignoreError)
      stdout.write = stderr.write.bind(stderr)
      return { protocol, restore: () => (stdout.write = write) }
    }),
    ({ restore }) => Effect.sync(restore)
  ),
  ({ protocol }) => protocol
)
