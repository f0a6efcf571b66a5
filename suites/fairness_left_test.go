package suites_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// spelledOtherwise sends errors to the client with their parameters in another order, with spaces as %20 and with lower-case digits in
// percent-encoding, and with parameters of its own.
func spelledOtherwise(b *idp.Behaviour) {
	escape := func(s string) string {
		s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
		for _, digits := range []string{"A", "B", "C", "D", "E", "F"} {
			for _, high := range "234567" {
				s = strings.ReplaceAll(s, "%"+string(high)+digits, "%"+string(high)+strings.ToLower(digits))
			}
		}
		return s
	}
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/", func(_ *http.Request, a *answer.Answer) {
			to, err := url.Parse(a.Fields.Get("Location"))
			if err != nil || to.Query().Get("error") == "" {
				return
			}
			parts := []string{"error_uri=" + escape("https://docs.example/errors#a"), "session_state=abc.def"}
			for name, values := range to.Query() {
				parts = append(parts, name+"="+escape(values[0]))
			}
			slices.Sort(parts)
			slices.Reverse(parts)
			to.RawQuery = strings.Join(parts, "&")
			a.Fields.Set("Location", to.String())
		})
	}
}

// keepsErrors shows errors about the request on a page of its own, but for those about the user.
func keepsErrors(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/authorize", func(_ *http.Request, a *answer.Answer) {
			to, err := url.Parse(a.Fields.Get("Location"))
			if err != nil || to.Query().Get("error") == "" || strings.HasSuffix(to.Query().Get("error"), "_required") {
				return
			}
			a.Status = http.StatusBadRequest
			a.Fields.Del("Location")
			a.Fields.Set("Content-Type", "text/html")
			a.Body.Reset()
			_, _ = io.WriteString(&a.Body, "<!doctype html><title>Error</title><p>The application asks for what this server does not know.")
		})
	}
}

// refreshesOnce issues refresh tokens at a refresh that nobody can use: a grant ends with its second refresh.
func refreshesOnce(b *idp.Behaviour) {
	var mu sync.Mutex
	second := map[string]bool{}
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			if !strings.HasSuffix(r.URL.Path, "/token") || form.Get("grant_type") != "refresh_token" {
				next.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			ended := second[form.Get("refresh_token")]
			mu.Unlock()
			if ended {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Cache-Control", "no-store")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"sign in again"}`)
				return
			}
			a := answer.Of(next, r)
			var issued struct {
				Refresh string `json:"refresh_token"`
			}
			if json.Unmarshal(a.Body.Bytes(), &issued) == nil && issued.Refresh != "" {
				mu.Lock()
				second[issued.Refresh] = true
				mu.Unlock()
			}
			a.Send(w)
		})
	}
}

// forgetsCompletedTasks knows a task no longer once its result was fetched.
func forgetsCompletedTasks(o *reference.Options) {
	var gone sync.Map
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var m struct {
				ID     json.RawMessage
				Method string
				Params struct{ TaskID string }
			}
			if json.Unmarshal(answer.Peek(r), &m) != nil || !strings.HasPrefix(m.Method, "tasks/") {
				next.ServeHTTP(w, r)
				return
			}
			if _, is := gone.Load(m.Params.TaskID); is && r.Header.Get("Authorization") != "" {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"error":{"code":-32602,"message":"Task not found"}}`)
				return
			}
			a := answer.Of(next, r)
			if m.Method == "tasks/result" && strings.Contains(a.Body.String(), `"content"`) {
				gone.Store(m.Params.TaskID, true)
			}
			a.Send(w)
		})
	}
}

// opaqueToClients issues access tokens that say nothing to their clients; introspection does.
func opaqueToClients(o *reference.Options) { o.Behaviour.Opaque = "at_" }

// One check judges each right server that spells errors otherwise, keeps them, refreshes once, or forgets tasks.
func TestFairnessOfErrorsAndSecondTries(t *testing.T) {
	t.Parallel()
	onlyStateful := func(c *suites.Config) { c.Revisions = []string{"2025-11-25"} }
	expectFairness(t, map[string]fairness{
		"errors with parameters in another order and spelling, state": {behaving(spelledOtherwise), nil, "AS-AUTHZ-STATE-ON-ERROR", reports.Pass},
		"errors with parameters in another order and spelling, iss":   {behaving(spelledOtherwise), nil, "AS-AUTHZ-ISS-PROMISED", reports.Pass},
		"errors at a page of the server, state":                       {behaving(keepsErrors), nil, "AS-AUTHZ-STATE-ON-ERROR", reports.Pass},
		"errors at a page of the server, iss":                         {behaving(keepsErrors), nil, "AS-AUTHZ-ISS-PROMISED", reports.Pass},
		"a grant that is refreshed once, works":                       {behaving(refreshesOnce), nil, "AS-REFRESH-WORKS", reports.Pass},
		"a grant that is refreshed once, resources":                   {behaving(refreshesOnce), nil, "AS-REFRESH-RESOURCE", reports.Pass},
		"a grant that is refreshed once, scopes":                      {behaving(refreshesOnce), nil, "AS-REFRESH-SCOPE-WIDEN", reports.Pass},
		"a grant that is refreshed once, old tokens":                  {behaving(refreshesOnce), nil, "AS-REFRESH-OLD-DIES", reports.Pass},
		"a grant that is refreshed once, revoked":                     {behaving(refreshesOnce), nil, "AS-REVOKE-REFRESH-TOKEN", reports.Pass},
		"a grant that is refreshed once, users":                       {behaving(refreshesOnce), nil, "AS-REFRESH-SAME-USER", reports.Pass},
		"completed tasks are forgotten": {forgetsCompletedTasks, onlyStateful,
			"RS-SESSION-TASK-OWNERSHIP", reports.Pass},
		"opaque tokens that are bound to keys, alone":      {opaqueToClients, byLogin, "RS-DPOP-DOWNGRADE", reports.Pass},
		"opaque tokens that are bound to keys, and proofs": {opaqueToClients, byLogin, "RS-DPOP-PROOF", reports.Pass},
	})
}
