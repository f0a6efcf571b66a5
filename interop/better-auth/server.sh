# better-auth 1.7.5 with @better-auth/mcp 1.7.5 (its OAuth provider), before the TypeScript SDK 1.32.2's transport
url=http://127.0.0.1:9380/mcp
install() {
	# The peers of these two packages name one version exactly, and each other's; npm refuses to choose.
	npm --legacy-peer-deps better-auth@1.7.5 @better-auth/mcp@1.7.5 @better-auth/oauth-provider@1.7.5 @better-auth/utils@0.4.2 \
		@better-fetch/fetch@1.3.2 better-call@1.4.0 @modelcontextprotocol/sdk@1.32.2 express@5.3.0 zod@4
}
serve() {
	cp interop/better-auth/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	NODE_ENV=production node "$work/npm/server.mjs"
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1
