package main_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	program "github.com/mcpauth/conformance/cmd/mcpauth"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// binary is the tested program; givenProgram is the one that the user wants to be tested.
var binary, givenProgram string

// pipePatience is the variable that changes how long the tested program waits for the reader of a pipe.
const pipePatience = "TESTED_PIPE_PATIENCE"

// TestMain makes the binary of the tests the tested program, too: under the name mcpauth it is the program, and no other is linked. It runs
// four tests at a time unless the user says otherwise: many of them wait.
func TestMain(m *testing.M) {
	suites.Version, suites.Commit = "0.0.0-test", "0123456789abcdef0123456789abcdef01234567" // certify wants to know its build
	if filepath.Base(os.Args[0]) == "mcpauth" {
		program.Main(os.Getenv(pipePatience))
		return
	}
	flag.Parse()
	debug.SetGCPercent(400) // the servers of whole runs make much garbage
	debug.SetMemoryLimit(1 << 30)
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Lookup("test.parallel").Value.Set("4") // a number is always valid
	}
	if flag.Lookup("test.fuzz").Value.String() != "" { // fuzz workers come here too, and do not run the program
		os.Exit(m.Run())
	}
	program.ShareProcess()
	if givenProgram = os.Getenv("TESTED_PROGRAM"); givenProgram != "" { // a program without a defence, to see a test fail
		binary = givenProgram
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "mcpauth")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "mcpauth")
	if err := copyOfTests(binary); err != nil {
		panic(err)
	}
	_ = os.Setenv("TESTED_PROGRAM", binary) // for the tests inside the package
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// copyOfTests copies the binary of the tests: a link would be resolved to its other name.
func copyOfTests(path string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(own)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// mcpauth carries out a command line in this process, and returns the exit code, standard output and standard error. A command needs a
// process of its own where it has variables of the environment, a seed, or memory to itself.
func mcpauth(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	if givenProgram != "" {
		return mcpauthProcess(t, nil, args...)
	}
	return program.Run(t.Context(), args...)
}

// mcpauthWith is mcpauth with variables of the environment, if there are any.
func mcpauthWith(t *testing.T, env []string, args ...string) (int, string, string) {
	t.Helper()
	if env == nil {
		return mcpauth(t, args...)
	}
	return mcpauthProcess(t, env, args...)
}

// mcpauthProcess runs the program with additional variables of the environment.
func mcpauthProcess(t *testing.T, env []string, args ...string) (int, string, string) {
	t.Helper()
	c := exec.Command(binary, args...)
	c.Env = append(append(os.Environ(), "GOGC=400"), env...) // for hundreds of short processes; TestPromises measures memory
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	_ = c.Run()
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

func start(t *testing.T, bend func(o *reference.Options)) *reference.Reference {
	t.Helper()
	o := reference.Ideal()
	if bend != nil {
		bend(&o)
	}
	r, err := reference.Start(o)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func TestDemoIsGreen(t *testing.T) {
	t.Parallel()
	d := runDemo(t)
	assert.Zero(t, d.code, d.errs+d.out)
	assert.Contains(t, d.out, "PASS")
	assert.NotContains(t, d.out, "FAIL")
	code, _, errs := mcpauth(t, "run", "-q", "--only", "RS-DISC-*")
	assert.Zero(t, code, errs)
}

// demoRun is the output of the demo, and the folder with its reports.
type demoRun struct {
	code           int
	out, errs, dir string
}

var demo struct {
	once sync.Once
	demoRun
}

// runDemo runs the demo once for all its tests.
func runDemo(t *testing.T) demoRun {
	t.Helper()
	demo.once.Do(func() {
		demo.dir = filepath.Join(filepath.Dir(binary), "demo")
		require.NoError(t, os.Mkdir(demo.dir, 0o700))
		args := []string{"demo"}
		if !whole.More() { // TestReferencePassesEverything has the rest
			args = append(args, "--only", "AS-META-*,AS-PKCE-*,RS-CHALLENGE-*,RS-DISC-*,RS-SCOPE-*")
		}
		for name, format := range map[string]string{"r.json": "json", "r.har": "har", "r.xml": "junit", "r.html": "html"} {
			args = append(args, "--report", format+"="+filepath.Join(demo.dir, name))
		}
		demo.code, demo.out, demo.errs = mcpauth(t, args...)
	})
	return demo.demoRun
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	good, bad := start(t, nil), start(t, func(o *reference.Options) { o.Policy.Status = 403 })
	stuck := start(t, func(o *reference.Options) { o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.RefuseByStatus) })
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html>"))
	}))
	defer html.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	closed := "http://" + free(t) + "/mcp"
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"conformant":          {[]string{"run", good.URL}, 0, "PASS"},
		"findings":            {[]string{"run", bad.URL}, 1, "FAILED: "},
		"findings, tolerated": {[]string{"run", bad.URL, "--fail-on", "none", "--only", "RS-CHALLENGE-401-STATUS"}, 0, "FAIL"},
		"soft refusal":        {[]string{"run", stuck.URL}, 1, "RS-CHALLENGE-401-STATUS"},
		"an HTML page":        {[]string{"run", html.URL + "/mcp"}, 3, "This does not look like an MCP endpoint"},
		"unreachable":         {[]string{"run", closed}, 3, "connection refused"},
		"unknown authority":   {[]string{"run", tls.URL + "/mcp"}, 3, "does not trust"},
		"no such name":        {[]string{"run", "https://no-such-host.invalid/mcp", "--timeout", "5s"}, 3, "does not resolve"},
		"no scheme":           {[]string{"run", "mcp.example.com/mcp"}, 2, "did you mean https://mcp.example.com/mcp?"},
		"no leave to attack":  {[]string{"run", "https://mcp.example.com/mcp", "--allow-intrusive"}, 2, "--i-am-authorized"},
		"no leave by a detour": {[]string{"run", "https://mcp.example.invalid/mcp", "--allow-intrusive", "--connect-to",
			"auth.example.invalid:443=127.0.0.1:9"}, 2, "--i-am-authorized"},
		"unknown flag":           {[]string{"run", good.URL, "--tokn-env", "X"}, 2, "unknown flag"},
		"unknown verb":           {[]string{"rum"}, 2, "unknown command"},
		"unknown id":             {[]string{"run", good.URL, "--only", "RS-NO-SUCH"}, 2, "no requirement matches"},
		"unknown report":         {[]string{"run", good.URL, "--report", "pdf"}, 2, "unknown report"},
		"unwritable report":      {[]string{"run", good.URL, "--report", "json=/no/such/folder/x.json"}, 2, "no such file or directory"},
		"unset token variable":   {[]string{"run", good.URL, "--token-env", "MCPAUTH_TEST_UNSET"}, 2, "is not set"},
		"merge, wrong threshold": {[]string{"merge", "x.json", "--fail-on", "musst"}, 2, "want must, should, practice or none"},
		"wrong threshold":        {[]string{"run", good.URL, "--fail-on", "musst"}, 2, "want must, should, practice or none"},
		"unknown shard":          {[]string{"run", good.URL, "--shard", "3/2"}, 2, "want the number of this one and of all"},
		"no shard variables":     {[]string{"run", good.URL, "--shard", "auto"}, 2, "none of the variables is set"},
		"merging whole runs":     {[]string{"merge", "testdata/no-such-file.json"}, 2, "no such file"},
		"nothing selected":       {[]string{"run", good.URL, "--label-filter", "browser && T0"}, 2, "select no check"},
		"explain unknown":        {[]string{"explain", "RS-NOPE"}, 2, "not in the catalogue"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := mcpauth(t, c.args...)
			assert.Equal(t, c.code, code, errs)
			assert.Contains(t, strings.Join(strings.Fields(out+errs), " "), c.says)
			assert.NotContains(t, out+errs, "goroutine ")
		})
	}
}

func TestReportsAreWritten(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *reference.Options) { o.Policy.PRMType = "text/plain" })
	dir := t.TempDir()
	token := r.Token()
	code, out, errs := mcpauthProcess(t, []string{"TOKEN=" + token}, "run", r.URL, "--token-env", "TOKEN",
		"--report", "junit="+dir+"/j.xml", "--report", "json="+dir+"/r.json", "--report", "json")
	assert.Equal(t, 1, code, errs)
	var doc struct {
		Failures int `xml:"failures,attr"`
	}
	x, err := os.ReadFile(dir + "/j.xml")
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(x, &doc))
	assert.Equal(t, 1, doc.Failures)
	j, err := os.ReadFile(dir + "/r.json")
	require.NoError(t, err)
	assert.True(t, json.Valid(j))
	assert.True(t, json.Valid([]byte(out)), "standard output contains more than the report")
	signature := token[strings.LastIndexByte(token, '.')+1:]
	for _, text := range []string{string(x), string(j), out, errs} {
		assert.NotContains(t, text, token)
		assert.NotContains(t, text, signature)
	}
}

func TestReportIsWrittenWhenTheTargetIsUnreachable(t *testing.T) {
	t.Parallel()
	path, whole := t.TempDir()+"/j.xml", t.TempDir()+"/r.json"
	code, _, _ := mcpauth(t, "run", "http://127.0.0.1:1/mcp", "--report", "junit="+path, "--report", "json="+whole)
	assert.Equal(t, 3, code)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(b), "<error")
	code, out, errs := mcpauth(t, "report", whole, "--report", "markdown")
	assert.Zero(t, code, "a report without exchanges is read again: "+errs)
	assert.Contains(t, out, "connection refused")
}

func TestReportIsWrittenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "r.json")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	code, _, _ := mcpauth(t, "run", "mcp.example.com", "--report", "json="+path)
	assert.Equal(t, 2, code)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(b), "a run that did not start replaced the old report")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "a temporary file is not deleted")
}

func TestInterruptWritesThePartialReport(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10_000)
	r := start(t, func(o *reference.Options) {
		o.Delay = 100 * time.Millisecond
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				h.ServeHTTP(w, r)
			})
		}
	})
	path := t.TempDir() + "/r.json"
	c := exec.Command(binary, "run", r.URL, "--concurrency", "1", "--report", "json="+path)
	var errs bytes.Buffer
	c.Stderr = &errs
	require.NoError(t, c.Start())
	for range 8 { // the run is in progress
		<-asked
	}
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	_ = c.Wait()
	assert.Equal(t, 130, c.ProcessState.ExitCode(), errs.String())
	b, err := os.ReadFile(path)
	require.NoError(t, err, errs.String())
	assert.Contains(t, string(b), `"interrupted": true`)
}

func TestFlagsHaveTwinsInTheEnvironment(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *reference.Options) { o.Policy.Status = 403 })
	code, _, _ := mcpauthProcess(t, []string{"MCPAUTH_FAIL_ON=none", "MCPAUTH_ONLY=RS-CHALLENGE-401-STATUS", "MCPAUTH_URL=" + r.URL}, "run")
	assert.Zero(t, code)
	code, _, _ = mcpauthProcess(t, []string{"MCPAUTH_FAIL_ON=none"}, "run", r.URL, "--fail-on", "must")
	assert.Equal(t, 1, code, "the environment overrides the flag")
	code, _, errs := mcpauthProcess(t, []string{"MCPAUTH_MAX_REQUESTS=many"}, "run", r.URL)
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "MCPAUTH_MAX_REQUESTS")
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	o.Behaviour.Lacks = []idp.Defence{idp.CORS}
	r, err := reference.Start(o)
	require.NoError(t, err)
	defer r.Close()
	path := filepath.Join(t.TempDir(), "baseline.yaml")
	run := func(args ...string) (int, string) {
		code, out, errs := mcpauth(t, append([]string{"run", r.URL, "--only", "AS-META-*", "--fail-on", "practice", "--register=false"},
			args...)...)
		return code, strings.Join(strings.Fields(out+errs), " ")
	}
	code, _ := run("--baseline", path, "--update-baseline")
	require.Equal(t, 0+1, code, "the run that writes the baseline accepts findings already")
	code, errs := run("--baseline", path)
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "AS-META-CORS: say the reason")
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(written), "verdict: WARN", "the entry does not name the verdict")
	entry := "version: 1\naccepted:\n  - {id: AS-META-CORS, reason: browsers are not our clients, expires: 2999-01-01}\n"
	write := func(content string) { require.NoError(t, os.WriteFile(path, []byte(content), 0o600)) }
	write(entry)
	code, errs = run("--baseline", path, "-v")
	assert.Equal(t, 0, code, errs)
	assert.Contains(t, errs, "SUPPRESSED")
	write(strings.Replace(entry, "2999", "2020", 1))
	code, errs = run("--baseline", path)
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "baseline.yaml:3: AS-META-CORS was accepted until 2020-01-01")
	write(entry + "  - {id: AS-META-PUBLISHED, reason: none}\n")
	code, errs = run("--baseline", path)
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "AS-META-PUBLISHED has no finding any more")
	write("version: 1\naccepted: [{id: AS-META-CROS, reason: x}, {id: AS-META-CORS, raeson: x}]\n")
	code, errs = run("--baseline", path)
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, `unknown key "raeson"`)
	code, _ = run("--baseline", path, "--update-baseline")
	assert.Equal(t, 2, code, "a file that cannot be read is overwritten")
	write(strings.Replace(entry, "reason", "verdict: INCONCLUSIVE, reason", 1))
	code, errs = run("--baseline", path)
	assert.Equal(t, 1, code, "an entry for an undecided requirement accepts a finding: %s", errs)
	write(strings.Replace(entry, "reason", "verdict: warn, reason", 1))
	code, errs = run("--baseline", path)
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, `verdict "warn": want FAIL, WARN or INCONCLUSIVE`)
	write(entry + "  - {id: RS-TOKEN-EXPIRED, reason: not judged by this run}\n  - {id: AS-META-PUBLISHED, reason: fixed}\n")
	run("--baseline", path, "--update-baseline")
	written, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(written), "reason: browsers are not our clients")
	assert.Contains(t, string(written), "RS-TOKEN-EXPIRED")
	assert.NotContains(t, string(written), "AS-META-PUBLISHED")
}

func TestDiff(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	good, err := reference.Start(o)
	require.NoError(t, err)
	defer good.Close()
	o.Behaviour.Lacks, o.Policy.Status = []idp.Defence{idp.CORS}, 403
	bad, err := reference.Start(o)
	require.NoError(t, err)
	defer bad.Close()
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before.json"), filepath.Join(dir, "after.json")
	for path, url := range map[string]string{before: good.URL, after: bad.URL} {
		code, _, errs := mcpauth(t, "run", url, "--only", "AS-META-*,RS-CHALLENGE-401-STATUS", "--register=false", "--fail-on", "none",
			"--report", "json="+path)
		require.Zero(t, code, errs)
	}
	code, out, _ := mcpauth(t, "diff", before, after)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "regressed: AS-META-CORS")
	assert.Contains(t, out, "PASS -> WARN")
	assert.Contains(t, out, "regressed: RS-CHALLENGE-401-STATUS (MUST, protocol with sessions")
	assert.NotContains(t, out, "stateful")
	fits(t, out)
	code, out, _ = mcpauth(t, "diff", after, before)
	assert.Zero(t, code)
	assert.Contains(t, out, "fixed: AS-META-CORS")
	code, _, errs := mcpauth(t, "diff", before, filepath.Join(dir, "none.json"))
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "none.json")
}

func TestListAndExplain(t *testing.T) {
	t.Parallel()
	code, out, _ := mcpauth(t, "list", "--format", "json")
	require.Zero(t, code)
	var all []struct{ ID, Status, Area string }
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	assert.Len(t, all, len(requirements.All()))
	code, out, _ = mcpauth(t, "list", "--area", "pkce", "--level", "must", "--revision", "2025-11-25", "--tier", "T2")
	require.Zero(t, code)
	assert.Contains(t, out, "AS-PKCE-REJECT-WRONG-VERIFIER")
	assert.NotContains(t, out, "RS-DISC")
	code, _, errs := mcpauth(t, "list", "--area", "pkse")
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, `unknown area "pkse"`)
	for _, mistake := range [][3]string{
		{"--tier", "T9", `unknown tier "T9"; known are T0, T1, T2, T3`},
		{"--level", "MUSTARD", `unknown level "MUSTARD"; known are MUST, SHOULD, MAY, BCP`},
		{"--label", "brwser", `unknown label "brwser"; did you mean browser?`},
	} {
		code, _, errs := mcpauth(t, "list", mistake[0], mistake[1])
		assert.Equal(t, 2, code)
		assert.Contains(t, errs, mistake[2])
	}
	code, out, _ = mcpauth(t, "explain", "rs-disc-resource-match")
	require.Zero(t, code)
	for _, want := range []string{"at 2025-06-18", "## How it is tested", "## Acceptable variations", "## How to fix it", "## Sources",
		"RFC 9728"} {
		assert.Contains(t, out, want)
	}
	code, out, _ = mcpauth(t, "schema", "report")
	require.Zero(t, code)
	assert.True(t, json.Valid([]byte(out)))
}

// The passwords of the reference are published, so no other machine may reach it.
func TestServeMCPListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for listen, want := range map[string]string{
		"0.0.0.0:0": "only this machine reaches", ":0": "only this machine reaches", "[::]:0": "only this machine reaches",
		"9300": "want HOST:PORT", taken.Addr().String(): "another program listens at",
	} {
		code, _, stderr := mcpauth(t, "serve", "mcp", "--listen", listen)
		assert.Equal(t, reports.ExitUsage, code, listen)
		assert.Contains(t, strings.Join(strings.Fields(stderr), " "), want, listen)
	}
}

func TestServeMCP(t *testing.T) {
	t.Parallel()
	addr := free(t)
	c := exec.Command(binary, "serve", "mcp", "--listen", addr)
	var out bytes.Buffer
	c.Stdout = &out
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + addr + "/.well-known/oauth-protected-resource/mcp")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == 200
	}, time.Minute, 10*time.Millisecond)
	code, _, errs := mcpauth(t, "run", "http://"+addr+"/mcp")
	assert.Zero(t, code, errs)
	require.NoError(t, c.Process.Signal(os.Interrupt))
	require.NoError(t, c.Wait())
	assert.Equal(t, 3, len(strings.Split(strings.TrimSpace(out.String()), ".")), "the output is not a JWT")
}

// serve --idp signs with a key of the user.
func TestServeIDPWithAKeyOfOnesOwn(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name string, b pem.Block) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&b), 0o600))
		return path
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	weak, err := x509.MarshalPKCS8PrivateKey(small)
	require.NoError(t, err)
	for _, path := range []string{write("1", pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		write("8", pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})} {
		c := exec.Command(binary, "serve", "idp", "--listen", "127.0.0.1:0", "--key", path)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		token, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		parts := strings.Split(strings.TrimSpace(token), ".")
		require.Len(t, parts, 3)
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		require.NoError(t, err)
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		assert.NoError(t, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature))
		require.NoError(t, c.Process.Signal(os.Interrupt))
		require.NoError(t, c.Wait())
	}
	for _, path := range []string{write("weak", pem.Block{Type: "PRIVATE KEY", Bytes: weak}), filepath.Join(dir, "none")} {
		code, _, stderr := mcpauth(t, "serve", "idp", "--listen", "127.0.0.1:0", "--key", path)
		assert.Equal(t, reports.ExitUsage, code)
		assert.Contains(t, stderr, "--key: ")
	}
}

func TestInitWritesAFileThatCanBeRead(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	path := filepath.Join(t.TempDir(), "target.yaml")
	code, _, stderr := mcpauth(t, "init", r.URL, "--output", path)
	require.Equal(t, reports.ExitConformant, code, stderr)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(written), `url: "`+r.URL)
	code, _, stderr = mcpauth(t, "run", "-c", path, "-q")
	assert.Equal(t, reports.ExitConformant, code, stderr)
	code, _, stderr = mcpauth(t, "init", r.URL, "--output", path)
	assert.Equal(t, reports.ExitUsage, code)
	assert.Contains(t, stderr, "--force replaces it")
	code, _, stderr = mcpauth(t, "init", "http://127.0.0.1:1/mcp", "--output", path+"2")
	assert.Equal(t, reports.ExitUndecided, code, stderr)
	_, err = os.Stat(path + "2")
	assert.ErrorIs(t, err, os.ErrNotExist, "a partly written file exists")
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	code, out, stderr := mcpauthProcess(t, []string{"MCPAUTH_FAIL_ON=should"}, "doctor", r.URL, "--rate", "10")
	require.Equal(t, reports.ExitConformant, code, stderr)
	for _, want := range []string{"answers; name and address are good; http has no certificate", "should (from MCPAUTH_FAIL_ON)",
		"10 (from the command line)", "within 30 s"} {
		assert.Contains(t, strings.Join(strings.Fields(out), " "), want)
	}
	file := filepath.Join(t.TempDir(), "target.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\ntarget: {url: '"+r.URL+"'}\nfake_idp: {listen: '127.0.0.1:0', "+
		"issuer: 'http://127.0.0.1:9', audience: '"+r.URL+"'}\n"), 0o600))
	code, out, _ = mcpauth(t, "doctor", "-c", file)
	assert.Equal(t, reports.ExitConformant, code, "a server that a run would start is missed: %s", out)
	code, out, _ = mcpauth(t, "doctor", "http://127.0.0.1:1/mcp")
	assert.Equal(t, reports.ExitUsage, code)
	assert.Contains(t, out, "BAD")
}

// mcpauth runs the upstream that a target file declares. Well-known ones demand no code_challenge of a client with a secret, and take the
// secret by Basic and in the form.
func TestUpstreamOfOurs(t *testing.T) {
	t.Parallel()
	for name, inForm := range map[string]bool{"a secret by Basic": false, "a secret in the form": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testUpstreamOfOurs(t, inForm)
		})
	}
}

func testUpstreamOfOurs(t *testing.T, secretInForm bool) {
	address := free(t)
	key, err := idp.New("http://unused.example", idp.Ideal())
	require.NoError(t, err)
	r := start(t, func(o *reference.Options) {
		o.ProxyTo = &idp.Upstream{Issuer: "http://" + address, ClientID: "mcp", Secret: "the-secret-of-this-test",
			Scopes: []string{"openid", "email"}, Key: key.Public(), NoChallenge: true, SecretInForm: secretInForm} // like many proxies
	})
	file := filepath.Join(t.TempDir(), "target.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`version: 1
target: {url: `+r.URL+`}
login:
  driver: form
  users:
    - {username: alice, password: {env: ALICE}}
upstream:
  {listen: "`+address+`", issuer: "http://`+address+`", client_id: mcp, client_secret: {env: SECRET},
   redirect_uri: "`+r.IDP.UpstreamCallback()+`"}
`), 0o600))
	code, out, errs := mcpauthProcess(t, []string{"ALICE=any password of the test's own", "SECRET=the-secret-of-this-test"}, "run", "-c", file,
		"--only", "AS-PROXY-*", "--report", "ndjson")
	assert.Zero(t, code, errs)
	for _, id := range []string{"AS-PROXY-UPSTREAM-ID-TOKEN", "AS-PROXY-CONSENT-PER-CLIENT", "AS-PROXY-UPSTREAM-TOKEN-HIDDEN"} {
		assert.Regexp(t, `"id":"`+id+`".*"verdict":"PASS"`, out)
	}
	assert.Contains(t, out, `"tier":"T3"`)
}

func TestShardsAreMerged(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	folder := t.TempDir()
	for i, variables := range [][]string{{"CI_NODE_INDEX=1", "CI_NODE_TOTAL=2"}, {"CIRCLE_NODE_INDEX=1", "CIRCLE_NODE_TOTAL=2"}} {
		code, _, errs := mcpauthProcess(t, variables, "run", r.URL, "--shard", "auto", "--only", "RS-DISC-*", "-q", "--report",
			"json="+filepath.Join(folder, strconv.Itoa(i)+".json"))
		require.Zero(t, code, errs)
	}
	code, out, errs := mcpauth(t, "merge", filepath.Join(folder, "1.json"), filepath.Join(folder, "0.json"), "--report", "ndjson")
	require.Zero(t, code, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var ids []string
	for _, line := range lines {
		var event struct{ Type, ID string }
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		if event.Type == "result" {
			ids = append(ids, event.ID)
		}
	}
	assert.Contains(t, lines[0], `"type":"run"`)
	assert.Contains(t, lines[len(lines)-1], `"type":"end"`)
	assert.Equal(t, "RS-DISC-PRM-PUBLISHED", ids[0], "the list is not in the order of the catalogue")
	assert.Contains(t, ids, "RS-DISC-CORS")
	code, _, errs = mcpauth(t, "merge", filepath.Join(folder, "1.json"))
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "shard 1/2 is missing")
}

func TestListOfSets(t *testing.T) {
	t.Parallel()
	code, out, errs := mcpauth(t, "list", "--sets", "--format", "json")
	require.Zero(t, code, errs)
	var sets []struct {
		Name, Digest, Frozen string
		NotScored            map[string]string `json:"not_scored"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &sets))
	require.Len(t, sets, len(profiles.Sets()))
	for i, s := range profiles.Sets() {
		assert.Equal(t, s.Name(), sets[i].Name)
		assert.Equal(t, "sha256:"+s.Digest, sets[i].Digest)
		assert.Equal(t, s.Frozen, sets[i].Frozen)
		for id, why := range sets[i].NotScored {
			assert.False(t, s.Holds(id), "%s is scored", id)
			assert.Equal(t, "added-after-release", why)
		}
	}
	code, out, _ = mcpauth(t, "list", "--sets")
	require.Zero(t, code)
	fits(t, out)
	for _, s := range profiles.Sets() {
		assert.Contains(t, out, s.Name()+" ")
		assert.Contains(t, out, "\n  sha256:"+s.Digest+"\n")
		if s.ReplacedBy != "" {
			assert.Contains(t, out, "  replaced by "+s.ReplacedBy+"\n")
		}
	}
	code, _, errs = mcpauth(t, "list", "--sets", "--format", "xml")
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "want table or json")
}
