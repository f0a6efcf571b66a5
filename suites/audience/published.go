package audience

import (
	"regexp"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func servesPublishedResource(t *T) {
	resource := t.MCP.Resource().Object.String("resource")
	about := "a token that was requested for the published resource " + resource
	if !t.Session.SendResource {
		about = "a token that was requested without resource, which the authorization server does not accept"
	}
	ex := t.MCP.Use(t.Session.Tokens.Access)
	if code, _ := expect.Param(ex, "error"); code == "insufficient_scope" {
		t.Inconclusive("the token of an ordinary login lacks a scope, so that its refusal shows nothing of the audience: %s",
			expect.Describe(ex))
	}
	if expect.NoAnswer(ex) == "" && !t.MCP.Served(ex) {
		mustBeTheAudience(t, ex, resource)
	}
	t.Expect(ex, "%s", about).To(expect.BeServed())
	if _, claims := oauth.Claims(t.Session.Tokens.Access); claims != nil {
		if aud, seen := t.AS.Audience(t.Session.Tokens); seen && len(aud) == 0 {
			t.Note("the token names no audience (AS-RES-AUDIENCE-BOUND)")
			return
		}
		aud, _ := claims.Get("aud")
		t.Note("the token is meant for %s", mint.JSON(aud))
	}
}

// mustBeTheAudience ends the check unless something shows that the audience is why a token is refused. A server that serves no token at
// all has another fault.
func mustBeTheAudience(t *T, refused *reports.Exchange, resource string) {
	if t.Mint.Trusted() {
		switch minted := expect.ExchangeOf(t.Mint.Presented().Send(Claim("aud", resource))); {
		case t.MCP.Served(minted):
			t.Inconclusive("a minted token for %s is served, so the audience is not why that of the login is refused: %s", resource,
				expect.Describe(refused))
		case expect.NoAnswer(minted) == "":
			t.Mint.Control()
			return
		}
	}
	aud, seen := t.AS.Audience(t.Session.Tokens)
	if (!seen || Names(aud, resource)) && saysAudience(refused) && !saysAudience(t.MCP.Use(survey.BogusToken)) {
		return
	}
	if !servesAnotherAudience(t, resource) {
		t.Inconclusive("no token for another resource is served either, so nothing shows that the audience is why this one is refused: %s",
			expect.Describe(refused))
	}
}

// servesAnotherAudience reports whether the server serves a token of the same user and client that was requested for something else.
func servesAnotherAudience(t *T, resource string) bool {
	if !t.Session.SendResource {
		return false // the authorization server chooses the audience
	}
	if g := t.AS.Authorize(Without("resource")); g.Code() != "" {
		if tokens := t.AS.Tokens(t.AS.Redeem(g, Without("resource")), g.Client); tokens != nil && t.MCP.Works(tokens) {
			t.Expect(t.Last(), "a token that was requested without resource").AsControl(t.MCP.Serve())
			return true
		}
	}
	for _, other := range respelledResources(t, resource) {
		if _, tokens := t.AS.TokensFor(other); tokens != nil && t.MCP.Works(tokens) {
			t.Expect(t.Last(), "a token that was requested for %s", other).AsControl(t.MCP.Serve())
			return true
		}
	}
	return false
}

// respelledResources are what a server may have for its identifier instead of the published one.
func respelledResources(t *T, resource string) (out []string) {
	origin := document.Origin(t.Survey.URL)
	slash := resource + "/"
	if strings.HasSuffix(resource, "/") {
		slash = strings.TrimSuffix(resource, "/")
	}
	for _, other := range []string{slash, t.Survey.Endpoint, origin, origin + "/"} {
		if other != resource {
			out = append(out, other)
		}
	}
	return out
}

var (
	namesAudience   = regexp.MustCompile(`(?i)\baud(?:ience)?\b`)
	namesOtherCause = regexp.MustCompile(`(?i)\biss(?:uer)?\b|signature|expir|scope|\bsub(?:ject)?\b`)
)

// saysAudience reports whether a refusal names the audience as its cause, and no other one.
func saysAudience(refused *reports.Exchange) bool {
	said, _ := expect.Param(refused, "error_description")
	said += " " + expect.Body(refused)
	return namesAudience.MatchString(said) && !namesOtherCause.MatchString(said)
}
