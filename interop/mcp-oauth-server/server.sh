# mcp-oauth-server 1.0.0 (npm) with login and consent pages of a plain program, its guard before the TypeScript SDK 1.32.2's transport
url=http://127.0.0.1:9470/mcp
install() { npm mcp-oauth-server@1.0.0 express@5.3.0 @modelcontextprotocol/sdk@1.32.2 zod@4.6.7; }
serve() {
	cp interop/mcp-oauth-server/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	NODE_ENV=production node "$work/npm/server.mjs"
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1
