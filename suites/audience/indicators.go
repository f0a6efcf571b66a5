// Package audience contains the checks on the audience of tokens: resource indicators at the authorization server (RFC 8707) and the
// audience at the MCP server.
package audience

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 8707 section 2: Resource Parameter", indicators)
	Describe("RFC 8707 section 2.2: Access Token Request", siblings)
	Describe("MCP Authorization: Token Audience Binding and Validation", binding)
	Describe("RFC 7519 section 4.1.3: aud", minted)
}

func indicators() {
	Must("AS-RES-ACCEPTED", acceptsResource)
	Should("AS-RES-AUDIENCE-BOUND", bindsToResource)
	Should("AS-RES-UNKNOWN-TARGET", refusesUnknownResources)
	Should("AS-RES-MALFORMED", refusesMalformedResources)
	Should("AS-RES-CANONICAL-VARIANTS", comparesResources)
}

func binding() {
	Must("RS-AUD-MATCHES-PRM", servesPublishedResource)
}

func acceptsResource(t *T) {
	request := func(named bool) Edit {
		if named {
			return With("resource", t.Session.Resource)
		}
		return Without("resource")
	}
	Each(t, Cases[[2]bool]{
		{"resource in both requests", [2]bool{true, true}},
		{"resource in the authorization request only", [2]bool{true, false}},
		{"resource in the token request only", [2]bool{false, true}},
	}, func(t *T, named [2]bool) {
		g := t.AS.MustReachDecision(t.AS.Authorize(request(named[0])))
		if t.Expect(g).To(unlessMissing(named[0], expect.EndWithCode())); g.Code() == "" {
			return
		}
		ex := t.AS.Redeem(g, request(named[1]))
		t.AS.Tokens(ex, g.Client)
		t.Expect(ex).To(unlessMissing(named[0] && named[1], expect.IssueTokens()))
	})
}

// unlessMissing lets a server demand the resource, which MCP clients have to name in both requests: invalid_target is the error for a
// resource that is "invalid, missing, unknown, or malformed" (RFC 8707 section 2), and for one that the grant does not have (section 2.2).
func unlessMissing(named bool, served expect.Matcher) expect.Matcher {
	if named {
		return served
	}
	return expect.Either(expect.NameError("invalid_target"), served)
}

func bindsToResource(t *T) {
	tokens := t.AS.SharedTokens()
	aud, seen := t.AS.Audience(tokens)
	if !seen {
		boundByEffect(t)
		return
	}
	if t.Expect(aud, "the audience of a token").SeenIn(tokens.Exchange).To(nameResource(t.Session.Resource)) {
		t.Expect(aud, "the audience of a token").SeenIn(tokens.Exchange).Ideally(nameExactly(t.Session.Resource))
	}
}

var nameResource = expect.Family("nameResource", func(resource string) expect.Matcher {
	return expect.That("the requested resource "+resource, func(aud []string) string {
		if Names(aud, resource) {
			return ""
		}
		return audienceIs(aud)
	})
})

func audienceIs(aud []string) string {
	if len(aud) == 0 {
		return "no audience"
	}
	return "aud " + strings.Join(aud, " ")
}

var nameExactly = expect.Family("nameExactly", func(resource string) expect.Matcher {
	return expect.That("the requested resource as it was written: "+resource, func(aud []string) string {
		if slices.Contains(aud, resource) {
			return ""
		}
		return "aud " + strings.Join(aud, " ")
	})
})

// boundByEffect finds out by its effect whether a token with an unreadable audience is bound to its resource: one for another resource
// must not work at the target.
func boundByEffect(t *T) {
	t.MCP.MustWork(t.AS.SharedTokens(), "an ordinary token is refused too: the refusal of one for another resource would show nothing")
	p := t.AS.Present(Attacker)
	if p.Tokens == nil {
		t.NotTestedWithout("two-resources",
			"the audience of the token cannot be seen, and no token is issued for another resource (target.other_resource)")
	}
	t.Expect(p.At, "a token that was requested for another resource, %s", Attacker).To(expect.RefuseAnyway())
}

// The operator of the other resource can use the token here (RFC 9700 section 4.10.2).
func refusesUnknownResources(t *T) {
	p := t.AS.Present(Attacker)
	refusesUnknownResourceAtToken(t, p.Tokens == nil)
	keepsResourceOfRequest(t)
	if p.Tokens == nil {
		t.Expect(p.Grant, "resource=%s", Attacker).To(endWithoutCrash)
		t.AS.SharedTokens()
		return
	}
	about := "a token that was requested for " + Attacker
	told := !t.Expect(p.Audience, about).SeenIn(p.Tokens.Exchange).Ideally(leaveOut(Attacker))
	told = !t.Expect(p, about).SeenIn(p.At).To(notBeServed) || told
	if !told {
		t.Expect(p, about).SeenIn(p.Tokens.Exchange).Ideally(notBeIssued)
	}
}

// A client may send resource in the token request only (RFC 8707 section 2.2), so the server must check it there.
func refusesUnknownResourceAtToken(t *T, refusedBefore bool) {
	g := t.AS.Authorize(Without("resource"))
	if g.Code() == "" {
		return // AS-RES-ACCEPTED reports it
	}
	tokens := t.AS.Tokens(t.AS.Redeem(g, With("resource", Attacker)), g.Client)
	if tokens == nil {
		return
	}
	about := "a token request for " + Attacker + ", which the authorization request did not name"
	aud, seen := t.AS.Audience(tokens)
	if seen && !t.Expect(aud, about).SeenIn(tokens.Exchange).Ideally(leaveOut(Attacker)) {
		return
	}
	if refusedBefore { // otherwise the server ignores the parameter, which is reported once
		t.Expect(TokenFor{Tokens: tokens, Audience: aud, Seen: seen}, about).SeenIn(tokens.Exchange).Ideally(notBeIssued)
	}
}

// keepsResourceOfRequest names an unknown resource where the grant is for a known one. A server may look at it there only if the grant has
// none.
func keepsResourceOfRequest(t *T) {
	EachNoted(t, Cases[func(t *T) *oauth.Tokens]{
		{"a foreign resource at the token request", redeemedElsewhere},
		{"a foreign resource at refresh", refreshedElsewhere},
	}, func(t *T, elsewhere func(t *T) *oauth.Tokens) {
		tokens := elsewhere(t)
		if tokens == nil {
			return
		}
		if audience, seen := t.AS.Audience(tokens); seen {
			t.Expect(audience).SeenIn(tokens.Exchange).Ideally(leaveOut(Attacker))
		}
	})
}

func redeemedElsewhere(t *T) *oauth.Tokens {
	g := t.AS.Authorize()
	if g.Code() == "" {
		return nil
	}
	return t.AS.Tokens(t.AS.Redeem(g, With("resource", Attacker)), g.Client)
}

func refreshedElsewhere(t *T) *oauth.Tokens {
	tokens := t.AS.TokensIfAny(As(t.AS.Refresher()), t.AS.ForRefresh())
	if tokens == nil || tokens.Refresh == "" {
		return nil
	}
	return t.AS.Tokens(t.AS.Refresh(tokens, With("resource", Attacker)), tokens.Client)
}

var endWithoutCrash = expect.That("error invalid_target", func(g *Grant) string {
	if expect.Status(g.Exchange) >= 500 {
		return expect.Describe(g.Exchange)
	}
	return ""
})

var leaveOut = expect.Family("leaveOut", func(resource string) expect.Matcher {
	return expect.That("error invalid_target, or an audience without "+resource, func(aud []string) string {
		if slices.Contains(aud, resource) {
			return "the audience is " + strings.Join(aud, " ")
		}
		return ""
	})
})

var notBeServed = expect.That("error invalid_target, or a token that the MCP server refuses", func(p TokenFor) string {
	if p.Served {
		return "the MCP server serves it"
	}
	return ""
})

// The client is not informed that it gets a token for another resource (RFC 8707 section 2: invalid_target).
var notBeIssued = expect.That("error invalid_target, and no token", func(p TokenFor) string {
	if p.Seen {
		return "an access token is issued, whose audience is " + strings.Join(p.Audience, " ")
	}
	return "an access token is issued, whose audience cannot be seen"
})

// RFC 8707 section 2: an absolute URI without fragment.
func refusesMalformedResources(t *T) {
	own := t.Session.Resource
	ignored := t.AS.Present(Attacker).Served // then the result does not depend on the form of the value
	Each(t, Cases[string]{
		{"without a scheme", "mcp.example.com"},
		{"with a fragment", own + "#frag"},
		{"a path", "/mcp"},
		{"javascript:", "javascript:x"},
		{"with a space at its end", own + " "},
	}.In("resource"), func(t *T, resource string) {
		p := t.AS.Present(resource)
		if p.Tokens == nil {
			t.Expect(p.Grant).To(endWithoutCrash)
			t.Expect(p.Grant).Ideally(nameTheTarget)
			return
		}
		t.Expect(p.Audience).SeenIn(p.Tokens.Exchange).To(leaveOut(resource))
		if ignored {
			t.Note("a token is issued for %q, as for any resource: the server ignores the parameter", resource)
			return
		}
		t.Expect(p).SeenIn(p.At).Ideally(notBeServed)
	})
}

var nameTheTarget = expect.That("error invalid_target or invalid_request", func(g *Grant) string {
	if e := g.Error(); e != "" && e != "invalid_target" && e != "invalid_request" {
		return "error " + e
	}
	return ""
})

func comparesResources(t *T) {
	own := t.Session.Resource
	u, err := url.Parse(own)
	if err != nil || u.Host == "" {
		t.Inconclusive("the resource %q is not a URL", own)
	}
	if _, other := t.AS.TokensFor(Attacker); other != nil {
		if aud, seen := t.AS.Audience(other); !seen || slices.Contains(aud, own) {
			t.NotApplicable("the server ignores resource: every token has the same audience")
		}
	}
	for _, spelling := range respelled(own, u) {
		if g, tokens := t.AS.TokensFor(spelling.Value); tokens == nil {
			t.Expect(g, "%s, which is the same (RFC 3986 section 6.2.2.1)", spelling.Name).Ideally(expect.EndWithCode())
		}
	}
	Each(t, resembling(own, u), func(t *T, resource string) {
		if _, tokens := t.AS.TokensFor(resource); tokens != nil {
			aud, seen := t.AS.Audience(tokens)
			if !seen {
				t.Inconclusive("the audience of a token that is requested for %s cannot be seen; %s", resource, t.AS.ToSeeTokens())
			}
			t.Expect(aud, "requested for %s", resource).SeenIn(tokens.Exchange).To(leaveOut(own))
		}
	})
}

// respelled are other spellings of the same URL.
func respelled(own string, u *url.URL) Cases[string] {
	rest := strings.TrimPrefix(own, u.Scheme)
	out := Cases[string]{{"the scheme in upper case", strings.ToUpper(u.Scheme) + rest}}
	if host := strings.ToUpper(u.Host); host != u.Host {
		out = out.And("the host in upper case", u.Scheme+strings.Replace(rest, u.Host, host, 1))
	}
	return out
}

// resembling are other resources with similar URLs. A slash at the end of a URL need not make it another resource.
func resembling(own string, u *url.URL) Cases[string] {
	bare := strings.TrimSuffix(own, "/")
	return Cases[string]{
		{"the last character left out", bare[:len(bare)-1]},
		{"one character more", bare + "x"},
		{"a parameter at the end of its path", bare + ";x"},
		{"a way up", bare + "/../other"},
		{"a host that ends in the same letters", u.Scheme + "://evil" + u.Host + u.Path},
		{"another path", u.Scheme + "://" + u.Host + "/mcpauth-other"},
	}
}
