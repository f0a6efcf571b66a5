package suites_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// With declared clients and without --register, no check registers a client: not even one that could do with another.
func TestNobodyRegistersWithoutPermission(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var registered []string
	o := reference.Ideal()
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/register") {
				body := answer.Peek(r)
				var m struct {
					Name string `json:"client_name"` // a request that only tries whether the endpoint is open has none
				}
				_ = json.Unmarshal(body, &m)
				mu.Lock()
				registered = append(registered, m.Name)
				mu.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	}
	r := against.Start(t, o)
	const callback = "http://127.0.0.1:8765/callback"
	cfg := against.Part(t, against.WithoutCost(against.SigningIn(r)))
	for id, secret := range map[string]string{"declared-1": "", "declared-2": "", "declared-3": "a-secret-of-a-declared-client-0123456789"} {
		r.IDP.AddClient(id, secret, callback)
		method := map[bool]string{true: "none", false: "client_secret_basic"}[secret == ""]
		cfg.Clients = append(cfg.Clients, suites.Client{ID: id, Secret: secret, Method: method, RedirectURI: callback})
	}
	no := false
	cfg.Register = &no
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	require.NotEmpty(t, run.Results)
	for _, result := range run.Results { // what cannot be registered is not a failure of the server
		assert.NotContains(t, result.Reason, "nothing was sent", result.ID)
	}
	assert.Empty(t, slices.DeleteFunc(registered, func(name string) bool { return name == "" }))
}

// secretsTried records which clients somebody names with another secret than their own. The secret may be empty.
type secretsTried struct {
	right map[string]string // of the declared clients
	mu    sync.Mutex
	found map[string]bool
}

func (s *secretsTried) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := answer.Peek(r)
		form, _ := url.ParseQuery(string(body))
		id, secret, sent := r.BasicAuth()
		if !sent {
			id, secret, sent = form.Get("client_id"), form.Get("client_secret"), form.Has("client_secret")
		}
		if right := s.right[id]; sent && right != "" && secret != right {
			s.mu.Lock()
			s.found[id+" at "+r.URL.Path] = true
			s.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// asDeclared adds clients that the user declares: a public one, one with a secret, and a resource server.
func asDeclared(r *reference.Reference, cfg *suites.Config, tried *secretsTried) {
	const callback = "http://127.0.0.1:8765/callback"
	tried.right = map[string]string{"own-public": "", "own-secret": "a-secret-of-a-declared-client-0123456789",
		"own-resource-server": "a-secret-of-a-resource-server-0123456789", r.Machines[0].ID: r.Machines[0].Secret}
	for _, id := range []string{"own-public", "own-secret", "own-resource-server"} {
		secret := tried.right[id]
		r.IDP.AddClient(id, secret, callback)
		c := suites.Client{ID: id, Secret: secret, Method: map[bool]string{true: "none", false: "client_secret_basic"}[secret == ""]}
		if id == "own-resource-server" {
			c.Introspects = true
		} else {
			c.RedirectURI = callback
		}
		cfg.Clients = append(cfg.Clients, c)
	}
}

// signingInAsDeclared starts a reference behind a wrapper, with clients that the user declares.
func signingInAsDeclared(t *testing.T, tried *secretsTried, wrap func(http.Handler) http.Handler) (*reference.Reference, suites.Config) {
	t.Helper()
	o := reference.Ideal()
	o.Behaviour.Wrap = wrap
	r := against.Start(t, o)
	cfg := against.SigningIn(r)
	asDeclared(r, &cfg, tried)
	return r, cfg
}

// Wrong secrets may lock a client that its owner uses for other things: no check tries one without permission.
func TestNobodyTriesSecretsOfDeclaredClientsWithoutPermission(t *testing.T) {
	t.Parallel()
	no, tried := false, &secretsTried{found: map[string]bool{}}
	_, cfg := signingInAsDeclared(t, tried, tried.watch)
	cfg = against.WithoutCost(cfg)
	cfg.AllowIntrusive = &no
	if !whole.All(t) { // where clients authenticate
		cfg.Only = slices.Concat(guessing, []string{"AS-TOKEN-*", "AS-CC-*", "AS-INTROSPECT-*", "AS-PAR-*", "AS-REVOKE-*", "AS-TX-*",
			"AS-DEVICE-*"})
	}
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	assert.Empty(t, tried.found)
	noted := map[string]bool{}
	for _, result := range run.Results {
		noted[result.ID] = strings.Contains(strings.Join(result.Notes, " "), "wrong secrets of the client: not tried")
		if slices.Contains(guessing, result.ID) {
			want := reports.Pass
			if slices.Contains(aboutSecrets, result.ID) {
				want = reports.NotTested
			}
			assert.Equal(t, want, result.Verdict, result.ID+": "+result.Reason)
		}
	}
	for _, id := range guessing {
		assert.True(t, noted[id], id)
	}
}

// guessing are the checks that try wrong secrets and that need no permission for the rest.
var guessing = []string{"AS-CC-SECRET-FLOW", "AS-INTROSPECT-BAD-CREDENTIALS", "AS-PAR-BASIC", "AS-REFRESH-CONFIDENTIAL-AUTH",
	"AS-TOKEN-INVALID-CLIENT-BASIC"}

// aboutSecrets must not pass where no wrong secret is tried.
var aboutSecrets = []string{"AS-INTROSPECT-BAD-CREDENTIALS", "AS-REFRESH-CONFIDENTIAL-AUTH"}

// A server may answer 400 to all that is tried without permission, which does not show its challenge.
func TestFailedBasicAuthenticationPassesOnlyWhereItIsSeen(t *testing.T) {
	t.Parallel()
	no, tried := false, &secretsTried{found: map[string]bool{}}
	_, cfg := signingInAsDeclared(t, tried, func(next http.Handler) http.Handler {
		return answer.Changed(next, "/token", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusUnauthorized {
				a.Status = http.StatusBadRequest
				a.Header().Del("WWW-Authenticate")
			}
		})
	})
	cfg.Skip, cfg.Only, cfg.AllowIntrusive = nil, []string{"AS-TOKEN-INVALID-CLIENT-BASIC"}, &no
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	for _, result := range run.Results {
		assert.Equal(t, reports.NotTested, result.Verdict, result.Reason)
		assert.Len(t, result.Notes, 1, result.Notes)
	}
}

func TestSecretsAreTriedWithPermission(t *testing.T) {
	t.Parallel()
	yes, tried := true, &secretsTried{found: map[string]bool{}}
	r, cfg := signingInAsDeclared(t, tried, tried.watch)
	cfg.Skip, cfg.Only, cfg.AllowIntrusive = nil, guessing, &yes
	_, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	for _, at := range []string{"own-secret at /token", "own-secret at /par", "own-resource-server at /introspect",
		r.Machines[0].ID + " at /token"} {
		assert.True(t, tried.found[at], at)
	}
}

// A user who approved a declared client in an earlier run may not be asked again, which says nothing about consent pages.
func TestConsentOfAnEarlierRunIsNoAbsence(t *testing.T) {
	t.Parallel()
	no, o := false, reference.Ideal()
	withoutPrompt(&o.Behaviour)
	askingOnce(&o.Behaviour)
	r := against.Start(t, o)
	cfg := against.SigningIn(r)
	asDeclared(r, &cfg, &secretsTried{})
	cfg.Register, cfg.Skip = &no, nil
	const honoured = "AS-SCOPE-CONSENT-HONOURED" // asks for a scope that the user has deselected, for which the page comes
	cfg.Only = []string{"AS-AUTHZ-DENY", "AS-AUTHZ-SUBJECT-CORRECT", "AS-AUTHZ-TRANSACTION-BINDING", "AS-CONSENT-CSRF", honoured}
	against.Run(t, cfg)
	for _, r := range against.Run(t, cfg).Results {
		if r.ID == honoured {
			assert.Equal(t, reports.Pass, r.Verdict, r.Reason)
			assert.Contains(t, strings.Join(r.Notes, " "), "not asked about")
			continue
		}
		assert.Equal(t, reports.NotTested, r.Verdict, "%s: %s", r.ID, r.Reason)
		assert.Contains(t, r.Reason, "approved the client before", r.ID)
	}
}

// A client that exchanges tokens, and that may not have refresh tokens, does not leave the exchange of revoked tokens undecided.
func TestAnExchangeNeedsNoRefreshToken(t *testing.T) {
	t.Parallel()
	no, o := false, reference.Ideal()
	offlineOnly(&o)
	reading(&o.Behaviour, func(q url.Values) {
		if q.Get("client_id") == "own-secret" && strings.Contains(q.Get("scope"), "offline_access") {
			q.Set("scope", "mcpauth:unknown")
		}
	})
	r := against.Start(t, o)
	cfg := against.SigningIn(r)
	asDeclared(r, &cfg, &secretsTried{})
	cfg.Register, cfg.Skip, cfg.Only = &no, nil, []string{"AS-TX-VALIDATION"}
	for _, r := range against.Run(t, cfg).Results {
		assert.Equal(t, reports.Pass, r.Verdict, "%s: %s", r.ID, r.Reason)
	}
}
