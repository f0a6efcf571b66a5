package suites_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/reports"
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

// One check judges the errors of each right authorization server that spells them otherwise, or keeps them to itself.
func TestFairnessOfAuthorizationErrors(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"errors with parameters in another order and spelling, state": {behaving(spelledOtherwise), nil, "AS-AUTHZ-STATE-ON-ERROR", reports.Pass},
		"errors with parameters in another order and spelling, iss":   {behaving(spelledOtherwise), nil, "AS-AUTHZ-ISS-PROMISED", reports.Pass},
		"errors at a page of the server, state":                       {behaving(keepsErrors), nil, "AS-AUTHZ-STATE-ON-ERROR", reports.Pass},
		"errors at a page of the server, iss":                         {behaving(keepsErrors), nil, "AS-AUTHZ-ISS-PROMISED", reports.Pass},
	})
}
