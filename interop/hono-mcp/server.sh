# @hono/mcp 0.3.2: its bearerAuth, simpleMcpAuthRouter and streamable HTTP transport, trusting our issuer
url=http://127.0.0.1:9352/mcp
install() { npm @hono/mcp@0.3.2 hono@4.13.19 @hono/node-server@2.1.8 @modelcontextprotocol/sdk@1.32.2 hono-rate-limiter@0.5.4 zod@4 jose@6; }
serve() {
	cp interop/hono-mcp/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	node "$work/npm/server.mjs"
}
