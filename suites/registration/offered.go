package registration

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// invalid is a request that must register nothing, even where registration is open.
const invalid = `{"redirect_uris":"mcpauth: not an array"}`

// servers are the authorization servers with metadata.
func servers(t *T) Cases[*survey.Document] {
	var rows Cases[*survey.Document]
	t.AS.Each(func(s *survey.Server, m *survey.Document) { rows = rows.And(s.Issuer, m) })
	return rows
}

// permitted says that mcpauth may register clients.
func permitted(t *T) bool { return t.Session != nil && t.Session.Register && t.Session.Barred == "" }

func registersStrangers(t *T) {
	Each(t, servers(t), func(t *T, m *survey.Document) {
		if !t.Expect(m.Object).SeenIn(m.Exchange).To(expect.HaveMember("registration_endpoint", expect.NotEmpty)) {
			return
		}
		endpoint := m.Object.String("registration_endpoint")
		if permitted(t) {
			t.Expect(asStranger(t, endpoint)).To(expect.BeRegistered())
			return
		}
		if t.Expect(decided(t, attempt(t, endpoint, invalid))).To(beOpen) { // nothing is left at a server that mcpauth has no permission to use
			t.NotTested("the endpoint answers; whether it registers a client is tried with --register only")
		}
	})
}

// beOpen expects an endpoint to read the registration of an unknown client.
var beOpen = expect.That("an open registration_endpoint", func(ex *reports.Exchange) string {
	if slices.Contains([]int{401, 403, 404, 405, 501}, expect.Status(ex)) {
		return expect.Describe(ex)
	}
	return ""
})

// asStranger registers an ordinary public client: as most clients do, and with application_type where the server needs it for a
// loopback redirect URI (OpenID Connect Dynamic Client Registration section 2).
func asStranger(t *T, endpoint string, fields ...reports.Field) *reports.Exchange {
	m := t.AS.ClientMetadata()
	delete(m, "application_type")
	ex := attempt(t, endpoint, mint.JSON(m), fields...)
	if expect.Status(ex) == 400 {
		m["application_type"] = "native"
		ex = attempt(t, endpoint, mint.JSON(m), fields...)
	}
	return ex
}

// attempt sends a registration, and deletes the client.
func attempt(t *T, endpoint, body string, fields ...reports.Field) *reports.Exchange {
	ex := t.Do(post(t, endpoint, body, fields...))
	leaveNothing(t, ex)
	return ex
}

// decided ends the row if an answer is evidence of nothing.
func decided(t *T, ex *reports.Exchange) *reports.Exchange {
	if why := expect.NoAnswer(ex); why != "" {
		t.Inconclusive("%s", why)
	}
	return ex
}

func leavesStrangersAWay(t *T) {
	if t.Session != nil && slices.ContainsFunc(t.Session.Input.Clients, func(c oauth.Client) bool { return c.SignsIn() }) {
		t.Note("the owner of the target has declared a client: other clients are assumed to get one in the same way")
		return
	}
	Each(t, servers(t), func(t *T, m *survey.Document) {
		documents, _ := m.Object.Bool("client_id_metadata_document_supported")
		if documents || m.Object.String("service_documentation") != "" {
			return
		}
		endpoint := m.Object.String("registration_endpoint")
		if endpoint == "" {
			t.Expect(m.Object).SeenIn(m.Exchange).To(nameSomeWay)
			return
		}
		t.Expect(decided(t, attempt(t, endpoint, invalid))).To(beOpen)
	})
}

var nameSomeWay = expect.That("a way to a client_id for an unknown client", func(*document.Object) string {
	return "no registration_endpoint, no client_id_metadata_document_supported, no service_documentation"
})

func challengesRegistration(t *T) {
	Each(t, servers(t), func(t *T, m *survey.Document) {
		endpoint := m.Object.String("registration_endpoint")
		if endpoint == "" {
			t.NotApplicable("registration is not offered")
		}
		without := attempt(t, endpoint, invalid)
		if s := expect.Status(without); s != 401 && s != 403 {
			t.NotApplicable("registration needs no initial access token: %s", expect.Describe(without))
		}
		if expect.Status(without) == 401 {
			t.Expect(without, "no initial access token").To(expect.HaveChallengeOf("Bearer"))
		}
		bad := mcp.Bearer(survey.BogusToken)
		if permitted(t) {
			t.Expect(asStranger(t, endpoint, bad), "a made-up initial access token").To(expect.Refuse(401, 403))
			return
		}
		with := attempt(t, endpoint, invalid, bad)
		if expect.Status(with) == 400 {
			t.NotTested("a made-up token with a registration that is invalid is answered with %s; which of the two is refused is seen with "+
				"--register only", expect.Describe(with))
		}
		t.Expect(with, "a made-up initial access token").To(expect.Refuse(401, 403))
	})
}

// post is a registration with its literal body. The client is deleted at the end, even if the check ends early.
func post(t *T, endpoint, body string, fields ...reports.Field) wire.Request {
	return wire.Request{Method: "POST", URL: endpoint, Body: body, Header: append([]reports.Field{
		mcp.Field("Content-Type", "application/json"), mcp.Field("Accept", "application/json"),
	}, fields...), Done: func(ex *reports.Exchange) {
		if t.Session != nil {
			t.Session.Registered(ex, nil)
		}
	}}
}

// leaveNothing deletes a registration by RFC 7592, and reports it if the server does not offer that.
func leaveNothing(t *T, ex *reports.Exchange) {
	o := oauth.Object(ex)
	if s := expect.Status(ex); s < 200 || s > 299 || o.String("client_id") == "" {
		return
	}
	uri, token := o.String("registration_client_uri"), o.String("registration_access_token")
	t.Secrets.Add("registration_access_token", token)
	t.Secrets.Add("client_secret", o.String("client_secret"))
	if token != "" && document.SameOrigin(uri, ex.Request.URL) {
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
