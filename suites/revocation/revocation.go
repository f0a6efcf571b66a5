// Package revocation holds the checks on token revocation (RFC 7009).
package revocation

import (
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 8414 section 2: revocation_endpoint", advertised)
	Describe("RFC 7009 section 2.1: Revocation Request", requests)
	Describe("RFC 7009 section 2.1: what a revocation brings about", effects)
}

func advertised() {
	Should("AS-REVOKE-ADVERTISED", func(t *T) {
		t.AS.Each(func(s *survey.Server, m *survey.Document) {
			if m.Object.String("revocation_endpoint") != "" {
				return
			}
			for _, path := range []string{"/revoke", "/oauth/revoke", "/oauth2/revoke"} {
				ex := t.Do(wire.Request{Method: "POST", URL: strings.TrimSuffix(s.Issuer, "/") + path, Body: "token=mcpauth", Header: []reports.Field{
					mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "application/json"),
				}})
				if answersLikeRevocation(ex) {
					t.Unmet(ex, "revocation_endpoint in the metadata, since the endpoint exists", "%s at %s", expect.Describe(ex), path)
				}
			}
		})
	})
}

// answersLikeRevocation looks for an OAuth error: a 200 alone may be any page.
func answersLikeRevocation(ex *reports.Exchange) bool {
	if s := expect.Status(ex); s != 400 && s != 401 {
		return false
	}
	o, _, err := document.ParseObject(ex.Response.Body)
	if err != nil {
		return false
	}
	switch o.String("error") {
	case "invalid_client", "invalid_request", "unsupported_token_type":
		return true
	}
	return false
}
