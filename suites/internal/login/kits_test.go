package login

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/kits"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

const kitCallback = "http://127.0.0.1:8765/callback"

// kit starts the pages of a product, with an agent whose user types a password.
func kit(t *testing.T, k kits.Kit, password string) (s *kits.Server, agent *Agent, start string) {
	t.Helper()
	s = kits.New(k, "alice", "alice-7-looking-glass")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c := wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)})
	t.Cleanup(c.Close)
	agent = &Agent{Jar: NewJar(), User: &User{Name: "alice", Password: password}, Secrets: &reports.Secrets{}}
	agent.Send = func(r wire.Request) *reports.Exchange { return c.Do(t.Context(), "test", r) }
	return s, agent, server.URL + "/authorize?scope=notes:read&state=s&redirect_uri=" + kitCallback
}

// The agent reaches a code through the pages of well-known products, and sends only what a user would send.
func TestPlainFormsOfWellKnownPages(t *testing.T) {
	for _, k := range kits.All {
		t.Run(k.Name, func(t *testing.T) {
			s, agent, start := kit(t, k, "alice-7-looking-glass")
			o := agent.Walk(start, Route{RedirectURI: kitCallback})
			if k.Scripted {
				assert.Equal(t, NeedsScript, o.Stage, o.Why)
				assert.Contains(t, o.Why, "needs a browser")
				assert.Zero(t, s.Typed())
				return
			}
			assert.Empty(t, s.Problems())
			assert.Equal(t, Answered, o.Stage, o.Why)
			assert.NotEmpty(t, o.Params.Get("code"))
			assert.Equal(t, "s", o.Params.Get("state"))
			assert.Equal(t, 1, s.Typed())
			assert.True(t, o.SignedIn)
			assert.Equal(t, asks(k), o.Consented)
		})
	}
}

// asks reports whether a product has a consent page.
func asks(k kits.Kit) bool {
	for _, s := range k.Steps {
		if s.Consent {
			return true
		}
	}
	return false
}

// An agent that must stop at consent stops at the consent page, and at no other.
func TestPlainFormsStopAtTheConsentPage(t *testing.T) {
	for _, k := range kits.All {
		if k.Scripted || !asks(k) {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			s, agent, start := kit(t, k, "alice-7-looking-glass")
			o := agent.Walk(start, Route{RedirectURI: kitCallback, Decision: Leave})
			assert.Empty(t, s.Problems())
			assert.Equal(t, AtConsent, o.Stage, o.Why)
		})
	}
}

// The agent types a wrong password once, and reports that it was refused, whatever the page shows.
func TestAWrongPasswordIsTypedOnce(t *testing.T) {
	for _, k := range kits.All {
		if k.Scripted {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			s, agent, start := kit(t, k, "wrong")
			o := agent.Walk(start, Route{RedirectURI: kitCallback})
			want := Refused
			if k.Wrong == kits.ErrorPage {
				want = ErrorPage
			}
			assert.Equal(t, want, o.Stage, o.Why)
			assert.Contains(t, o.Why, "Invalid credentials")
			assert.Equal(t, 1, s.Typed())
		})
	}
}

func TestBrowserOnWellKnownPages(t *testing.T) {
	t.Parallel()
	if _, err := FindBrowser(""); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("INCONCLUSIVE: %v", err)
	}
	c := wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)})
	defer c.Close()
	b := &Browser{NoSandbox: true, Client: c}
	defer b.Close()
	for _, k := range kits.All {
		t.Run(k.Name, func(t *testing.T) {
			s, agent, start := kit(t, k, "alice-7-looking-glass")
			o := b.Authorize(t.Context(), agent, start, Route{RedirectURI: kitCallback})
			assert.Empty(t, s.Problems())
			assert.Equal(t, Answered, o.Stage, o.Why)
			assert.NotEmpty(t, o.Params.Get("code"))
			assert.Equal(t, 1, s.Typed())
			assert.Equal(t, asks(k), o.Consented)

			wrong := *agent
			wrong.Jar, wrong.User = NewJar(), &User{Name: "alice", Password: "wrong"}
			o = b.Authorize(t.Context(), &wrong, start, Route{RedirectURI: kitCallback})
			assert.Contains(t, []Stage{Refused, ErrorPage}, o.Stage, o.Why)
			assert.Contains(t, o.Why, "Invalid credentials")
			assert.Equal(t, 2, s.Typed())
		})
	}
}
