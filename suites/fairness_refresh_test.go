package suites_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

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

// endsOne ends one grant, such as with the login of its browser, before its code or its refresh token is used: the n-th, from 1.
func endsOne(grant string, n int32) func(b *idp.Behaviour) {
	return func(b *idp.Behaviour) {
		var served atomic.Int32
		b.Wrap = func(next http.Handler) http.Handler {
			return answer.Changed(next, "/token", func(r *http.Request, a *answer.Answer) {
				if r.FormValue("grant_type") == grant && a.Status == http.StatusOK && served.Add(1) == n {
					a.Status = http.StatusBadRequest
					a.Say(`{"error":"invalid_grant"}`)
				}
			})
		}
	}
}

// withheld is a scope that no user is granted, without a word at the consent page.
func withheld(scope string) func(b *idp.Behaviour) {
	without := func(scopes string) string {
		return strings.Join(slices.DeleteFunc(strings.Fields(scopes), func(s string) bool { return s == scope }), " ")
	}
	return func(b *idp.Behaviour) {
		b.AccessToken = func(_, claims map[string]any) {
			scopes, _ := claims["scope"].(string)
			claims["scope"] = without(scopes)
		}
		b.Wrap = func(next http.Handler) http.Handler {
			return answer.Changed(next, "/token", func(_ *http.Request, a *answer.Answer) {
				var tokens map[string]any
				if scopes := ""; json.Unmarshal(a.Body.Bytes(), &tokens) == nil && tokens["access_token"] != nil {
					scopes, _ = tokens["scope"].(string)
					tokens["scope"] = without(scopes)
					text, _ := json.Marshal(tokens)
					a.Say(string(text))
				}
			})
		}
	}
}

// Two scopes that the user is granted are enough, wherever they are in the list.
func TestFairnessOfScopesThatAreWithheld(t *testing.T) {
	t.Parallel()
	three := func(c *suites.Config) { c.Scopes = []string{"notes:read", "notes:write", "notes:admin"} }
	rows := map[string]fairness{}
	for _, scope := range []string{"notes:read", "notes:write", "notes:admin"} {
		rows[scope] = fairness{behaving(withheld(scope)), three, "AS-REFRESH-SCOPE-NARROW", reports.Pass}
	}
	expectFairness(t, rows)
}

// A control whose grant was ended elsewhere is sent once more, with a new login.
func TestFairnessOfGrantsThatEndElsewhere(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"before its first refresh": {behaving(endsOne("refresh_token", 4)), nil, "AS-REFRESH-INVALID", reports.Pass},
		"before its code is used":  {behaving(endsOne("authorization_code", 3)), nil, "AS-TOKEN-INVALID-CODE", reports.Pass},
	})
}

// One check judges each right authorization server whose grants are refreshed once.
func TestFairnessOfGrantsThatAreRefreshedOnce(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"works":      {behaving(refreshesOnce), nil, "AS-REFRESH-WORKS", reports.Pass},
		"resources":  {behaving(refreshesOnce), nil, "AS-REFRESH-RESOURCE", reports.Pass},
		"scopes":     {behaving(refreshesOnce), nil, "AS-REFRESH-SCOPE-WIDEN", reports.Pass},
		"old tokens": {behaving(refreshesOnce), nil, "AS-REFRESH-OLD-DIES", reports.Pass},
		"revoked":    {behaving(refreshesOnce), nil, "AS-REVOKE-REFRESH-TOKEN", reports.Pass},
		"users":      {behaving(refreshesOnce), nil, "AS-REFRESH-SAME-USER", reports.Pass},
	})
}
