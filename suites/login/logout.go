package login

import (
	"net/url"
	"slices"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// OpenID Connect RP-Initiated Logout 1.0.
func logout() {
	Should("AS-LOGIN-LOGOUT", func(t *T) {
		endpoint := endSession(t)
		jar := login.NewJar()
		g := t.AS.MustAuthorize(InJar(jar))
		if before := t.AS.Authorize(InJar(jar), StoppingAtLogin(), Leaving()); before.Stage == login.AtLogin {
			t.NotApplicable("the next request asks to sign in anyway: no session is kept")
		}
		t.Controlled()
		var f oauth.Form
		f.Set("client_id", g.Client.ID)
		if tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client); tokens != nil && tokens.ID != "" {
			f.Set("id_token_hint", tokens.ID)
		}
		out := t.Pages.Confirm(wire.Request{Method: "GET", URL: oauth.AtQuery(endpoint, f)}, jar)
		if expect.Crashed(out.Exchange) {
			t.Inconclusive("signing out is answered with %s", expect.Describe(out.Exchange))
		}
		if after := t.AS.Authorize(InJar(jar), StoppingAtLogin(), Leaving()); after.Stage == login.AtConsent || after.Code() != "" {
			if slices.ContainsFunc(after.Hops, func(h login.Hop) bool { return t.Upstream.IsRequest(h.To) }) {
				t.NotApplicable("users sign in at another provider, whose session is its own")
			}
			if p := out.Page(); p != nil && len(p.Forms) > 0 { // until somebody says yes, nobody is signed out (section 2)
				t.Inconclusive("the page %q asks whether to sign out, and what it asks was not understood", p.Title)
			}
			t.Unmet(after.Exchange, "the login page after signing out", "%s", after.Describe())
			return
		}
		t.Refused()
	})

	// Section 3: "the OP MUST NOT perform post-logout redirection if the post_logout_redirect_uri value supplied does not
	// exactly match one of the previously registered values".
	Must("AS-LOGIN-LOGOUT-REDIRECT", func(t *T) {
		endpoint := endSession(t)
		jar := login.NewJar()
		g := t.AS.MustAuthorize(InJar(jar))
		const attacker = "https://attacker.example/bye"
		var f oauth.Form
		f.Set("client_id", g.Client.ID)
		f.Set("post_logout_redirect_uri", attacker)
		f.Set("state", "mcpauth")
		out := t.Pages.Confirm(wire.Request{Method: "GET", URL: oauth.AtQuery(endpoint, f)}, jar)
		t.Controlled()
		for _, hop := range out.Hops {
			if to, err := url.Parse(hop.To); err == nil && to.Hostname() == "attacker.example" {
				t.Unmet(out.Exchange, "no redirect to an address that no client registered", "the browser is sent to %s", document.Origin(to))
				return
			}
		}
		t.RefusedBy(out.Exchange)
	})
}

// endSession is the endpoint at which users sign out.
func endSession(t *T) string {
	endpoint := t.AS.Endpoint("end_session_endpoint")
	if _, err := document.ParseURL(endpoint); err != nil {
		t.NotApplicable("the metadata names no end_session_endpoint")
	}
	return endpoint
}
