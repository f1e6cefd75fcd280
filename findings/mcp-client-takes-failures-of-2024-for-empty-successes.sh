#!/usr/bin/env bash
# @modelcontextprotocol/client 2.4.0 takes a failed call for one that succeeded with nothing, when the server answers in the way of
# October 2024: `{ "toolResult": { "content": [...], "isError": true } }`. In a result without `content` the client fills in `[]`, and
# nobody looks into `toolResult`, so neither the text nor `isError` is seen. @cloudflare/mcp-server-cloudflare 0.2.0, with 89 tools, answers so.
# A program that retries failed writes does not retry this one, and takes a list that could not be read for an empty one.
# So `toolResult` has to be looked for wherever `content` is empty.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund @modelcontextprotocol/client@2.4.0 @cloudflare/mcp-server-cloudflare@0.2.0
cat > look.mjs <<'JS'
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"

// The server speaks to a proxy that refuses, so that its call of Cloudflare fails on this machine.
const nowhere = "http://127.0.0.1:9"
const transport = new StdioClientTransport({
  command: "node_modules/.bin/mcp-server-cloudflare",
  args: ["run", "0123456789abcdef0123456789abcdef"],
  env: { PATH: process.env.PATH, CLOUDFLARE_API_TOKEN: "dummy", NODE_USE_ENV_PROXY: "1", HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere },
  stderr: "ignore"
})
const client = new Client({ name: "look", version: "1.0.0" })
await client.connect(transport)
let answer
const { onmessage } = transport
transport.onmessage = (message, ...rest) => {
  answer = message.result
  onmessage(message, ...rest)
}
const { content, isError } = await client.callTool({ name: "r2_list_buckets", arguments: {} })
await client.close()
console.log(`the server's result: ${JSON.stringify(answer)}`)
console.log(`the client's content: ${JSON.stringify(content)}, isError: ${isError}`)
const isAsSeen =
  answer.toolResult?.isError === true && answer.content === undefined && content?.length === 0 && isError === undefined
console.log(isAsSeen ? "as seen" : "CHANGED")
process.exitCode = isAsSeen ? 0 : 1
JS
node look.mjs
