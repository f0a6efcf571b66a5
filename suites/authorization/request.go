// Package authorization holds the checks on the authorization endpoint: what it accepts, where it sends the
// browser, and what its pages carry (OAuth 2.1 sections 3.1 and 4.1, RFC 9207, RFC 9700).
package authorization

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 4.1.1: Authorization Request", request)
	Describe("OAuth 2.1 section 2.3: Client Redirection Endpoint", redirects)
	Describe("OAuth 2.1 section 4.1.2: Authorization Response", response)
	Describe("RFC 9207: Issuer Identification", issuer)
	Describe("OAuth 2.1 section 7: pages and errors", pages)
}

const attacker = "https://attacker.example/cb"

// post sends the authorization request as a form.
func post(t *T, g *Grant) *reports.Exchange {
	return t.Do(wire.Request{Method: "POST", URL: t.AS.Server().Authorization, Body: g.Request.Encode(), Header: []reports.Field{
		mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "text/html"),
	}})
}

func request() {
	Must("AS-AUTHZ-GET", func(t *T) {
		g := t.AS.Authorize(Nobody(), StoppingAtLogin(), Leaving())
		ex := firstAnswer(g)
		if s := expect.Status(ex); s == 0 || s >= 400 {
			t.Unmet(ex, "a page or a redirect for a GET request", "%s", expect.Describe(ex))
		}
		again := post(t, g)
		if s := expect.Status(again); s >= 500 || s == 0 || s >= 400 && s != 405 && s != 403 && s != 404 && s != 415 {
			t.Advise(again, "the same, or 405, for a POST", "%s", expect.Describe(again))
		}
	})

	Must("AS-AUTHZ-USER-AUTHENTICATED", func(t *T) {
		g := t.AS.Authorize(Nobody())
		if g.Code() != "" {
			t.Unmet(g.Exchange, "a user who signs in", "a code is issued to a browser without cookies, in which nobody did anything (demo mode?)")
		}
		t.Refused()
	})

	Must("AS-AUTHZ-UNKNOWN-CLIENT", func(t *T) {
		notSent(t, t.AS.Authorize(Stranger()), "an unknown client_id")
	})

	Must("AS-AUTHZ-MISSING-CLIENT", func(t *T) {
		for about, edit := range Sorted(map[string]Edit{"no client_id": Without("client_id"), "an empty client_id": With("client_id", ""), "client_id of one space": With("client_id", " ")}) {
			notSent(t, t.AS.Authorize(Stranger(), edit), about)
		}
	})

	Must("AS-AUTHZ-RESPONSE-TYPE-UNSUPPORTED", func(t *T) {
		for _, v := range []string{"mcpauth_bogus", "CODE", "code bogus"} {
			t.NoCode(t.AS.Authorize(With("response_type", v)), "response_type "+v, "unsupported_response_type", "unauthorized_client")
		}
	})

	Must("AS-AUTHZ-RESPONSE-TYPE-MISSING", func(t *T) {
		t.NoCode(t.AS.Authorize(Without("response_type")), "no response_type", "invalid_request", "unsupported_response_type")
		t.NoCode(t.AS.Authorize(With("response_type", "")), "an empty response_type", "invalid_request", "unsupported_response_type")
	})

	Must("AS-AUTHZ-NO-IMPLICIT", func(t *T) {
		for _, v := range []string{"token", "id_token token", "code token", "code id_token token"} {
			for _, mode := range []string{"", "fragment"} {
				edits := []Edit{With("response_type", v), With("nonce", Random(12))}
				if mode != "" {
					edits = append(edits, With("response_mode", mode))
				}
				g := t.AS.Authorize(edits...)
				if strings.Contains(g.Location, "access_token=") || g.Params.Get("access_token") != "" {
					t.Unmet(g.Exchange, "no access token through the browser", "response_type %q brings an access token", v)
					continue
				}
				t.AS.MustReachDecision(g)
				t.Refused()
			}
		}
	})

	Must("AS-AUTHZ-DUPLICATE-PARAMS", func(t *T) {
		c := t.AS.AnyClient()
		for name, second := range Sorted(map[string]string{
			"client_id": "mcpauth-other", "response_type": "token", "code_challenge": oauth.NewPKCE(43).Challenge, "code_challenge_method": "plain",
		}) {
			t.NoCode(t.AS.Authorize(Also(name, second)), name+" twice", "invalid_request")
		}
		for about, edit := range Sorted(map[string]Edit{"redirect_uri twice, the second one not registered": Also("redirect_uri", attacker), "redirect_uri twice, the first one not registered": Before("redirect_uri", attacker)}) {
			g := t.AS.Authorize(As(c), edit)
			if e := g.Params.Get("error"); e != "" && !strings.Contains(g.Location, "attacker.example") {
				continue // refused, and told to the registered address only
			}
			notSent(t, g, about)
		}
		for name, second := range Sorted(map[string]string{"state": Random(9), "scope": "mcpauth:other"}) {
			if g := t.AS.MustReachDecision(t.AS.Authorize(Also(name, second))); g.Code() != "" {
				t.Advise(g.Exchange, "error invalid_request", "%s twice: a code is issued", name)
			}
		}
	})

	Must("AS-AUTHZ-UNKNOWN-PARAMS", func(t *T) {
		proceeds(t, "a parameter that the server cannot know", With("mcpauth_x", "1"), With("mcpauth_y[]", "2"))
		if g := t.AS.Authorize(Leaving(), StoppingAtLogin(), With("ui_locales", "de"), With("login_hint", "x")); t.AS.Stopped(g) {
			t.Advise(g.Exchange, "hints of OpenID Connect to be taken or ignored", "%s", g.Describe())
		}
	})

	Must("AS-AUTHZ-EMPTY-PARAMS", func(t *T) {
		if g := t.AS.Authorize(Leaving(), StoppingAtLogin(), Without("scope")); !t.AS.Stopped(g) {
			proceeds(t, "an empty scope", With("scope", ""))
		}
		proceeds(t, "empty prompt and nonce", With("prompt", ""), With("nonce", ""))
		if g := t.AS.Authorize(Leaving(), StoppingAtLogin(), With("resource", "")); t.AS.Stopped(g) {
			t.Advise(g.Exchange, "an empty resource to be ignored", "%s", g.Describe())
		}
		g := t.AS.Authorize(With("code_challenge", ""))
		if g.Code() != "" {
			t.Advise(g.Exchange, "an empty code_challenge to count as none", "a code is issued (AS-PKCE-REQUIRE-CHALLENGE)")
		}
	})

	Practice("AS-AUTHZ-REQUEST-OBJECT", func(t *T) {
		l := Listen(t)
		header, claims := "eyJhbGciOiJub25lIn0", document.Base64URL(`{"redirect_uri":"`+attacker+`","scope":"mcpauth:other"}`)
		if g := t.AS.Authorize(With("request", header+"."+claims+".")); strings.Contains(g.Location, "attacker.example") {
			t.Finding(g.Exchange, "an unsigned request object with another redirect_uri", "its parameters refused or ignored", "the browser is sent to "+g.Location)
		}
		t.AS.Authorize(With("request_uri", l.URL("/request.jwt")))
		if l.Hits() > 0 {
			t.Unmet(nil, "no fetch of a request_uri that nobody registered", "the server fetched it")
		}
	})
}

// firstAnswer is the server's answer to the authorization request itself.
func firstAnswer(g *Grant) *reports.Exchange {
	if len(g.PageExchanges) > 0 && len(g.Hops) == 0 {
		return g.PageExchanges[0]
	}
	return g.Exchange
}

// proceeds expects a request to come as far as the ordinary one does.
func proceeds(t *T, about string, edits ...Edit) {
	plain := t.AS.Authorize(Leaving(), StoppingAtLogin())
	g := t.AS.Authorize(append([]Edit{Leaving(), StoppingAtLogin()}, edits...)...)
	switch {
	case t.AS.Stopped(plain):
		t.Inconclusive("the ordinary request fails: %s", plain.Describe())
	case expect.Status(g.Exchange) >= 500, t.AS.Stopped(g):
		t.Unmet(g.Exchange, "the same answer as without "+about, "%s", g.Describe())
	}
}

// notSent expects that the browser is never sent to an address that nobody registered, and that no server
// error comes in place of the refusal.
func notSent(t *T, g *Grant, about string) bool {
	bad := func(observed string) bool {
		t.Finding(g.Exchange, about, "no redirect, since client and redirect URI are not known to belong together", observed)
		return false
	}
	u, err := url.Parse(g.RedirectURI)
	switch {
	case g.Stage == login.Answered:
		return bad("the browser is sent to " + g.RedirectURI + ": " + g.Describe())
	case g.Stage == login.Elsewhere && err == nil && u.Host != "" && strings.Contains(g.Location, u.Hostname()), strings.Contains(g.Location, "attacker.example"):
		return bad("the browser is sent to " + g.Location)
	case g.Stage == login.AtConsent:
		return bad("the consent page is shown for it")
	case expect.Status(g.Exchange) >= 500:
		return bad(expect.Describe(g.Exchange))
	case g.Stage == login.AtLogin:
		t.NotTested("the authorization server shows its login page first; where it sends the browser is seen only after a login (--username)")
	case g.Stage == login.NeedsScript, g.Stage == login.Refused:
		t.Inconclusive("%s: %s", about, g.Describe())
	}
	t.Refused()
	return true
}
