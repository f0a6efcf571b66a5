# The server of typescript-v2 with jose's defaults: a key set is asked for again after 30 s at the earliest
url=http://127.0.0.1:9330/mcp
install() { work=$cache/typescript-v2; npm @modelcontextprotocol/server@2.4.0 @modelcontextprotocol/express@2.0.2 @modelcontextprotocol/node@2.1.2 express jose; }
serve() {
	cp interop/typescript-v2/server.mjs "$cache/typescript-v2/npm/server.mjs"
	node "$cache/typescript-v2/npm/server.mjs" default-keys
}
