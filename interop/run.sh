#!/bin/sh
# Installs a server that others wrote, starts it on loopback, tests it, and compares with what is expected of it:
# interop/run.sh fastmcp-jwt | fastmcp-static | fastmcp-secret
set -eu
cd "$(dirname "$0")/.."
case "$1" in
fastmcp-*) shape=${1#fastmcp-} ;;
*) echo "unknown server $1; known are fastmcp-jwt, fastmcp-static, fastmcp-secret" >&2; exit 2 ;;
esac
work=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
pid=
if ! (python3 -m venv "$work/v" && "$work/v/bin/pip" install -q fastmcp==4.1.2) >"$work/install.log" 2>&1; then
	tail -3 "$work/install.log" >&2
	echo "fastmcp could not be installed: nothing was tested" >&2
	exit 3
fi
go build -o "$work/mcpauth" ./cmd/mcpauth
"$work/v/bin/python" interop/fastmcp/server.py "$shape" 8900 >"$work/server.log" 2>&1 &
pid=$!
for _ in $(seq 60); do
	if curl -s -o /dev/null http://127.0.0.1:8900/mcp; then break; fi
	sleep 0.5
done
ALICE_TOKEN=dev-token-of-alice-0123456789 BOB_TOKEN=dev-token-of-bob-01234567890 SHARED_SECRET='a-shared-secret-of-32-characters!' \
	"$work/mcpauth" run -c "interop/fastmcp/$shape.yaml" --baseline "interop/fastmcp/$shape.expected.yaml" --fail-on practice --patience 1s
