# TypeScript SDK v2 (@modelcontextprotocol/server 2.4.0): middleware, metadata router and handler, trusting our issuer
url=http://127.0.0.1:9330/mcp
install() { npm @modelcontextprotocol/server@2.4.0 @modelcontextprotocol/express@2.0.2 @modelcontextprotocol/node@2.1.2 express jose; }
serve() {
	cp interop/typescript-v2/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	node "$work/npm/server.mjs"
}
