# mcp-framework 0.2.22 (npm): its OAuth provider, which verifies JWTs by the key set of our issuer
url=http://127.0.0.1:9540/mcp
install() { npm mcp-framework@0.2.22 @modelcontextprotocol/sdk@1.32.2 zod@3.25.76; }
serve() {
	mkdir -p "$work/npm/dist/tools" # where the framework looks for tools
	cp interop/mcp-framework/server.mjs "$work/npm/dist/index.js"
	cp interop/mcp-framework/whoami.mjs "$work/npm/dist/tools/whoami.js"
	(cd "$work/npm" && exec node dist/index.js)
}
