# @cloudflare/workers-oauth-provider 1.2.3 in workerd (miniflare 4.20260730.0): its authorization server and its resource server, the
# TypeScript SDK v2's handler behind them
url=http://127.0.0.1:9440/mcp
install() { npm @cloudflare/workers-oauth-provider@1.2.3 miniflare@4.20260730.0 @modelcontextprotocol/server@2.4.0 zod@4 esbuild@0.28.2; }
serve() {
	cp interop/workers-oauth-provider/*.mjs "$work/npm" # which find their packages beside themselves
	cd "$work/npm" && node_modules/.bin/esbuild worker.mjs --bundle --format=esm --conditions=workerd --external:cloudflare:* --log-level=error --outfile=worker.js && node server.mjs
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1
