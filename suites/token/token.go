// Package token holds the checks on the token endpoint (OAuth 2.1 section 3.2).
package token

import (
	"net/url"

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
	Describe("OAuth 2.1 section 3.2.3: Token Response", success)
	Describe("OAuth 2.1 section 3.2.2: Token Request", requests)
	Describe("OAuth 2.1 section 4.1.3: Token Endpoint Extension", codes)
	Describe("OAuth 2.1 section 2.4: Client Authentication", clientAuthentication)
	Describe("OAuth 2.1 section 3.2.4: Error Response, to a client that is not known", unknownClient)
	Describe("OAuth 2.1 section 3.2.4: Error Response", errorResponses)
	Describe("OAuth 2.1 section 1.4: Access Token", expiry)
	Describe("OAuth 2.1 section 7.1.4: Access Token Privilege Restriction", audiences)
}

func unknownClient() {
	// Clients whose registration was lost learn from invalid_client that they must register again.
	Must("AS-TOKEN-UNKNOWN-CLIENT", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			endpoint := m.Object.String("token_endpoint")
			if endpoint == "" {
				t.NotApplicable("the metadata names no token_endpoint (AS-META-REQUIRED-FIELDS)")
			}
			unknown := "mcpauth-unknown-" + Random(9)
			for _, form := range []url.Values{
				{"grant_type": {"authorization_code"}, "code": {"mcpauth"}, "client_id": {unknown}, "code_verifier": {Random(32)}, "redirect_uri": {"http://127.0.0.1:8765/callback"}},
				{"grant_type": {"refresh_token"}, "refresh_token": {"mcpauth"}, "client_id": {unknown}},
			} {
				ex := t.Do(wire.Request{Method: "POST", URL: endpoint, Body: form.Encode(), Header: []reports.Field{
					mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "application/json"),
				}})
				judge(t, ex, form.Get("grant_type"))
			}
		})
	})
}

func judge(t *T, ex *reports.Exchange, grant string) {
	code := ""
	if ex.Response != nil {
		if o, _, err := document.ParseObject(ex.Response.Body); err == nil {
			code = o.String("error")
		}
	}
	const want = "invalid_client, with HTTP 400 or 401"
	switch s := expect.Status(ex); {
	case s == 0 || s >= 500 || s < 400:
		t.Unmet(ex, want, "%s for grant_type %s", expect.Describe(ex), grant)
	case code != "invalid_client":
		t.Advise(ex, want, "%s and error %q for grant_type %s", expect.Describe(ex), code, grant)
	case s != 400 && s != 401:
		t.Advise(ex, want, "%s for grant_type %s", expect.Describe(ex), grant)
	}
}
