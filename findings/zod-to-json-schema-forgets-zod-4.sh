#!/usr/bin/env bash
# zod-to-json-schema 3.25.2 takes zod 3 and zod 4 as peers (`^3.25.28 || ^4`), but knows the schemas of zod 3 only. For one of zod 4 it gives
# `{"$schema":"http://json-schema.org/draft-07/schema#"}`, without an error: no type, no properties, nothing required.
# MCP servers that use it, and name no version of zod themselves, so lost their schemas when npm began to install zod 4 for them, though
# nothing in them changed. @modelcontextprotocol/server-gitlab 2025.4.25 lists all nine tools so today.
# @modelcontextprotocol/client 2.4.0 demands `"type": "object"`, and refuses the whole list for it: all nine are gone.
# So a client that wants such servers has to read an absent type of an input schema as "any object", before the library looks at it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund \
  zod-to-json-schema@3.25.2 zod@4.6.7 zod-3@npm:zod@3.25.76 @modelcontextprotocol/client@2.4.0 @modelcontextprotocol/server-gitlab@2025.4.25
cat > look.mjs <<'JS'
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { z as three } from "zod-3"
import { z as four } from "zod"
import { zodToJsonSchema } from "zod-to-json-schema"

const schemaOf = (z) => JSON.stringify(zodToJsonSchema(z.object({ owner: z.string() })))
const seen = { three: schemaOf(three), four: schemaOf(four) }
console.log(`z.object({ owner: z.string() }) of zod 3: ${seen.three}`)
console.log(`z.object({ owner: z.string() }) of zod 4: ${seen.four}`)

const client = new Client({ name: "look", version: "1.0.0" })
await client.connect(
  new StdioClientTransport({
    command: "node_modules/.bin/mcp-server-gitlab",
    env: { PATH: process.env.PATH, GITLAB_PERSONAL_ACCESS_TOKEN: "dummy" },
    stderr: "ignore"
  })
)
const listed = await client.listTools().then(
  ({ tools }) => `${tools.length} tools`,
  (error) => `refused: ${error.message.replaceAll(/\s+/g, " ").slice(0, 140)}...`
)
await client.close()
console.log(`the MCP client's list of server-gitlab's tools: ${listed}`)

const isAsSeen =
  seen.three.includes('"required":["owner"]') &&
  seen.four === '{"$schema":"http://json-schema.org/draft-07/schema#"}' &&
  listed.startsWith("refused:") &&
  listed.includes("inputSchema")
console.log(isAsSeen ? "as seen" : "CHANGED")
process.exitCode = isAsSeen ? 0 : 1
JS
node look.mjs
