# TypeScript SDK 1.32.2: the example server of typescript-v1, made to refuse unknown tokens and codes with 401 and 400 (refusing.mjs)
url=http://localhost:3300/mcp
install() { npm @modelcontextprotocol/sdk@1.32.2 express; }
serve() {
	MCP_PORT=3300 MCP_AUTH_PORT=3301 node --import ./interop/typescript-v1/unlimited.mjs --import ./interop/typescript-v1-401/refusing.mjs \
		"$modules/@modelcontextprotocol/sdk/dist/esm/examples/server/simpleStreamableHttp.js" --oauth
}
export PASSWORD=any-password
