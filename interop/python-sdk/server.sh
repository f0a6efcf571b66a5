# Python SDK 2.3.0: its bearer middleware in the style of the simple-auth example, asking about opaque tokens
arguments='--skip AS-*' # the authorization server is run by mcpauth
url=http://127.0.0.1:9340/mcp
install() { pip mcp==2.3.0; }
serve() {
	"$logs/mcpauth" serve idp --listen 127.0.0.1:9400 & # the authorization server that the metadata names
	"$venv/bin/python" interop/python-sdk/server.py
}
