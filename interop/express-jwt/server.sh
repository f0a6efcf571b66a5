# express-oauth2-jwt-bearer 1.10.0 before the TypeScript SDK 1.32.2's streamable HTTP transport, trusting our issuer
url=http://127.0.0.1:9350/mcp
install() { npm express-oauth2-jwt-bearer@1.10.0 express@5.3.0 @modelcontextprotocol/sdk@1.32.2 zod@4; }
serve() {
	cp interop/express-jwt/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	NODE_ENV=production node "$work/npm/server.mjs"
}
