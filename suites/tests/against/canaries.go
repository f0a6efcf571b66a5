package against

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/substrings"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/rendered"
	"github.com/mcpauth/conformance/suites"
)

// NoSecret expects that no report contains a secret that the server has seen, in any encoding, whole or in halves. The server must have
// seen secrets of these kinds.
func NoSecret(t *testing.T, vary func(o *reference.Options), declare func(c *suites.Config), kinds ...string) {
	t.Helper()
	NoSecretIn(t, vary, declare, func(reports.Redacted) map[string]string { return nil }, kinds...)
}

// NoSecretIn is NoSecret for more texts that are made from the run, by name.
func NoSecretIn(t *testing.T, vary func(o *reference.Options), declare func(c *suites.Config),
	more func(run reports.Redacted) map[string]string, kinds ...string) {
	t.Helper()
	canaries := NewCanaries()
	o := reference.Ideal()
	vary(&o)
	o.Wrap = canaries.Watch
	r := Start(t, o)
	cfg := Certifying(SigningIn(r))
	cfg.BrowserNoSandbox = true
	declare(&cfg)
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	canaries.Hold(r)
	canaries.ExpectNoneIn(t, run, more(run), kinds...)
}

// Certifying adds to a configuration what makes a report contain everything that a certificate contains.
func Certifying(cfg suites.Config) suites.Config {
	cfg.KeepBasis, cfg.Identify = true, true
	return cfg
}

// Hold adds the secrets that the servers of a reference hold after a run, and expects that no client is left.
func (c *Canaries) Hold(r *reference.Reference) {
	held := append(r.IDP.Secrets(), r.MCP.ServiceKey, r.MCP.SharedSecret)
	if r.Upstream != nil {
		held = append(held, r.Upstream.Secrets()...)
	}
	for _, s := range held {
		c.saw("what a server holds", s)
	}
	for _, s := range r.MCP.Static {
		c.saw(s.Name, s.Value)
	}
	c.static, c.clients = r.MCP.Static, r.IDP.Clients()
}

// ExpectNoneIn expects that neither the reports of a run nor other texts contain one of the secrets.
func (c *Canaries) ExpectNoneIn(t *testing.T, run reports.Redacted, more map[string]string, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		require.Greater(t, c.count(kind), 0, "no %s was seen", kind)
	}
	parts := map[string]string{} // spelling -> kind
	for secret, kind := range c.seen {
		for _, s := range spellings(secret) {
			parts[s] = kind
		}
	}
	all := Texts(t, run)
	maps.Copy(all, more)
	secrets := substrings.Of(slices.Collect(maps.Keys(parts))...)
	for name, text := range all {
		for _, found := range secrets.In(text) {
			t.Errorf("%s holds %.14s… of a secret: %s", name, found, parts[found])
		}
	}
	for _, s := range c.static { // not in upper case either: near misses are derived from it
		assert.NotContains(t, strings.ToUpper(all["json"]), strings.ToUpper(s.Value)[4:24], s.Name)
	}
	assert.Zero(t, c.clients, "clients were not deleted")
	assert.NotContains(t, all["console"], "not deleted", "every client was deleted, and a report says otherwise")
}

// Texts returns all reports of a run by name.
func Texts(t *testing.T, run reports.Redacted) map[string]string {
	t.Helper()
	out, err := rendered.Texts(run)
	require.NoError(t, err)
	return out
}

// spellings returns the encodings of a secret, and its halves. The header and claims of a JWT are evidence, and worthless without the
// signature.
func spellings(s string) []string {
	if parts := strings.Split(s, "."); len(parts) == 3 && strings.HasPrefix(s, "eyJ") {
		return append(spellings(parts[2]), s)
	}
	quoted, _ := json.Marshal(s) // a string always marshals
	half := len(s) / 2
	out := []string{s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(string(quoted), `"`), hex.EncodeToString([]byte(s)),
		strings.ToUpper(hex.EncodeToString([]byte(s)))}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		for shift := range 3 { // it may begin anywhere within a group; characters that depend on neighbours are cut off
			spelled := strings.TrimRight(e.EncodeToString([]byte(strings.Repeat("\x00", shift)+s)), "=")
			out = append(out, spelled[4:len(spelled)-2])
		}
	}
	if half >= 8 {
		out = append(out, s[:half], s[half:])
	}
	return out
}

// Canaries are the secrets that a server issues, accepts and holds.
type Canaries struct {
	mu      sync.Mutex
	seen    map[string]string  // secret -> kind
	static  []mcpserver.Static // credentials of the server
	clients int                // that are left after the run
}

func NewCanaries() *Canaries { return &Canaries{seen: map[string]string{}} }

func (c *Canaries) saw(kind, secret string) {
	if len(secret) < 8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[secret] == "" {
		c.seen[secret] = kind
	}
}

func (c *Canaries) count(kind string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.seen {
		if k == kind {
			n++
		}
	}
	return n
}

// Watch records the secrets in every served request, and in its answer.
func (c *Canaries) Watch(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent bounded // what the server reads
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &sent), r.Body}
		tee := &tee{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(tee, r)
		if tee.status >= 400 {
			return // rejected values may be shown
		}
		c.asked(r, sent.String())
		c.answered(tee)
	})
}

func (c *Canaries) asked(r *http.Request, body string) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && r.URL.Path == "/mcp" {
		c.saw("bearer", strings.TrimSpace(token))
	}
	form, err := url.ParseQuery(body)
	// introspection answers 200 to anything
	if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.Path == "/introspect" ||
		r.URL.Path == "/revoke" {
		return
	}
	for _, name := range []string{"code", "code_verifier", "refresh_token", "client_secret", "client_assertion"} {
		if v := form.Get(name); v != "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" { // of RFC 7636 appendix B, which is public
			c.saw(name, v)
		}
	}
}

func (c *Canaries) answered(t *tee) {
	for _, cookie := range (&http.Response{Header: t.Header()}).Cookies() {
		c.saw("cookie", cookie.Value)
	}
	if u, err := url.Parse(t.Header().Get("Location")); err == nil {
		c.saw("code", u.Query().Get("code"))
	}
	var members map[string]any
	if json.Unmarshal(t.body.Bytes(), &members) != nil {
		return
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "client_secret", "registration_access_token", "device_code"} {
		if v, _ := members[name].(string); v != "" {
			c.saw(name, v)
		}
	}
}

// mostOfBody bounds what is kept of a body.
const mostOfBody = 64 << 10

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, mostOfBody-b.Len()))])
	return len(p), nil
}

// tee copies an answer, up to a limit.
type tee struct {
	http.ResponseWriter
	status int
	body   bounded
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(b []byte) (int, error) {
	_, _ = t.body.Write(b) // never fails
	return t.ResponseWriter.Write(b)
}

func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }
