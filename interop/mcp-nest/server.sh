# @rekog/mcp-nest 1.9.11 (npm): its built-in authorization server, an OAuth proxy, before an upstream run by mcpauth
url=http://127.0.0.1:9520/mcp
install() {
	npm --legacy-peer-deps @rekog/mcp-nest@1.9.11 @modelcontextprotocol/sdk@1.32.2 @nestjs/common@11.2.10 @nestjs/core@11.2.10 \
		@nestjs/platform-express@11.2.10 @nestjs/jwt@11.0.2 @nestjs/passport@11.0.5 passport@0.7.0 passport-oauth2@1.8.0 cookie-parser@1.4.7 \
		reflect-metadata@0.2.2 rxjs@7.8.2 zod@4.6.7
}
serve() {
	cp interop/mcp-nest/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	node "$work/npm/server.mjs"
}
export ALICE_PASSWORD=alice-7-looking-glass BOB_PASSWORD=bob-4-rabbit-hole UPSTREAM_SECRET=the-secret-of-the-mcp-server
