/**
 * The guest's prelude: the JavaScript that runs in a fresh sandbox before any submitted code, put together from its parts.
 *
 * It is text rather than a module because it runs in QuickJS, not here: whatever a bundler or a test runner does to
 * modules must not reach it.
 */
import { encodeText } from "./encode.ts"
import { globalsText } from "./globals.ts"
import { programText } from "./program.ts"

/** An expression: a function from the host's functions to `{ run, deliver, rejected, finish }`. */
export const preludeText = `(host) => {"use strict";\n${encodeText}\n${programText}\n${globalsText}\nreturn { run, deliver, rejected, finish } }`
