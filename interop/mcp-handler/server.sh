# mcp-handler 2.4.0 (Vercel): withMcpAuth and protectedResourceHandler in a Hono app, trusting our issuer
url=http://127.0.0.1:9351/mcp
install() { npm mcp-handler@2.4.0 @modelcontextprotocol/server@2.4.0 hono@4.13.19 @hono/node-server@2.1.8 zod@4 jose@6; }
serve() {
	cp interop/mcp-handler/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	node "$work/npm/server.mjs"
}
