package registration

import (
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func requiresTheManagementToken(t *T) {
	another := changing{"client_name": t.AS.ClientName(", another client")} // registrations that are the same may be one client
	_, foreign, _ := t.Session.Manageable(t.AS.MustRegister(another))
	Each(t, Cases[string]{{"GET", "GET"}, {"PUT", "PUT"}, {"DELETE", "DELETE"}}, func(t *T, method string) {
		if ex := t.Do(managing(t, t.AS.MustRegister(nil), method)); unknownMethod(ex) {
			t.NotApplicable("%s is not offered: it is answered with %s for the right token too", method, expect.Describe(ex))
		}
		Refuses(t, managed(t, method), wrongTokens(t, foreign), expect.Refuse(401, 403))
	})
}

// presented is what is sent instead of a client's own token.
type presented func(c *oauth.Client, own string) []reports.Field

// wrongTokens are rows that send another value than the registration access token of a client.
func wrongTokens(t *T, foreign string) Cases[presented] {
	always := func(fields ...reports.Field) presented {
		return func(*oauth.Client, string) []reports.Field { return fields }
	}
	rows := Cases[presented]{
		{"no token", always()},
		{"a made-up token", always(mcp.Bearer("mcpauth-made-up"))},
		{"the token of another client", always(mcp.Bearer(foreign))},
	}
	if t.Session.Ready {
		rows = rows.And("an access token", always(mcp.Bearer(t.Session.Tokens.Access)))
	}
	for _, w := range nearmiss.Ways(nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.LetterCase) {
		rows = rows.And("the client's token, "+w.Name, func(_ *oauth.Client, own string) []reports.Field {
			changed := w.To(own)
			if changed == own {
				t.NotApplicable("the token has no such near miss")
			}
			return []reports.Field{mcp.Bearer(t.Hide(changed))}
		})
	}
	return append(rows, ofClientID...)
}

// ofClientID are rows that send what can be computed from the client_id, which everybody sees in an authorization request. "The
// authorization server MUST prevent attackers from guessing access tokens" (RFC 6749 section 10.10).
var ofClientID = Cases[presented]{
	{"the client_id", computed(func(id []byte) string { return string(id) })},
	{"the client_id in base64", computed(base64.StdEncoding.EncodeToString)},
	{"the client_id in base64url", computed(base64.RawURLEncoding.EncodeToString)},
	{"the MD5 of the client_id", computed(func(id []byte) string { return fmt.Sprintf("%x", md5.Sum(id)) })},
	{"the SHA-1 of the client_id", computed(func(id []byte) string { return fmt.Sprintf("%x", sha1.Sum(id)) })},
	{"the SHA-256 of the client_id", computed(func(id []byte) string { return fmt.Sprintf("%x", sha256.Sum256(id)) })},
}

func computed(from func(id []byte) string) presented {
	return func(c *oauth.Client, _ string) []reports.Field {
		return []reports.Field{mcp.Bearer(from([]byte(c.ID)))}
	}
}

// managing is a request for a client's registration, with its own token (RFC 7592 section 2). A client that it deletes is not
// deleted again at the end of the run.
func managing(t *T, c *oauth.Client, method string) wire.Request {
	uri, token, _ := t.Session.Manageable(c)
	r := wire.Request{Method: method, URL: uri, Header: []reports.Field{mcp.Bearer(token), mcp.Field("Content-Type", "application/json")}}
	switch method {
	case "PUT":
		r.Body = mint.JSON(registration(t, c))
	case "DELETE":
		r.Done = func(ex *reports.Exchange) {
			if s := expect.Status(ex); s >= 200 && s <= 299 {
				t.Session.Forget(c)
			}
		}
	}
	return r
}

// registration is what a client sends to update its registration, unchanged: all of it (RFC 7592 section 2.2).
func registration(t *T, c *oauth.Client) changing {
	m := t.AS.ClientMetadata()
	m["client_id"], m["redirect_uris"], m["token_endpoint_auth_method"] = c.ID, c.RedirectURIs, c.Method
	if c.Secret != "" {
		m["client_secret"] = c.Secret
	}
	return m
}

// managed is a good request for a client's registration. After an answer other than a refusal, the next one is for a new client:
// DELETE ended this one, and PUT may have issued another token.
func managed(t *T, method string) Attempt[presented] {
	done := expect.That("HTTP 200, or 204 for DELETE", func(ex *reports.Exchange) string {
		if s := expect.Status(ex); s != 200 && s != 204 {
			return expect.Describe(ex)
		}
		return ""
	})
	c := t.AS.MustRegister(nil)
	return Attempt[presented]{Name: method + " with the client's own token", Good: done, Send: func(edits ...presented) any {
		if c == nil {
			c = t.AS.MustRegister(nil)
		}
		r := managing(t, c, method)
		_, own, _ := t.Session.Manageable(c)
		for _, instead := range edits {
			r.Header = slices.Concat(instead(c, own), []reports.Field{mcp.Field("Content-Type", "application/json")})
		}
		ex := t.Do(r)
		if s := expect.Status(ex); s < 400 || s > 499 {
			c = nil
		}
		return ex
	}}
}

// updated is the answer to an update, with the registration afterwards, if it can be read.
type updated struct{ put, read *reports.Exchange }

// Evidence is the exchange that shows the update.
func (u *updated) Evidence() *reports.Exchange { return u.put }

// holds reports that a member of the registration has a value after the update.
func (u *updated) holds(member, value string) bool {
	for _, ex := range []*reports.Exchange{u.put, u.read} {
		o := oauth.Object(ex)
		list, _ := o.Strings(member)
		if s := expect.Status(ex); s >= 200 && s <= 299 && (o.String(member) == value || slices.Contains(list, value)) {
			return true
		}
	}
	return false
}

// update is an update of a client's registration with some members changed (RFC 7592 section 2.2). Each update is for a new client.
func update(t *T) Attempt[changing] {
	name := t.AS.ClientName(", renamed")
	renamed := expect.Serving("the client_name changed", func(u *updated) string {
		if !u.holds("client_name", name) {
			return expect.Describe(u.put)
		}
		return ""
	})
	return Attempt[changing]{Name: "changing the client_name", Good: renamed, Send: func(edits ...changing) any {
		c := client(t, changing{"token_endpoint_auth_method": t.AS.SecretMethod()})
		r := managing(t, c, "PUT")
		m := registration(t, c)
		m["client_name"] = name
		for _, e := range edits {
			maps.Copy(m, e)
		}
		r.Body = mint.JSON(m)
		u := &updated{put: t.Do(r)}
		token := oauth.Object(u.put).String("registration_access_token")
		t.Secrets.Add("registration_access_token", token)
		uri, own, _ := t.Session.Manageable(c)
		u.read = t.Get(uri, mcp.Bearer(cmp.Or(token, own)))
		return u
	}}
}

// revalidatesUpdates reads the registration after each update: it may be ignored in part.
func revalidatesUpdates(t *T) {
	good := update(t)
	if first, _ := good.Send().(*updated); unknownMethod(first.put) || expect.Status(first.put) == 403 {
		t.NotApplicable("clients cannot be updated: %s", expect.Describe(first.put))
	}
	Each(t, Cases[choice]{
		{"a javascript: redirect URI", choice{"redirect_uris", "javascript:alert(1)"}},
		{"an http redirect URI", choice{"redirect_uris", "http://client.example/cb"}},
		{"a redirect URI with a fragment", choice{"redirect_uris", "https://client.example/cb#frag"}},
		{"the grant client_credentials", choice{"grant_types", "client_credentials"}},
		{"another client_id", choice{"client_id", "mcpauth-chosen-" + Random(9)}},
		{"a client_secret of its own choice", choice{"client_secret", t.Hide("mcpauth-chosen-secret-" + Random(24))}},
	}, func(t *T, c choice) { revalidates(t, good, c, c.change()) })
	Each(t, Cases[choice]{
		{"a javascript: redirect URI after a good one", choice{"redirect_uris", "javascript:alert(1)"}},
	}, func(t *T, c choice) {
		revalidates(t, good, c, changing{c.member: []string{t.Session.Callback, c.value}})
	})
}

func revalidates(t *T, good Attempt[changing], c choice, change changing) {
	if _, list := change[c.member].([]string); list && registers(t, change, c) {
		t.NotApplicable("a new registration may have it, too")
	}
	Refuses(t, good, Cases[changing]{{"PUT", change}}, expect.Refusing("a refusal, or "+c.member+" as it was", func(u *updated) string {
		if u.holds(c.member, c.value) {
			return "the registration now has the value of the request"
		}
		return ""
	}))
}

// change is a set of members of a registration with the value of the choice.
func (c choice) change() changing {
	switch c.member {
	case "redirect_uris":
		return changing{c.member: []string{c.value}}
	case "grant_types":
		return changing{c.member: []string{"authorization_code", c.value}}
	}
	return changing{c.member: c.value}
}

// registers reports that a new client with a secret gets a value of a list.
func registers(t *T, change changing, c choice) bool {
	registration := maps.Clone(change)
	registration["token_endpoint_auth_method"] = t.AS.SecretMethod() // as in an update
	_, ex := t.AS.Register(registration)
	values, _ := oauth.Object(decided(t, ex)).Strings(c.member)
	return expect.BeRegistered().Judge(ex).Met && slices.Contains(values, c.value)
}

// endsDeletedClients uses what a client had when it was deleted (RFC 7592 section 2.3).
func endsDeletedClients(t *T) {
	c := t.AS.MustRegister(nil)
	tokens := t.AS.MustGetTokens(As(c), t.AS.ForRefresh())
	served := t.MCP.Works(tokens)
	ex := t.Do(managing(t, c, "DELETE"))
	if unknownMethod(ex) || expect.Status(ex) == 403 {
		t.NotApplicable("clients cannot be deleted: %s", expect.Describe(ex))
	}
	t.Expect(decided(t, ex), "DELETE").Ideally(expect.HaveStatus(204))
	if s := expect.Status(ex); s < 200 || s > 299 {
		t.Inconclusive("the client is not deleted: %s", expect.Describe(ex))
	}
	Each(t, usesOfDeleted(c, tokens, served), func(t *T, look func(t *T)) { look(t) })
}

func usesOfDeleted(c *oauth.Client, tokens *oauth.Tokens, served bool) Cases[func(t *T)] {
	return Cases[func(t *T)]{
		{"the authorization endpoint", func(t *T) { t.Expect(t.AS.Authorize(As(c), Leaving())).To(expect.NotRedirect()) }},
		{"the refresh token", func(t *T) {
			if tokens.Refresh == "" {
				t.NotApplicable("the client got no refresh token")
			}
			again := t.AS.Refresh(tokens)
			t.AS.Tokens(again, c)
			t.Expect(again).To(expect.RefuseGrant("invalid_client", "invalid_grant", "unauthorized_client"))
		}},
		{"reading the registration", func(t *T) { t.Expect(t.Do(managing(t, c, "GET"))).To(expect.RefusePreferably(401, 403, 404, 410)) }},
		{"the access token", func(t *T) {
			if !served {
				t.MCP.MustBeGuarded()
				t.Inconclusive("it was not served before")
			}
			last, _ := t.MCP.UntilRefused(tokens.Access)
			t.Expect(last).Ideally(expect.RefuseAnyway())
		}},
	}
}
