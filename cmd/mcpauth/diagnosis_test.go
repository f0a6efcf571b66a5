package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// answer starts a server that answers every request in the same way.
func answer(t *testing.T, status int, header map[string]string, body string) string {
	t.Helper()
	s := httptest.NewServer(always(status, header, body))
	t.Cleanup(s.Close)
	return s.URL + "/mcp"
}

func always(status int, header map[string]string, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	})
}

// selfSigned starts a server with an untrusted certificate.
func selfSigned(t *testing.T) string {
	t.Helper()
	s := httptest.NewUnstartedServer(always(200, nil, ""))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL + "/mcp"
}

// mutualTLS starts a server that requires a client certificate, and writes its authority to a file. It reads on after its alert, so that
// the alert always arrives.
func mutualTLS(t *testing.T) (url, authority string) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer s.Close()
	authority = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	config := &tls.Config{Certificates: s.TLS.Certificates, ClientAuth: tls.RequireAnyClientCert}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = tls.Server(conn, config).Handshake()
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return "https://" + l.Addr().String() + "/mcp", authority
}

// expired returns an unsigned JWT that has expired.
func expired() string {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims := fmt.Sprintf(`{"sub":"alice","exp":%d}`, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC).Unix())
	return encode(`{"alg":"ES256","typ":"at+jwt"}`) + "." + encode(claims) + "." + encode(strings.Repeat("x", 64))
}

// ports are the ports of test servers. All have five digits, so that lines wrap in the same places.
var ports = regexp.MustCompile(`(127\.0\.0\.1|localhost):\d{5}\b`)

// console compares console output with a golden file. MCPAUTH_GOLDEN=write writes it again.
func console(t *testing.T, name, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 80, line)
	}
	text = ports.ReplaceAllString(text, "$1:12345")
	path := filepath.Join("..", "..", "fixtures", "golden", "console", name+".txt")
	if os.Getenv("MCPAUTH_GOLDEN") == "write" {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err, "the golden file cannot be read: write it with MCPAUTH_GOLDEN=write, and read it")
	assert.Equal(t, string(b), text)
}

var signingIn = []string{"--username", "alice", "--login", "form"}

// If a target cannot be tested at all, one paragraph says why, and what to do. The golden files have the complete text.
func TestDiagnosis(t *testing.T) {
	t.Parallel()
	good := start(t, nil)
	factor := start(t, func(o *reference.Options) {
		o.Users = []idp.User{{Name: "alice", Password: "alice-7-looking-glass", OneTime: "JBSWY3DPEHPK3PXP"}}
	})
	mutual, authority := mutualTLS(t)
	html := map[string]string{"Content-Type": "text/html"}
	for name, c := range map[string]struct {
		url      string
		env      []string
		args     []string
		noOthers bool // doctor and init do not sign in
	}{
		"another-path":     {url: strings.TrimSuffix(good.URL, "mcp") + "mpc"},
		"not-found":        {url: answer(t, 404, html, "<h1>Not found</h1>")},
		"html":             {url: answer(t, 200, html, "<!doctype html><title>Shop</title>")},
		"json":             {url: answer(t, 200, map[string]string{"Content-Type": "application/json"}, `{"ok":true}`)},
		"no-server":        {url: answer(t, 502, html, "<h1>502</h1>")},
		"no-issuer":        {url: answer(t, 500, nil, "Internal Server Error")},
		"single-sign-on":   {url: answer(t, 302, map[string]string{"Location": "https://sso.example.com/authorize?x=1"}, "")},
		"cookie-login":     {url: answer(t, 302, map[string]string{"Location": "/login?next=/mcp"}, "")},
		"basic":            {url: answer(t, 401, map[string]string{"WWW-Authenticate": `Basic realm="staging"`}, "")},
		"firewall":         {url: answer(t, 403, map[string]string{"Content-Type": "text/html", "Cf-Mitigated": "challenge"}, "<p>Wait</p>")},
		"client-tls":       {url: mutual, args: []string{"--ca-file", authority}},
		"client-page":      {url: answer(t, 400, html, "<html><head><title>400 No required SSL certificate was sent</title></head></html>")},
		"secure-elsewhere": {url: answer(t, 301, map[string]string{"Location": "https://127.0.0.1:1/mcp"}, "")},
		"self-signed":      {url: selfSigned(t)},
		"no-tls":           {url: strings.Replace(good.URL, "http://", "https://", 1)},
		"nobody-listens":   {url: "http://" + free(t) + "/mcp"},
		"rejected-token":   {url: good.URL, env: []string{"TOKEN=no-such-token"}, args: []string{"--token-env", "TOKEN"}},
		"expired-token":    {url: good.URL, env: []string{"TOKEN=" + expired()}, args: []string{"--token-env", "TOKEN"}},
		"wrong-password":   {url: good.URL, env: []string{"MCPAUTH_PASSWORD=wrong"}, args: signingIn, noOthers: true},
		"no-second-factor": {url: factor.URL, env: []string{"MCPAUTH_PASSWORD=alice-7-looking-glass"}, args: signingIn, noOthers: true},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := mcpauthWith(t, c.env, append([]string{"run", c.url}, c.args...)...)
			assert.Equal(t, 3, code, errs)
			console(t, name, out)
			if c.noOthers {
				return
			}
			why := strings.TrimSuffix(strings.TrimPrefix(conclusion(out), "NOTHING WAS TESTED: "), " (exit 3)")
			for _, verb := range []string{"doctor", "init"} {
				code, out, errs := mcpauthWith(t, c.env, append([]string{verb, c.url}, c.args...)...)
				assert.NotZero(t, code, verb)
				assert.Contains(t, strings.Join(strings.Fields(out+errs), " "), why, verb)
			}
		})
	}
}

// A client certificate, from flags or from a target file, opens a gate that requires one. An invalid pair is an error with its place.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	pair := func(host string) (certificate, key []byte) {
		made, err := reference.Stranger(host)
		require.NoError(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
		require.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	mine, myKey := pair("tester.example")
	others, othersKey := pair("stranger.example")
	r := start(t, func(o *reference.Options) {
		o.Host = "mcp.gated.test"
		o.TLS = func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			c.ClientCAs.AppendCertsFromPEM(mine)
		}
	})
	certificate, key := file("client.pem", mine), file("client-key.pem", myKey)
	both := file("both.pem", slices.Concat(mine, myKey))
	wrong, wrongKey := file("wrong.pem", others), file("wrong-key.pem", othersKey)
	described := file("target.yaml", []byte("version: 1\ntarget:\n  url: "+r.URL+
		"\n  client_certificate: {certificate: {file: client.pem}, key: {file: client-key.pem}}\n"))
	mixed := file("mixed.yaml", []byte("version: 1\ntarget:\n  url: "+r.URL+
		"\n  client_certificate: {certificate: {file: client.pem}, key: {file: wrong-key.pem}}\n"))
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"two files":      {[]string{r.URL, "--client-cert", certificate, "--client-key", key}, 0, "PASSED"},
		"one file":       {[]string{r.URL, "--client-cert", both}, 0, "PASSED"},
		"target file":    {[]string{"-c", described}, 0, "PASSED"},
		"none":           {[]string{r.URL}, 3, "demands a client certificate"},
		"of a stranger":  {[]string{r.URL, "--client-cert", wrong, "--client-key", wrongKey}, 3, "refuses the client certificate"},
		"no key":         {[]string{r.URL, "--client-cert", certificate}, 2, "give its key with --client-key"},
		"another key":    {[]string{r.URL, "--client-cert", certificate, "--client-key", wrongKey}, 2, "does not match"},
		"key alone":      {[]string{r.URL, "--client-key", key}, 2, "--client-key needs --client-cert"},
		"no such file":   {[]string{r.URL, "--client-cert", filepath.Join(folder, "absent.pem")}, 2, "absent.pem"},
		"bad pair in it": {[]string{"-c", mixed}, 2, "mixed.yaml:4:"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"run", "--only", "RS-CHALLENGE-*,RS-DISC-*", "--ca-file", file("ca.pem", r.Authority)}, c.args...)
			for from, to := range r.ConnectTo {
				args = append(args, "--connect-to", from+"="+to)
			}
			code, out, errs := mcpauth(t, args...)
			assert.Equal(t, c.code, code, out+errs)
			assert.Contains(t, strings.Join(strings.Fields(out+errs), " "), c.says)
		})
	}
}

// An interrupted run says how far it came, and judges nothing that it did not reach.
func TestInterruptedConsole(t *testing.T) {
	t.Parallel()
	hang, asked := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r := start(t, func(o *reference.Options) {
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.UserAgent(), "RS-") { // a request of a check, after the survey
					once.Do(func() { close(asked) })
					<-hang
				}
				h.ServeHTTP(w, r)
			})
		}
	})
	defer close(hang)
	c := exec.Command(binary, "run", r.URL, "--only", "RS-CHALLENGE-*,RS-DISC-*", "--skip", "RS-DISC-HTTP-SHAPE")
	var out bytes.Buffer
	c.Stdout = &out
	require.NoError(t, c.Start())
	<-asked
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	_ = c.Wait()
	assert.Equal(t, 130, c.ProcessState.ExitCode())
	digits := regexp.MustCompile(`\d+`)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	assert.Less(t, len(lines), 20, out.String())
	assert.Equal(t, "INTERRUPTED after N of N checks: the report is partial (exit N)", digits.ReplaceAllString(lines[len(lines)-1], "N"))
	assert.Equal(t, 1, strings.Count(out.String(), "the run was interrupted before this was judged"), "the cause is not shown once")
}

// A URL without a scheme probably means http on this machine, and https elsewhere.
func TestASchemeIsMissing(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"no-scheme-loopback": "127.0.0.1:12345/mcp", "no-scheme-localhost": "localhost:12345/mcp",
		"no-scheme": "mcp.example.com/mcp"} {
		for _, verb := range []string{"run", "init"} {
			code, _, errs := mcpauth(t, verb, url)
			assert.Equal(t, 2, code, errs)
			console(t, name, errs)
		}
	}
}
