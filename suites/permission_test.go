package suites_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/reference"
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
	cfg := against.WithoutCost(against.SigningIn(r))
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

// Wrong secrets may lock a client that its owner uses for other things.
func TestNobodyTriesSecretsOfMachinesWithoutPermission(t *testing.T) {
	t.Parallel()
	for permitted, wrong := range map[bool]bool{false: false, true: true} {
		var tried atomic.Bool
		o := reference.Ideal()
		var right string
		o.Behaviour.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := answer.Peek(r)
				form, _ := url.ParseQuery(string(body))
				_, secret, _ := r.BasicAuth()
				secret = cmp.Or(secret, form.Get("client_secret"))
				if strings.HasSuffix(r.URL.Path, "/token") && secret != "" && secret != right {
					tried.Store(true)
				}
				next.ServeHTTP(w, r)
			})
		}
		r := against.Start(t, o)
		right = r.Machines[0].Secret
		cfg := against.SigningIn(r)
		cfg.Skip, cfg.Only, cfg.AllowIntrusive = nil, []string{"AS-CC-SECRET-FLOW"}, &permitted
		run, err := against.Evaluate(t, cfg)
		require.NoError(t, err)
		require.NotEmpty(t, run.Results)
		for _, result := range run.Results {
			assert.Equal(t, reports.Pass, result.Verdict, result.Reason)
		}
		assert.Equal(t, wrong, tried.Load(), permitted)
	}
}
