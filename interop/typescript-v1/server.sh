# TypeScript SDK 1.32.2: its example server with --oauth, its limits taken off (unlimited.mjs)
url=http://localhost:3300/mcp
install() { npm @modelcontextprotocol/sdk@1.32.2 express; }
serve() {
	MCP_PORT=3300 MCP_AUTH_PORT=3301 node --import ./interop/typescript-v1/unlimited.mjs "$modules/@modelcontextprotocol/sdk/dist/esm/examples/server/simpleStreamableHttp.js" --oauth
}
export PASSWORD=any-password
