package session_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// registry registers clients unless refuses refuses or fails fails; typed records for each request whether it had an application_type.
type registry struct {
	mu      sync.Mutex
	typed   []bool
	refuses func(n int, typed bool) bool
	fails   func(n int) bool
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var m map[string]any
	_ = json.Unmarshal(body, &m)
	_, typed := m["application_type"]
	g.typed = append(g.typed, typed)
	if g.fails != nil && g.fails(len(g.typed)) {
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	if g.refuses != nil && g.refuses(len(g.typed), typed) {
		http.Error(w, `{"error":"invalid_client_metadata"}`, http.StatusBadRequest)
		return
	}
	m["client_id"] = "client"
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(m)
}

func open(t *testing.T, g *registry) *session.Session {
	t.Helper()
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	client := wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)})
	t.Cleanup(client.Close)
	s := session.New(client, &reports.Secrets{}, oauth.Server{Registration: server.URL},
		session.Input{Register: true, Callback: "http://127.0.0.1:1/callback"})
	s.Begin(t.Context()) // it ends after the registration, because no user can sign in here
	return s
}

// A server that refuses one registration is not treated as one that does not know application_type.
func TestOneRefusedRegistrationChangesNoOther(t *testing.T) {
	g := &registry{refuses: func(n int, _ bool) bool { return n == 2 }}
	s := open(t, g)
	c, why := s.Client(t.Context(), session.Second)
	require.NotNil(t, c, why)
	assert.Equal(t, []bool{true, true, false}, g.typed, "the refused registration is not repeated without application_type")
	assert.Contains(t, s.Metadata(oauth.None), "application_type")
}

// One server error decides for no check that needs the client.
func TestOneFailedRegistrationIsTriedAgain(t *testing.T) {
	g := &registry{fails: func(n int) bool { return n == 2 }}
	s := open(t, g)
	c, why := s.Client(t.Context(), session.Second)
	require.NotNil(t, c, why)
	assert.Len(t, g.typed, 3)
}

// A check whose time is over leaves the search for a client to the next one.
func TestACheckWithoutTimeDecidesForNoOther(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	s := open(t, &registry{fails: func(n int) bool {
		if n == 2 {
			end()
		}
		return n == 2
	}})
	c, _ := s.Client(over, session.Second)
	require.Nil(t, c)
	c, why := s.Client(t.Context(), session.Second)
	assert.NotNil(t, c, why)
}

// The first client detects a server that does not know application_type.
func TestServerWithoutApplicationType(t *testing.T) {
	g := &registry{refuses: func(_ int, typed bool) bool { return typed }}
	s := open(t, g)
	c, why := s.Client(t.Context(), session.Second)
	require.NotNil(t, c, why)
	assert.Equal(t, []bool{true, false, true, false}, g.typed)
	assert.NotContains(t, s.Metadata(oauth.None), "application_type")
}

// approving is a browser that counts the logins that start before the first approval has ended.
type approving struct {
	begun, ended, early atomic.Int32
}

func (a *approving) Authorize(_ context.Context, _ *login.Agent, start string, _ login.Route) *login.Outcome {
	if strings.HasSuffix(start, "new") {
		if a.begun.Add(1) > 1 && a.ended.Load() == 0 {
			a.early.Add(1)
		}
		time.Sleep(20 * time.Millisecond) // without turns, the others start in this time
		defer a.ended.Add(1)
	}
	return &login.Outcome{Stage: login.Answered, Params: url.Values{"code": {"a code"}}, Typed: true}
}

func (*approving) Close() {}

// A user's first approval of a client ends before another login starts.
func TestFirstApprovalRunsAlone(t *testing.T) {
	browser := &approving{}
	s := session.New(wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)}), &reports.Secrets{}, oauth.Server{},
		session.Input{Users: []login.User{{Name: "alice"}}, Driver: browser, BrowserFirst: true})
	carry := func(client string) *login.Outcome {
		agent := &login.Agent{User: s.Identity(0).User, Jar: login.NewJar()}
		return s.Carry(t.Context(), agent, "http://127.0.0.1:1/authorize?client_id="+client, login.Route{}, true)
	}
	require.Equal(t, login.Answered, carry("known").Stage) // alice's password was right
	var flows sync.WaitGroup
	for range 8 {
		flows.Go(func() { carry("new") })
	}
	flows.Wait()
	assert.EqualValues(t, 8, browser.ended.Load())
	assert.Zero(t, browser.early.Load(), "another flow began during the first approval")
}

// failing is a browser that fails the first few times.
type failing struct{ fails, tries int }

func (f *failing) Authorize(context.Context, *login.Agent, string, login.Route) *login.Outcome {
	if f.tries++; f.tries <= f.fails {
		return &login.Outcome{Stage: login.Failed, Why: "the browser failed"}
	}
	return &login.Outcome{Stage: login.Answered}
}

func (*failing) Close() {}

// A browser that fails once is tried again. The first login is not, because no driver may be able to handle its page.
func TestBrowserThatFailsIsTriedAgain(t *testing.T) {
	carry := func(browser *failing, first bool) login.Stage {
		s := session.New(wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)}), &reports.Secrets{}, oauth.Server{},
			session.Input{Users: []login.User{{Name: "alice"}}, Driver: browser, BrowserFirst: true, Recipe: &target.Recipe{}})
		agent := &login.Agent{User: s.Identity(0).User, Jar: login.NewJar(), Send: func(wire.Request) *reports.Exchange {
			return &reports.Exchange{Response: &reports.Response{Status: 200, Body: "<p>Please wait.</p>",
				Header: []reports.Field{{Name: "Content-Type", Value: "text/html"}}}}
		}}
		return s.Carry(t.Context(), agent, "http://127.0.0.1:1/authorize", login.Route{}, first).Stage
	}
	assert.Equal(t, login.Answered, carry(&failing{fails: 1}, false))
	assert.Equal(t, login.Failed, carry(&failing{fails: 2}, false))
	once := &failing{fails: 1}
	assert.Equal(t, login.Failed, carry(once, true))
	assert.Equal(t, 1, once.tries)
}
