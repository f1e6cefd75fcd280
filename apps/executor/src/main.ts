/**
 * The `executor` command: the terminal commands over everything that they run on.
 */
import { main } from "@executor/host-cli"
import { composition } from "./composition.ts"

main(composition)
