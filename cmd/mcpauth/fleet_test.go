package main_test

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/nameserver"
	"github.com/mcpauth/conformance/reports/fleet"
)

// few are fast checks.
const few = "RS-CHALLENGE-401-STATUS,RS-DISC-*"

func list(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "targets.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// done returns the results in a folder by the targets' URLs.
func done(t *testing.T, dir string) map[string]fleet.Done {
	t.Helper()
	out := map[string]fleet.Done{}
	_, err := fleet.Sum(dir, "", func(_ string, d *fleet.Done) error { out[d.Target] = *d; return nil })
	require.NoError(t, err)
	return out
}

func TestFleetOfURLsAndFiles(t *testing.T) {
	t.Parallel()
	good, bad, filed := start(t, nil), start(t, func(o *reference.Options) { o.Policy.Status = 403 }), start(t, nil)
	dead := "http://" + free(t) + "/mcp"
	file := targetFile(t, t.TempDir(), "filed", filed.URL)
	out := filepath.Join(t.TempDir(), "out")
	targets := list(t, "# four", good.URL, bad.URL, "HTTP"+good.URL[4:], dead, file)
	code, _, errs := mcpauth(t, "run", "--targets", targets, "--out", out, "--parallel", "2", "--only", few)
	require.Zero(t, code, errs)
	assert.Contains(t, errs, "4 targets done, 0 done before, 0 left")
	all := done(t, out)
	require.Len(t, all, 4, "the target that is listed twice is not counted once")
	assert.Equal(t, fleet.Unreachable, all[dead].State)
	assert.Contains(t, all[bad.URL].Verdicts["FAIL"], "RS-CHALLENGE-401-STATUS")
	assert.Empty(t, all[good.URL].Verdicts["FAIL"])
	assert.Equal(t, file, all[filed.URL].File)

	code, _, errs = mcpauth(t, "run", "--targets", targets, "--out", out, "--only", few, "--resume")
	require.Zero(t, code, errs)
	assert.Contains(t, errs, "0 targets done, 4 done before, 0 left")
	files, err := filepath.Glob(filepath.Join(out, "*", fleet.ResultsFile))
	require.NoError(t, err)
	require.NoError(t, os.Truncate(files[0], 10))
	code, _, errs = mcpauth(t, "run", "--targets", targets, "--out", out, "--only", few, "--resume")
	require.Zero(t, code, errs)
	assert.Contains(t, errs, "1 target done, 3 done before", "incomplete results are not replaced")
	code, _, errs = mcpauth(t, "run", "--targets", targets, "--out", out, "--only", few, "--resume", "--max-wait", "1s")
	require.Zero(t, code, errs)
	assert.Contains(t, errs, "4 targets done, 0 done before", "results of another configuration are reused")

	page := filepath.Join(t.TempDir(), "f.html")
	code, metrics, errs := mcpauth(t, "fleet", out, "--report", "html="+page, "--report", "openmetrics")
	require.Zero(t, code, errs)
	assert.Contains(t, metrics, `mcpauth_fleet_targets{state="unreachable"} 1`)
	assert.Contains(t, metrics, `mcpauth_fleet_verdicts{requirement="RS-CHALLENGE-401-STATUS",verdict="FAIL"} 1`)
	assert.True(t, strings.HasSuffix(metrics, "# EOF\n"))
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(b), bad.URL, "the bad target is not among the worst")
	code, lines, _ := mcpauth(t, "fleet", out, "--report", "ndjson", "--fail-on", "findings")
	assert.Equal(t, 1, code)
	assert.Equal(t, 4, strings.Count(lines, "\n"))
}

// With --resume a target is tested again if its target file, the recipe in that file, or a file in a flag has changed.
func TestResumeNoticesChangedFiles(t *testing.T) {
	t.Parallel()
	r, dir := start(t, nil), t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	authorities := start(t, func(o *reference.Options) { o.Host = "mcp.example.com" }).Authority
	target := "version: 1\ntarget: {url: \"" + r.URL + "\"}\nlogin: {recipe: recipe.yaml}\n"
	filed, recipe := file("target.yaml", target), file("recipe.yaml", wholeRecipeFile)
	flagged, authority := file("flag.yaml", wholeRecipeFile), file("ca.pem", string(authorities))
	targets, out := list(t, filed), filepath.Join(dir, "out")
	run := func(says string) {
		t.Helper()
		code, _, errs := mcpauth(t, "run", "--targets", targets, "--out", out, "--resume", "--only", "RS-CHALLENGE-401-STATUS",
			"--login-recipe", flagged, "--ca-file", authority)
		require.Zero(t, code, errs)
		assert.Contains(t, errs, says)
	}
	const tested, left = "1 target done, 0 done before", "0 targets done, 1 done before"
	run(tested)
	run(left)
	for _, path := range []string{filed, recipe, flagged, authority} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(b, '\n'), 0o600))
		run(tested)
		run(left)
	}
}

// wholeRecipeFile is a login recipe.
const wholeRecipeFile = "version: 1\npages: [{match: \"https://idp.example.com/login*\", steps: [{click: \"#go\"}]}]\n"

// After a signal, the targets in progress end, and no other starts. The results are complete, and --resume does the rest.
func TestFleetEndsAfterTheTargetsInFlight(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	held := start(t, func(o *reference.Options) {
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				select {
				case asked <- struct{}{}:
				default:
				}
				<-goOn
				h.ServeHTTP(w, req)
			})
		}
	})
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-goOn; http.NotFound(w, r) }))
	t.Cleanup(silent.Close)
	t.Cleanup(release)
	urls := []string{held.URL}
	for i := range 120 { // more than are surveyed before the signal arrives
		urls = append(urls, fmt.Sprintf("%s/%d", silent.URL, i))
	}
	targets, out := list(t, urls...), filepath.Join(t.TempDir(), "out")
	c := exec.Command(binary, "run", "--targets", targets, "--out", out, "--only", few, "--parallel", "1")
	says, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	go func() {
		<-asked
		_ = c.Process.Signal(syscall.SIGTERM)
	}()
	var errs strings.Builder
	for lines := bufio.NewScanner(says); lines.Scan(); {
		errs.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "tested to the end, and no more") {
			release() // not before the program has received the signal
		}
	}
	var ended *exec.ExitError
	require.ErrorAs(t, c.Wait(), &ended, errs.String())
	assert.Equal(t, 130, ended.ExitCode(), errs.String())
	first := done(t, out)
	assert.Equal(t, fleet.Tested, first[held.URL].State, errs.String())
	assert.Less(t, len(first), len(urls))
	code, _, again := mcpauth(t, "run", "-q", "--targets", targets, "--out", out, "--only", few, "--resume", "--parallel", "8")
	require.Zero(t, code, again)
	assert.Len(t, done(t, out), len(urls))
}

// Servers outside the user's network are scanned passively: they get no secret, and the list needs a contact.
func TestFleetBeyondTheOwnNetwork(t *testing.T) {
	t.Parallel()
	code, _, errs := mcpauth(t, "run", "--targets", list(t, "https://mcp.example.invalid/mcp"), "--out", t.TempDir())
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "--contact")
	var posts, asked atomic.Int64
	r := start(t, func(o *reference.Options) {
		o.Host = "mcp.example.com"
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if strings.Contains(req.UserAgent(), "+https://registry.example/about") {
					asked.Add(1)
				}
				if req.Method == http.MethodPost && req.URL.Path != "/mcp" {
					posts.Add(1) // registrations and token requests
				}
				h.ServeHTTP(w, req)
			})
		}
	})
	authority := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(authority, r.Authority, 0o600))
	out := t.TempDir()
	args := []string{"run", "-q", "--targets", list(t, r.URL, "https://other.example.com/mcp", "https://a.b.example.org/mcp"), "--out", out,
		"--ca-file", authority, "--i-am-authorized", "--contact", "https://registry.example/about",
		"--opt-out", list(t, "# asked us", "other.example.com", "*.example.org")}
	for from, to := range r.ConnectTo {
		args = append(args, "--connect-to", from+"="+to)
	}
	for _, secret := range []string{"--token-env=T", "--header-env=X-Gate=T", "--client-cert=client.pem"} {
		code, _, errs = mcpauthProcess(t, []string{"T=the-secret-of-somebody"}, append(args, secret)...)
		assert.Equal(t, 2, code)
		assert.Contains(t, errs, "would go to every server of the list")
	}
	assert.Zero(t, asked.Load(), "requests were sent although the flags are wrong")
	code, _, errs = mcpauth(t, args...)
	require.Zero(t, code, errs)
	all := done(t, out)
	require.Len(t, all, 1)
	assert.True(t, all[r.URL].Passive)
	assert.Equal(t, fleet.Tested, all[r.URL].State, all[r.URL].Why)
	assert.Contains(t, all[r.URL].Verdicts["PASS"], "RS-CHALLENGE-401-STATUS")
	assert.Contains(t, all[r.URL].Verdicts["NOT_TESTED"], "AS-TOKEN-UNKNOWN-CLIENT", "a check that sends a POST to the token endpoint ran")
	assert.Zero(t, posts.Load())
	assert.Positive(t, asked.Load())
}

// A URL in the user's network is tested as in a single run; --passive makes it passive too.
func TestPassiveFleetInTheOwnNetwork(t *testing.T) {
	t.Parallel()
	r, out := start(t, nil), t.TempDir()
	args := []string{"run", "-q", "--targets", list(t, r.URL), "--out", out, "--only", "AS-TOKEN-UNKNOWN-CLIENT"}
	code, _, errs := mcpauth(t, args...)
	require.Zero(t, code, errs)
	assert.Contains(t, done(t, out)[r.URL].Verdicts["PASS"], "AS-TOKEN-UNKNOWN-CLIENT")
	code, _, errs = mcpauth(t, append(args, "--passive", "--resume")...)
	require.Zero(t, code, errs)
	assert.Contains(t, done(t, out)[r.URL].Verdicts["NOT_TESTED"], "AS-TOKEN-UNKNOWN-CLIENT")
	assert.True(t, done(t, out)[r.URL].Passive)
}

// The exit status of a fleet says whether all targets were tested. A target with a wrong target file is reported, and tried again.
func TestFleetTellsTargetsThatCannotBeTested(t *testing.T) {
	t.Parallel()
	good := start(t, nil)
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\ntarget: {url: \""+good.URL+"\"}\nlimits: {intrusive: true}\n"), 0o600))
	out := t.TempDir()
	targets := list(t, file, good.URL)
	for range 2 {
		code, _, errs := mcpauth(t, "run", "--targets", targets, "--out", out, "--only", few, "--passive", "--resume")
		assert.Equal(t, 4, code, errs)
		assert.Contains(t, errs, "invalid: a passive run registers no client and is not intrusive")
		assert.Contains(t, errs, "not tested: 1 target, see above")
	}
	states := map[fleet.State]int{}
	_, err := fleet.Sum(out, "", func(_ string, d *fleet.Done) error { states[d.State]++; return nil })
	require.NoError(t, err)
	assert.Equal(t, map[fleet.State]int{fleet.Tested: 1, fleet.Invalid: 1}, states)
}

// Two files with the same name, for the same server, are two targets.
func TestFleetKeepsFilesOfOneNameApart(t *testing.T) {
	t.Parallel()
	r, dir, out := start(t, nil), t.TempDir(), t.TempDir()
	for _, sub := range []string{"a", "b"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
		targetFile(t, filepath.Join(dir, sub), "same", r.URL)
	}
	targets := filepath.Join(dir, "list")
	require.NoError(t, os.WriteFile(targets, []byte("a/same.yaml\nb/same.yaml\n./a/same.yaml\n"), 0o600))
	code, _, errs := mcpauth(t, "run", "--targets", targets, "--out", out, "--only", few)
	require.Zero(t, code, errs)
	assert.Contains(t, errs, "2 targets done")
}

// The parts of a list are disjoint, and together they are the list. A longer list moves no entry to another part.
func TestSplitsAreDisjointAndStable(t *testing.T) {
	t.Parallel()
	var urls []string
	for range 12 {
		urls = append(urls, "http://"+free(t)+"/mcp")
	}
	part := func(n int, split string, env ...string) []string {
		out := t.TempDir()
		code, _, errs := mcpauthProcess(t, env, "run", "-q", "--targets", list(t, urls[:n]...), "--out", out, "--only", few,
			"--split", split, "--parallel", "8")
		require.Zero(t, code, errs)
		if entries, err := os.ReadDir(out); err != nil || len(entries) == 0 {
			return nil
		}
		return slices.Sorted(maps.Keys(done(t, out)))
	}
	var all []string
	for i, env := range [][]string{
		{"JOB_COMPLETION_INDEX=0", "MCPAUTH_SPLIT_COUNT=3"},
		{"CI_NODE_INDEX=2", "CI_NODE_TOTAL=3"},
		{"MCPAUTH_JOB_INDEX=2", "MCPAUTH_JOB_TOTAL=3"}, // GitHub
		{"CIRCLE_NODE_INDEX=0", "CIRCLE_NODE_TOTAL=3"},
		{"BUILDKITE_PARALLEL_JOB=1", "BUILDKITE_PARALLEL_JOB_COUNT=3"},
	} {
		mine := part(12, fmt.Sprintf("%d/3", i%3+1))
		assert.Equal(t, mine, part(12, "auto", env...), env)
		shorter := part(6, "auto", env...)
		assert.Subset(t, mine, shorter)
		if i < 3 {
			all = append(all, mine...)
		}
	}
	assert.ElementsMatch(t, urls, all)
	for variable, env := range map[string]string{"MCPAUTH_SPLIT_COUNT": "JOB_COMPLETION_INDEX=0", "CIRCLE_NODE_TOTAL": "CIRCLE_NODE_INDEX=1",
		"BUILDKITE_PARALLEL_JOB_COUNT": "BUILDKITE_PARALLEL_JOB=0", "CI_NODE_TOTAL": "CI_NODE_INDEX=1",
		"MCPAUTH_JOB_TOTAL": "MCPAUTH_JOB_INDEX=0"} {
		code, _, errs := mcpauthProcess(t, []string{env}, "run", "--targets", list(t, urls...), "--out", t.TempDir(), "--split", "auto")
		assert.Equal(t, 2, code)
		assert.Contains(t, errs, variable+" is not: set it")
	}
}

// A time limit leaves the rest for --resume, and the program says so.
func TestFleetEndsWithItsTime(t *testing.T) {
	t.Parallel()
	var urls []string
	for range 30 {
		urls = append(urls, start(t, nil).URL)
	}
	out := t.TempDir()
	code, _, errs := mcpauth(t, "run", "--targets", list(t, urls...), "--out", out, "--total-timeout", "1ms", "--only", few)
	assert.Equal(t, 3, code, errs)
	assert.Contains(t, errs, "--total-timeout ended the run")
}

func TestListsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	bad := map[string][2]string{
		"a scheme":       {"http://127.0.0.1:1/mcp\nftp://127.0.0.1/mcp", ":2: ftp://127.0.0.1/mcp: want the http or https URL"},
		"a password":     {"https://user:pass-word@127.0.0.1/mcp", ":1: https://…@127.0.0.1/mcp: a list holds no user name"},
		"no such file":   {"# comment\n\nmissing.yaml", ":3: "},
		"no target":      {"# nothing", "it contains no target"},
		"not a registry": {`{"items": []}`, `it has no "servers"`},
		"not JSON":       {`{"servers": [`, "this is not a page of an MCP registry"},
		"an open page":   {`{"servers": [], "metadata": {"nextCursor": "abc"}}`, "save all pages"},
		"a long line":    {"http://127.0.0.1:1/mcp\n" + strings.Repeat("a", 70_000), ":2: bufio.Scanner: token too long"},
	}
	for what, tc := range bad {
		out := filepath.Join(t.TempDir(), "out")
		code, _, errs := mcpauth(t, "run", "--targets", list(t, tc[0]), "--out", out)
		assert.Equal(t, 2, code, what)
		assert.Contains(t, errs, tc[1], what)
		assert.NotContains(t, errs, "pass-word", what)
		assert.NoDirExists(t, out, what)
	}
	code, _, errs := mcpauth(t, "run", "--targets", list(t, "http://127.0.0.1:1/mcp"))
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "give --out")
	code, _, errs = mcpauth(t, "run", "--targets", list(t, "http://127.0.0.1:1/mcp"), "--out", t.TempDir(), "--opt-out",
		list(t, "a", "b/c"))
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, ":2: want a host, *.host or a URL")
}

const registryPages = `{"servers": [
	{"server": {"name": "a", "remotes": [{"type": "streamable-http", "url": "https://a.example/mcp"},
		{"type": "sse", "url": "https://a.example/sse"}]},
	 "_meta": {"io.modelcontextprotocol.registry/official": {"status": "active", "isLatest": true}}},
	{"server": {"name": "a", "remotes": [{"type": "streamable-http", "url": "https://old.a.example/mcp"}]},
	 "_meta": {"io.modelcontextprotocol.registry/official": {"status": "active", "isLatest": false}}},
	{"server": {"name": "gone", "remotes": [{"type": "streamable-http", "url": "https://gone.example/mcp"}]},
	 "_meta": {"io.modelcontextprotocol.registry/official": {"status": "deleted", "isLatest": true}}}
], "metadata": {"nextCursor": "next"}}
{"servers": [
	{"name": "b", "remotes": [{"type": "streamable-http", "url": "HTTPS://A.example:443/mcp"},
		{"type": "streamable-http", "url": "https://b.example/mcp"}]},
	{"server": {"name": "c", "remotes": [{"type": "streamable-http", "url": "https://{tenant}.example/mcp"}]}},
	{"server": {"name": "d", "packages": []}}
], "metadata": {}}`

// fromRegistry is the line that marks a list as made from a registry.
const fromRegistry = "# from a registry: what is in your own network is not tested"

func TestTargetsFromRegistry(t *testing.T) {
	t.Parallel()
	file := list(t, registryPages)
	code, out, errs := mcpauth(t, "targets", "from-registry", file)
	require.Zero(t, code, errs)
	assert.Equal(t, fromRegistry+"\nhttps://a.example/mcp\nhttps://b.example/mcp\n", out)
	assert.Contains(t, errs, "1 remote left out: the URL")
	assert.NotContains(t, errs, "not complete")

	first, _, _ := strings.Cut(registryPages, "\n{\"servers\"")
	code, out, errs = mcpauth(t, "targets", "from-registry", list(t, first))
	require.Zero(t, code, errs)
	assert.Equal(t, fromRegistry+"\nhttps://a.example/mcp\n", out)
	assert.Contains(t, errs, "the list is not complete")

	code, out, _ = mcpauth(t, "doctor", "--targets", file, "--out", t.TempDir())
	assert.Zero(t, code)
	assert.Regexp(t, `ok +targets +the list has 3 entries`, out)
}

// A registry is untrusted: its entries are tested only if they are public, by the form of the URL and by the address.
func TestARegistryNamesNothingOfTheOwnNetwork(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	require.NoError(t, err)
	names, err := nameserver.Serve("127.0.0.1:0", func(_ string, six bool) ([]netip.Addr, bool) {
		if six {
			return nil, true
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, true
	})
	require.NoError(t, err)
	defer names.Close()
	remote := func(host string) string {
		return `{"type": "streamable-http", "url": "http://` + host + ":" + port + `/mcp"}`
	}
	page := list(t, `{"servers": [{"server": {"remotes": [`+remote("127.0.0.1")+","+remote("localhost")+","+remote("[::ffff:127.0.0.1]")+","+
		remote("inside.registry.example")+`]}}], "metadata": {}}`)

	_, _, errs := mcpauth(t, "run", "--targets", page, "--out", t.TempDir(), "--contact", "me@a.example", "--dns", names.Address())
	assert.Zero(t, asked.Load())
	assert.Equal(t, 4, strings.Count(errs, "is in your own network, and a registry names it"), errs)

	code, out, errs := mcpauth(t, "targets", "from-registry", page)
	require.Zero(t, code, errs)
	assert.Equal(t, fromRegistry+"\nhttp://inside.registry.example:"+port+"/mcp\n", out)
	assert.Contains(t, errs, "3 remotes left out: a registry names what is in your own network")
	_, _, errs = mcpauth(t, "run", "--targets", list(t, out), "--out", t.TempDir(), "--contact", "me@a.example", "--dns", names.Address())
	assert.Zero(t, asked.Load(), "requests were sent to a list made from a registry")
	assert.Contains(t, errs, "is in your own network, and a registry names it")

	_, _, errs = mcpauth(t, "run", "--targets", list(t, inside.URL+"/mcp\n"), "--out", t.TempDir(), "--timeout", "5s")
	assert.Positive(t, asked.Load(), errs)
}

func TestTargetsFromClientsHoldNoSecret(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mcp.json")
	require.NoError(t, os.WriteFile(file, []byte(`{
	// an editor's
	"mcpServers": {
		"remote": {"url": "https://user:pass-secret@a.example/mcp?key=url-secret#x", "headers": {"Authorization": "Bearer header-secret"}},
		"bridge": {"command": "npx", "args": ["--registry", "https://npm.example/", "mcp-remote@latest", "https://b.example/mcp"],
			"env": {"K": "env-secret"}},
		"local": {"command": "server", "args": ["--flag", "a // b", "https://docs.example"]}, /* ends */
		"variable": {"type": "http", "url": "https://${input:tenant}.example/mcp"},
		"personal": {"url": "https://e.example/api/mcp/s/NDk3OGU3ZDItsecret9/mcp"},
		"tenant": {"url": "https://e.example/secret/0b9f0a52-8d5e-4c53-9c0a-1a5d3a7a6f10/sse"},
	},
	"amp.mcpServers": {"dotted": {"url": "https://f.example/v1/streamable-http-2025-06-18/mcp"}},
	"mcp": {"servers": {"settings": {"url": "https://c.example/mcp"}}},
	"projects": {"/src": {"mcpServers": {"deep": {"type": "http", "url": "https://d.example/mcp"},
		"again": {"url": "https://a.example/mcp"}}}},
}`), 0o600))
	code, out, errs := mcpauth(t, "targets", "from-clients", file)
	require.Zero(t, code, errs)
	assert.ElementsMatch(t, []string{"https://a.example/mcp", "https://b.example/mcp", "https://c.example/mcp", "https://d.example/mcp",
		"https://f.example/v1/streamable-http-2025-06-18/mcp"}, strings.Fields(out))
	assert.Contains(t, errs, "1 server left out: run as a local command")
	assert.Contains(t, errs, "1 server left out: the URL has variables")
	assert.Contains(t, errs, "2 servers left out: the path of the URL may hold a key (personal, tenant)")
	assert.NotContains(t, out+errs, "secret")
}
