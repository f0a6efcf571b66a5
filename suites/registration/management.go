package registration

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func requiresTheManagementToken(t *T) {
	_, foreign, _ := t.Session.Manageable(t.AS.MustRegister(nil))
	Each(t, Cases[string]{{"GET", "GET"}, {"PUT", "PUT"}, {"DELETE", "DELETE"}}, func(t *T, method string) {
		if ex := t.Do(managing(t, t.AS.MustRegister(nil), method)); slices.Contains([]int{404, 405, 501}, expect.Status(ex)) {
			t.NotApplicable("%s is not offered: it is answered with %s for the right token too", method, expect.Describe(ex))
		}
		client := t.AS.MustRegister(nil) // a new one: PUT may issue another token, DELETE ends it
		Refuses(t, managed(t, client, method), wrongTokens(t, client, foreign), expect.Refuse(401, 403))
	})
}

// wrongTokens are rows that send something else than the registration access token of a client.
func wrongTokens(t *T, client *oauth.Client, foreign string) Cases[[]reports.Field] {
	rows := Cases[[]reports.Field]{
		{"no token", nil},
		{"a made-up token", []reports.Field{mcp.Bearer("mcpauth-made-up")}},
		{"the token of another client", []reports.Field{mcp.Bearer(foreign)}},
	}
	if t.Session.Ready {
		rows = rows.And("an access token", []reports.Field{mcp.Bearer(t.Session.Tokens.Access)})
	}
	_, own, _ := t.Session.Manageable(client)
	for _, m := range nearmiss.Of(own, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.LetterCase) {
		rows = rows.And("the client's token, "+m.Name, []reports.Field{mcp.Bearer(t.Hide(m.Value))})
	}
	return rows
}

// managing is a request for a client's registration, with its own token (RFC 7592 section 2).
func managing(t *T, c *oauth.Client, method string) wire.Request {
	uri, token, _ := t.Session.Manageable(c)
	r := wire.Request{Method: method, URL: uri, Header: []reports.Field{mcp.Bearer(token), mcp.Field("Content-Type", "application/json")}}
	if method == "PUT" {
		m := t.AS.ClientMetadata()
		m["client_id"], m["redirect_uris"] = c.ID, c.RedirectURIs
		r.Body = jsonOf(m)
	}
	return r
}

// managed is a good request for a client's registration. An edit is what is sent in place of its token.
func managed(t *T, c *oauth.Client, method string) Attempt[[]reports.Field] {
	done := expect.That("HTTP 200, or 204 for DELETE", func(ex *reports.Exchange) string {
		if s := expect.Status(ex); s != 200 && s != 204 {
			return expect.Describe(ex)
		}
		return ""
	})
	return Attempt[[]reports.Field]{Name: method + " with the client's own token", Good: done, Send: func(edits ...[]reports.Field) any {
		r := managing(t, c, method)
		for _, fields := range edits {
			r.Header = slices.Concat(fields, []reports.Field{mcp.Field("Content-Type", "application/json")})
		}
		ex := t.Do(r)
		if method == "DELETE" && expect.Status(ex) == 204 {
			t.Session.Forget(c)
		}
		return ex
	}}
}
