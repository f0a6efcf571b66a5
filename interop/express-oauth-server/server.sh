# @node-oauth/express-oauth-server 4.2.0 (@node-oauth/oauth2-server 5.3.0) with clients registered by hand, guard of the TypeScript
# SDK 1.32.2's transport
url=http://127.0.0.1:9410/mcp
install() { npm @node-oauth/express-oauth-server@4.2.0 @modelcontextprotocol/sdk@1.32.2 express@5.3.0 zod@4; }
serve() {
	cp interop/express-oauth-server/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	NODE_ENV=production node "$work/npm/server.mjs"
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1 CLIENT_SECRET=a-secret-of-the-third-client
