// Package registration holds the checks on how clients get an identifier (RFC 7591, RFC 7592).
package registration

import (
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
	Describe("RFC 7591 section 3: Client Registration Endpoint", open)
	Describe("RFC 7591 section 3.2.1: Client Information Response", answer)
	Describe("RFC 7591 section 2: redirect_uris", redirectURIs)
	Describe("RFC 7591 section 2: Client Metadata", metadata)
	Describe("RFC 7592: Client Configuration Endpoint", management)
}

func open() {
	May("AS-DCR-SUPPORTED", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			endpoint := m.Object.String("registration_endpoint")
			if endpoint == "" {
				t.Unmet(m.Exchange, "a registration_endpoint that is open", "the metadata names none")
				return
			}
			if t.Session == nil || !t.Session.Register { // nothing is left at a server that nobody gave us leave to use
				ex := t.Do(post(t, endpoint, invalid))
				if s := expect.Status(ex); s == 401 || s == 403 || s == 404 || s == 405 {
					t.Unmet(ex, "a registration_endpoint that is open", "%s", expect.Describe(ex))
					return
				}
				t.NotTested("the endpoint answers; whether it registers a client is tried with --register only")
			}
			ex := t.Do(post(t, endpoint, minimal))
			leaveNothing(t, ex)
			if expect.Status(ex) != 201 {
				t.Unmet(ex, "201 for a minimal public client", "%s", expect.Describe(ex))
				return
			}
			if o, _, err := document.ParseObject(ex.Response.Body); err != nil || o.String("client_id") == "" {
				t.Unmet(ex, "a client_id in the answer", "it is absent")
			}
		})
	})

	Should("AS-REG-SOME-WAY", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			cimd, _ := m.Object.Bool("client_id_metadata_document_supported")
			if m.Object.String("registration_endpoint") == "" && !cimd && m.Object.String("service_documentation") == "" {
				t.Unmet(m.Exchange, "a way for an unknown client to get an identifier", "no registration_endpoint, no client ID metadata documents, no service_documentation")
			}
		})
	})

	May("AS-DCR-PROTECTED-401", func(t *T) {
		protected := false
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			endpoint := m.Object.String("registration_endpoint")
			if endpoint == "" {
				return
			}
			without := t.Do(post(t, endpoint, invalid))
			if s := expect.Status(without); s != 401 && s != 403 {
				return
			}
			protected = true
			with := t.Do(post(t, endpoint, invalid, mcp.Bearer(survey.BogusToken)))
			t.Expect(with, "registration with a bad initial access token").To(expect.Refuse(401, 403))
			if expect.Status(without) == 401 {
				t.Expect(without, "registration without an initial access token").To(expect.HaveChallenge())
			}
		})
		if !protected {
			t.NotApplicable("registration is open, or not offered")
		}
	})
}

// invalid registers nothing even where registration is open.
const invalid = `{"redirect_uris":"mcpauth: not an array"}`

const minimal = `{"client_name":"mcpauth conformance","redirect_uris":["http://127.0.0.1:8765/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`

// post is a registration written out. What it makes is deleted at the end, also where the check is ended before.
func post(t *T, endpoint, body string, fields ...reports.Field) wire.Request {
	return wire.Request{Method: "POST", URL: endpoint, Body: body, Header: append([]reports.Field{
		mcp.Field("Content-Type", "application/json"), mcp.Field("Accept", "application/json"),
	}, fields...), Done: func(ex *reports.Exchange) {
		if t.Session != nil {
			t.Session.Registered(ex, nil)
		}
	}}
}

// leaveNothing deletes a registration by RFC 7592 where that is offered, and says so where it is not.
func leaveNothing(t *T, ex *reports.Exchange) {
	if ex.Response == nil || ex.Response.Status > 299 {
		return
	}
	o, _, err := document.ParseObject(ex.Response.Body)
	if err != nil {
		return
	}
	t.Secrets.Add("registration_access_token", o.String("registration_access_token"))
	t.Secrets.Add("client_secret", o.String("client_secret"))
	uri, token := o.String("registration_client_uri"), o.String("registration_access_token")
	if uri != "" && token != "" && sameHost(uri, ex.Request.URL) {
		deleted := t.Do(wire.Request{Method: "DELETE", URL: uri, Header: []reports.Field{mcp.Bearer(token)}})
		if s := expect.Status(deleted); s >= 200 && s <= 299 {
			if t.Session != nil {
				t.Session.Forget(t.Session.Registered(ex, nil))
			}
			return
		}
	}
	t.Note("the client %s was registered and could not be deleted again", o.String("client_id"))
}

// sameHost keeps the registration token from being sent to another host than issued it.
func sameHost(a, b string) bool {
	x, err1 := document.ParseURL(a)
	y, err2 := document.ParseURL(b)
	return err1 == nil && err2 == nil && document.Origin(x) == document.Origin(y)
}
