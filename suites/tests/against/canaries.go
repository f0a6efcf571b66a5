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
	canaries := &canaries{seen: map[string]string{}}
	o := reference.Ideal()
	vary(&o)
	o.Wrap = canaries.watch
	r := Start(t, o)
	cfg := SigningIn(r)
	cfg.BrowserNoSandbox, cfg.KeepBasis, cfg.Identify = true, true, true // everything that a certificate contains
	declare(&cfg)
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	held := append(r.IDP.Secrets(), r.MCP.ServiceKey, r.MCP.SharedSecret)
	if r.Upstream != nil {
		held = append(held, r.Upstream.Secrets()...)
	}
	for _, s := range held {
		canaries.saw("what a server holds", s)
	}
	for _, c := range r.MCP.Static {
		canaries.saw(c.Name, c.Value)
	}
	for _, kind := range kinds {
		require.Greater(t, canaries.count(kind), 0, "no %s was seen", kind)
	}
	parts := map[string]string{} // spelling -> kind
	for secret, kind := range canaries.seen {
		for _, s := range spellings(secret) {
			parts[s] = kind
		}
	}
	all := Texts(t, run)
	maps.Copy(all, more(run))
	secrets := substrings.Of(slices.Collect(maps.Keys(parts))...)
	for name, text := range all {
		for _, found := range secrets.In(text) {
			t.Errorf("%s holds %.14s… of a secret: %s", name, found, parts[found])
		}
	}
	for _, c := range r.MCP.Static { // not in upper case either: near misses are derived from it
		assert.NotContains(t, strings.ToUpper(all["json"]), strings.ToUpper(c.Value)[4:24], c.Name)
	}
	assert.Zero(t, r.IDP.Clients(), "clients were not deleted")
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

// canaries collects the secrets that the server issues and accepts.
type canaries struct {
	mu   sync.Mutex
	seen map[string]string // secret -> kind
}

func (c *canaries) saw(kind, secret string) {
	if len(secret) < 8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[secret] == "" {
		c.seen[secret] = kind
	}
}

func (c *canaries) count(kind string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.seen {
		if k == kind {
			n++
		}
	}
	return n
}

// watch records the secrets in every served request, and in its answer.
func (c *canaries) watch(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body) // a part is enough
		r.Body = io.NopCloser(bytes.NewReader(sent))
		tee := &tee{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(tee, r)
		if tee.status >= 400 {
			return // rejected values may be shown
		}
		c.asked(r, string(sent))
		c.answered(tee)
	})
}

func (c *canaries) asked(r *http.Request, body string) {
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

func (c *canaries) answered(t *tee) {
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

// tee copies an answer, up to a limit.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(b []byte) (int, error) {
	if t.body.Len() < 64<<10 {
		t.body.Write(b)
	}
	return t.ResponseWriter.Write(b)
}

func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }
