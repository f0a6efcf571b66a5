package suites_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

const secondLink = "connect_calendar"

// linkingTwice declares a second tool that sends its user to a URL.
func linkingTwice(c *suites.Config) {
	c.Tools = append(slices.Clone(c.Tools), suites.Tool{Name: secondLink, Elicits: true})
}

// named replaces the name of the second tool in a request.
func named(r *http.Request, tool string) {
	body, _ := io.ReadAll(r.Body)
	body = bytes.ReplaceAll(body, []byte(secondLink), []byte(tool))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if r.Header.Get("Mcp-Name") == secondLink {
		r.Header.Set("Mcp-Name", tool)
	}
}

// sharingAccounts has a second tool for the same account as the first.
func sharingAccounts(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			named(r, "connect_account")
			next.ServeHTTP(w, r)
		})
	}
}

// linkingByVisit has a second tool whose account any visit of its URL links.
func linkingByVisit(o *reference.Options) {
	const path = "/calendar/"
	var linked sync.Map // by credential
	var asked atomic.Value
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			credential := r.Header.Get("Authorization")
			_, done := linked.Load(credential)
			switch second := bytes.Contains(body, []byte(secondLink)); {
			case strings.HasPrefix(r.URL.Path, path):
				linked.Store(asked.Load(), true)
			case second && done:
				named(r, "whoami")
				next.ServeHTTP(w, r)
			case second:
				asked.Store(credential)
				named(r, "connect_account")
				answer := httptest.NewRecorder()
				next.ServeHTTP(answer, r)
				for name, values := range answer.Header() {
					w.Header()[name] = values
				}
				w.WriteHeader(answer.Code)
				_, _ = io.WriteString(w, strings.ReplaceAll(answer.Body.String(), "/connect/", path))
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}

// Each declared tool that sends its user to a URL is judged, not the first one only.
func TestFairnessOfLinks(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"two tools that link one account":    {sharingAccounts, linkingTwice, "RS-ELICIT-URL-USER-BOUND", reports.Pass},
		"any visit links the second account": {linkingByVisit, linkingTwice, "RS-ELICIT-URL-USER-BOUND", reports.Fail},
	})
}
