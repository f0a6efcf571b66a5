# fastmcp 4.20.16 (npm): its OAuthProvider, an OAuth proxy, before an upstream run by mcpauth
url=http://127.0.0.1:9353/mcp
breaks=1 # the session id __proto__ puts it out of order
install() { npm fastmcp@4.20.16; }
serve() {
	cp interop/fastmcp-ts/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	node "$work/npm/server.mjs"
}
export ALICE_PASSWORD=alice-7-looking-glass BOB_PASSWORD=bob-4-rabbit-hole UPSTREAM_SECRET=the-secret-of-the-mcp-server
