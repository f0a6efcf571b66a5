// Package consent contains the checks on the page where a user approves a client (OAuth 2.1 section 7.3.1, MCP
// Security Best Practices).
package consent

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: consent", func() {
		Should("AS-CONSENT-REQUIRED", asksAboutNewClients)
		Should("AS-CONSENT-NO-SILENT-REPEAT", asksAgainForPublicClients)
		Practice("AS-CONSENT-NEW-SCOPE", asksAgainForMore)
	})
	Describe("MCP Security Best Practices: consent page", func() {
		Should("AS-CONSENT-CONTENT", saysWhoAsksForWhat)
		Practice("AS-CONSENT-CSRF", bindsApprovalToBrowser)
		Must("AS-CONSENT-XSS", escapesMetadata)
	})
	Describe("OAuth 2.1 section 1.5: grants that users revoke", func() {
		Practice("AS-CONSENT-REVOCABLE", endsWithdrawnGrants)
	})
}

// A login page may serve as the approval too, if it names the client.
func asksAboutNewClients(t *T) {
	metadata := map[string]any{"client_name": t.AS.ClientName(" " + Random(6))} // an approval may have counted for a name before
	c := t.AS.MustRegister(metadata)
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving()))
	if t.Expect(g, "a client that was never used").Ideally(askAboutClient(metadata)) && g.AsksUser() {
		asksAfterOtherDecisions(t, c, metadata)
		asksWhateverIsRegistered(t)
	}
}

// waivers are members with which servers let an administrator exempt a client from the consent page. A client that registers itself must
// not exempt itself; a server may refuse the registration.
var waivers = Cases[string]{
	{"a client that registers skip_consent", "skip_consent"},
	{"a client that registers trusted", "trusted"},
	{"a client that registers first_party", "first_party"},
}

func asksWhateverIsRegistered(t *T) {
	Each(t, waivers, func(t *T, member string) {
		c, ex := t.AS.Register(map[string]any{member: true})
		if c == nil {
			t.Expect(ex).Ideally(expect.RefuseRegistration()) // which error code is right: AS-DCR-*
			return
		}
		t.Expect(t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving()))).Ideally(askAboutClient(t.AS.ClientMetadata()))
	})
}

// asksAfterOtherDecisions tries what a server may confuse with the approval of a client: a denial, and the approvals of another client
// with the same metadata and of another user.
func asksAfterOtherDecisions(t *T, c *oauth.Client, metadata map[string]any) {
	if denied := t.AS.Authorize(As(c), Denying()); denied.Error() == "access_denied" {
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving()))
		t.Expect(g, "a client that the user has denied").Ideally(askAboutClient(metadata))
	}
	t.AS.MustAuthorize(As(c))
	if same, _ := t.AS.Register(metadata); same != nil && same.ID != c.ID {
		g := t.AS.MustReachDecision(t.AS.Authorize(As(same), Leaving()))
		t.Expect(g, "a client of the same name as one that the user has approved").Ideally(askAboutClient(metadata))
	}
	if t.Session.UserCount() > 1 && t.Session.NoLogin(1) == "" {
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), By(1), Leaving()))
		t.Expect(g, "a client that another user has approved").Ideally(askAboutClient(metadata))
	} else {
		Untried(t, "a client that another user has approved", ASecondUser)
	}
}

// askAboutClient expects a page that names the client, before the client gets a code.
func askAboutClient(metadata map[string]any) expect.Matcher {
	name, _ := metadata["client_name"].(string)
	return expect.That("a page that asks the user about the client, before it gets a code", func(g *Grant) string {
		names := func(p *login.Page) bool {
			return strings.Contains(p.Said(), name) || strings.Contains(p.Said(), g.Client.ID)
		}
		if g.Code() == "" || slices.ContainsFunc(g.Pages, names) {
			return ""
		}
		return "a code is issued without any page that names the client"
	})
}

// beAsked expects a page before the client gets a code. A login is one.
var beAsked = expect.That("a page before the client gets another code", func(g *Grant) string {
	if g.Code() != "" && !g.SignedIn && !g.Consented {
		return "a code is issued without a page"
	}
	return ""
})

// OAuth 2.1 section 7.3.1: any program on the machine can impersonate a public client with a loopback redirect URI.
func asksAgainForPublicClients(t *T) {
	c := t.AS.PublicClient()
	if u, err := url.Parse(c.RedirectURI); err != nil || u.Scheme == "https" {
		t.NotApplicable("the client has an https redirect URI, which proves who it is")
	}
	first := t.AS.MustAuthorize(As(c))
	rows := Cases[Edit]{{"the same request again", Unchanged}}
	if other := otherPort(c.RedirectURI); other != "" {
		rows = rows.And("another loopback port", With("redirect_uri", other))
	}
	Each(t, rows, func(t *T, edit Edit) {
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), InJar(first.Jar.Copy()), Leaving(), edit))
		t.Expect(g).Ideally(beAsked)
	})
	asksAgainForDocuments(t, c)
}

// Whoever knows the address of a client's metadata document can send its request, and each authorization server knows the client by it. A
// server may have separate code for such clients.
func asksAgainForDocuments(t *T, public *oauth.Client) {
	t.AS.NoteDocuments()
	c := t.AS.DocumentClient()
	if c == nil || c.ID == public.ID {
		return
	}
	first := t.AS.MustAuthorize(As(c))
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), InJar(first.Jar.Copy()), Leaving()))
	t.Expect(g, "the same request again, of the client of a metadata document").Ideally(beAsked)
}

// otherPort is a loopback redirect URI with another port (RFC 8252 section 7.3); empty if it is none.
func otherPort(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return ""
	}
	port := "8766"
	if u.Port() == port {
		port = "8767"
	}
	u.Host = strings.Replace(u.Host, ":"+u.Port(), "", 1) + ":" + port
	return u.String()
}

// The user has approved a client with a scope, at a redirect URI.
func asksAgainForMore(t *T) {
	pool := t.AS.ScopePool()
	base := t.Session.Callback
	c := t.AS.MustRegister(map[string]any{"redirect_uris": []string{base, base + "/second"}})
	first := t.AS.MustAuthorize(As(c), With("redirect_uri", base), Scope(pool[0]), SignedOut())
	again := func(edits ...Edit) *Grant {
		return t.AS.MustReachDecision(t.AS.Authorize(append([]Edit{As(c), InJar(first.Jar.Copy()), Leaving()}, edits...)...))
	}
	wider := again(With("redirect_uri", base), Scope(pool[0], pool[1]))
	t.Expect(wider, "a further scope, "+pool[1]).To(expect.That("a page before the client gets a scope that the user never granted",
		func(g *Grant) string {
			if g.Code() == "" || g.SignedIn {
				return ""
			}
			tokens := t.AS.Tokens(t.AS.Redeem(g), c)
			if tokens == nil {
				return ""
			}
			if held, _ := t.AS.Held(tokens, pool[:2]); slices.Contains(held, pool[1]) {
				return "a token with the scope is issued without a page"
			}
			return ""
		}))
	t.Expect(again(With("redirect_uri", base+"/second"), Scope(pool[0])), "a second redirect URI").Ideally(beAsked)
}

// consentPage is the page that asks the user; the check does not apply where there is none.
func consentPage(t *T, edits ...Edit) (*Grant, *login.Page, *login.Form, oauth.Form) {
	return t.Pages.Consent("the authorization server shows no consent page (AS-CONSENT-REQUIRED)", edits...)
}
