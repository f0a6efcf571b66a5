#!/usr/bin/env bash
# Installs servers that others wrote, from their published packages, starts each on loopback, tests it, and compares with what
# is expected of it:  interop/run.sh [NAME...]   without a name all of them.
# Exit 0: as expected; 1: not; 75: nothing could be installed. INTEROP_CACHE keeps what was installed for the next time;
# with INTEROP_WRITE=1 each expected.yaml and unjudged.txt is written again (write.py), for its author to read, and INTEROP_REPORTS names a
# folder for the reports of which table.py makes the tables of docs/interop.md. INTEROP_RUNS=10 runs each
# server ten times in a row without a pause, and ten times while every core is kept busy, and compares the verdicts of these runs with one
# another instead; INTEROP_LOAD=idle leaves the second ten out.
set -u
cd "$(dirname "$0")/.."
cache=${INTEROP_CACHE:-$(mktemp -d)}
logs=$(mktemp -d)
server=

# ends what a server started, too: some of it needs long to end by itself, as a JVM that waits for connections does.
end() {
	kill -- "-$1" 2>/dev/null
	for _ in $(seq 40); do
		kill -0 -- "-$1" 2>/dev/null || return 0
		sleep 0.25
	done
	kill -KILL -- "-$1" 2>/dev/null
}

cleanup() {
	[ -z "$server" ] || end "$server"
	rm -rf "$logs"
	[ -n "${INTEROP_CACHE:-}" ] || rm -rf "$cache"
}
trap cleanup EXIT
go build -o "$logs/mcpauth" ./cmd/mcpauth || exit 1

# npm and pip install into the cache once; the first argument of each names the package and version.
npm() { mkdir -p "$work/npm" && (cd "$work/npm" && { [ -f package.json ] || echo '{"private":true,"type":"module"}' >package.json; } && command npm install --silent --no-audit --no-fund "$@"); }
pip() { { [ -x "$venv/bin/python" ] || python3 -m venv "$venv"; } && "$venv/bin/pip" install -q --disable-pip-version-check "$@"; }

# waits until something listens at the URL, for 20 seconds or the patience in seconds of the server's script.
listens() {
	for _ in $(seq $((${patience:-20} * 4))); do
		curl -s -o /dev/null --max-time 2 "$1" && return 0
		kill -0 "-$server" 2>/dev/null || return 1
		sleep 0.25
	done
	return 1
}

# start starts the server, and waits for it.
start() {
	set -m
	serve >"$logs/server" 2>&1 &
	server=$!
	set +m
	listens "$url" && return
	tail -5 "$logs/server" >&2
	echo "$name: did not start" >&2
	return 1
}

# verdicts are those of a report, a line each.
verdicts() { sed -nE 's/^\{"type":"result","id":"([A-Z0-9-]+)".*"wire":"([a-z]*)".*"verdict":"([A-Z_]+)".*/\1 \2 \3/p; t; s/^\{"type":"result","id":"([A-Z0-9-]+)".*"verdict":"([A-Z_]+)".*/\1 - \2/p' "$1" | LC_ALL=C sort; }

# reasons are those of the verdicts that differ.
reasons() { sed -nE 's/^> ([A-Z0-9-]+) .*/\1/p' "$logs/differs" | sort -u | while read -r id; do grep "^{\"type\":\"result\",\"id\":\"$id\"" "$logs/verdicts" | sed -nE 's/.*"id":"([A-Z0-9-]+)".*"reason":"(([^"\\]|\\.)*)".*/    \1: \2/p' | cut -c1-400; done >&2; }

# steady tests a server INTEROP_RUNS times in a row, idle and with every core busy. It shows each verdict that differs from the first run.
# A server that a run puts out of order has breaks=1 in its script, and is started again for each run.
steady() {
	busy=
	trap 'kill $busy 2>/dev/null; end "$server"' EXIT
	differ=0
	for load in ${INTEROP_LOAD:-idle busy}; do
		[ "$load" = idle ] || for _ in $(seq "$(nproc)"); do
			(while :; do :; done) &
			busy="$busy $!"
		done
		began=$SECONDS
		for run in $(seq "$INTEROP_RUNS"); do
			[ -z "${breaks:-}" ] || { end "$server"; start || return 1; }
			"$logs/mcpauth" run -q -c "$folder/target.yaml" --fail-on none --patience 1s --report ndjson="$logs/verdicts" ${arguments:-} ${INTEROP_ARGS:-} || [ $? -eq 3 ] || return 1
			[ -z "${INTEROP_REPORTS:-}" ] || cp "$logs/verdicts" "$INTEROP_REPORTS/$name-$load-$run.ndjson"
			verdicts "$logs/verdicts" >"$logs/now"
			[ -f "$logs/first-$name" ] || cp "$logs/now" "$logs/first-$name"
			diff "$logs/first-$name" "$logs/now" >"$logs/differs" || { differ=$((differ + $(grep -c '^>' "$logs/differs"))); sed "s/^/$name, $load, run $run: /" "$logs/differs" >&2; reasons; }
		done
		echo "$name, $load: $INTEROP_RUNS runs of $(wc -l <"$logs/first-$name") verdicts in $((SECONDS - began)) s" >&2
	done
	[ -z "$busy" ] || kill $busy
	[ "$differ" -eq 0 ]
}

one() (
	name=$1
	folder=interop/$name
	[ -f "$folder/server.sh" ] || { echo "unknown server $name; there are: $(ls interop/*/server.sh | sed 's|interop/||; s|/server.sh||' | tr '\n' ' ')" >&2; exit 2; }
	work=$cache/$name venv=$cache/$name/venv modules=$cache/$name/npm/node_modules
	mkdir -p "$work"
	. "./$folder/server.sh"
	if ! install >"$logs/install" 2>&1; then
		tail -3 "$logs/install" >&2
		echo "$name: could not be installed; nothing was tested" >&2
		exit 75
	fi
	if command -v test_it >/dev/null; then # a server that tests us
		test_it
		exit
	fi
	trap '[ -z "$server" ] || end "$server"; wait "$server" 2>/dev/null' EXIT
	start || exit 1
	if [ -n "${INTEROP_RUNS:-}" ]; then
		steady
		exit
	fi
	if [ -n "${INTEROP_WRITE:-}" ]; then
		"$logs/mcpauth" run -c "$folder/target.yaml" --fail-on none --patience 1s --report ndjson="$logs/verdicts" ${arguments:-} ${INTEROP_ARGS:-}
		case $? in 0 | 3) ;; *) exit 1 ;; esac
		[ -z "${INTEROP_REPORTS:-}" ] || cp "$logs/verdicts" "$INTEROP_REPORTS/$name.ndjson"
		python3 interop/write.py "$folder" "$logs/verdicts"
		exit
	fi
	"$logs/mcpauth" run -c "$folder/target.yaml" --baseline "$folder/expected.yaml" --fail-on practice --patience 1s --report ndjson="$logs/verdicts" \
		${arguments:-} ${INTEROP_ARGS:-}
	code=$?
	[ "$code" -eq 0 ] || [ "$code" -eq 3 ] || exit 1
	# A file of its own has every other verdict but PASS, each with why; the verdicts are compared, not the words.
	sed -nE 's/.*"id":"([A-Z0-9-]+)".*"verdict":"(INCONCLUSIVE|NOT_APPLICABLE|NOT_TESTED|REVIEW|FLAKY|ERROR)"(,"reason":"(([^"\\]|\\.)*)")?.*/\2 \1/p' "$logs/verdicts" | LC_ALL=C sort -u >"$logs/unjudged"
	diff <(cut -d' ' -f1,2 "$folder/unjudged.txt" | sort -u) <(cut -d' ' -f1,2 "$logs/unjudged" | sort -u) >&2
)

status=0
[ $# -gt 0 ] || set -- $(ls interop/*/server.sh | sed 's|interop/||; s|/server.sh||')
for name in "$@"; do
	echo "== $name" >&2
	one "$name"
	case $? in
	0) echo "$name: as expected" ;;
	75) echo "$name: not installed"; [ "$status" -ne 0 ] || status=75 ;;
	2) exit 2 ;;
	*) echo "$name: NOT as expected"; status=1 ;;
	esac
done
exit $status
