package main_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
)

// With a seed, two runs against the reference server give the same report except for times: those of the run, those in answers and tokens,
// and values computed from them (hashes and signatures of texts with a time, and remaining times of a window).
func TestASeedMakesTheReportRepeat(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("two runs in which one request follows another")
	}
	path := filepath.Join(t.TempDir(), "r.json")
	only, least := "AS-PKCE-*,RS-DISC-*", 300
	if whole.All(t) {
		only, least = "*", 5_000
	}
	report := func(seed string) (out map[string]any, taken bool) {
		code, _, stderr := mcpauthProcess(t, nil, "demo", "--login", "form", "--seed", seed, "-q", "--evidence", "all", "--report", "json="+path,
			"--only", only)
		if code == reports.ExitToolFailed && strings.Contains(stderr, "take another seed") {
			return nil, true
		}
		require.Equal(t, 0, code, "%s", stderr)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &out))
		return timeless(out).(map[string]any), false
	}
	seed := 7
	first, taken := report(strconv.Itoa(seed))
	for ; taken && seed < 30; first, taken = report(strconv.Itoa(seed)) { // another program uses its ports
		seed++
	}
	require.False(t, taken, "the ports of every tried seed are in use")
	second, taken := report(strconv.Itoa(seed))
	require.False(t, taken)
	require.Greater(t, len(first["exchanges"].([]any)), least)
	for name := range first {
		assertEqualItems(t, name, first[name], second[name])
	}
}

func TestASeedIsForTheOwnNetwork(t *testing.T) {
	t.Parallel()
	code, _, stderr := mcpauthProcess(t, nil, "run", "https://mcp.example.com/mcp", "--seed", "7")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "a seed makes states, verifiers and keys predictable")
}

func TestASeedWhosePortsAreTaken(t *testing.T) {
	t.Parallel()
	seed, l := 0, net.Listener(nil)
	for l == nil {
		seed = 100 + rand.IntN(900)
		l, _ = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+10*seed+1)) // the first port of its demo
	}
	defer l.Close()
	code, _, stderr := mcpauthProcess(t, nil, "demo", "--seed", strconv.Itoa(seed), "-q")
	assert.Equal(t, 4, code)
	assert.Contains(t, stderr, "take another seed")
}

// assertEqualItems shows only the first different item.
func assertEqualItems(t *testing.T, name string, a, b any) {
	t.Helper()
	x, ok := a.([]any)
	y, _ := b.([]any)
	if !ok {
		assert.Equal(t, a, b, name)
		return
	}
	require.Len(t, y, len(x), name)
	for i := range x {
		require.Equal(t, x[i], y[i], "%s: the runs differ in item %d", name, i)
	}
}

var times = []struct {
	form *regexp.Regexp
	mask string
}{
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`), "‹date›"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "‹date›"},
	{regexp.MustCompile(`\b[12]\d{9}(\d{3})?\b`), "‹time›"}, // seconds or milliseconds since 1970
	{regexp.MustCompile(`\br=\d+;t=\d+`), "‹window›"},
	{regexp.MustCompile(`("ath":")[^"]+`), "$1‹hash of a token›"},
	{regexp.MustCompile(`(?m)^(id: [\w-]+-)\d+$`), "$1‹events so far›"}, // more where a stream ends a moment later
}

// signed matches the signature after a decoded segment with times.
var signed, segment, moment = regexp.MustCompile(`(\}\.)[A-Za-z0-9_-]+`), regexp.MustCompile(`[A-Za-z0-9_-]{16,}`),
	regexp.MustCompile(`[12]\d{9}`)

// timeless replaces times everywhere in a value.
func timeless(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if name == "started" || name == "duration_ms" {
				delete(v, name)
				continue
			}
			v[name] = timeless(member)
		}
	case []any:
		for i := range v {
			v[i] = timeless(v[i])
		}
	case string:
		return timelessText(v)
	}
	return v
}

func timelessText(s string) string {
	for _, r := range times {
		s = r.form.ReplaceAllString(s, r.mask)
	}
	s = segment.ReplaceAllStringFunc(s, func(segment string) string { // base64url, which may be nested
		b, err := base64.RawURLEncoding.DecodeString(segment)
		if text, bad := io.ReadAll(flate.NewReader(bytes.NewReader(b))); bad == nil && moment.Match(text) { // a token with zip
			b = text
		}
		if inner := timelessText(string(b)); err == nil && (moment.Match(b) || inner != string(b)) {
			return "{" + inner + "}"
		}
		return segment
	})
	return signed.ReplaceAllString(s, "$1‹signature›")
}
