package tokenvalidation

import (
	"fmt"

	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func kinds() {
	Must("RS-TOKEN-ID-TOKEN", refusesIDTokens)
	Must("RS-TOKEN-REFRESH-OR-CODE", refusesOtherArtefacts)
	Must("RS-TOKEN-REVOKED", refusesRevokedTokens)
}

func refusesIDTokens(t *T) {
	tokens := t.AS.SharedTokens()
	supported, _ := t.AS.Server().Metadata.Strings("scopes_supported")
	if tokens.ID == "" && slices.Contains(supported, "openid") {
		tokens = t.AS.MustGetTokens(Scope(append([]string{"openid"}, t.Session.RequestedScopes()...)...))
	}
	if tokens.ID == "" {
		t.NotApplicable("the authorization server issues no ID token")
	}
	Refuses(t, t.MCP.CallWithToken(tokens.Access), Cases[CallEdit]{
		{"the ID token instead of the access token", Presenting(tokens.ID)},
	}, expect.Refuse(401))
}

// The refresh token and the code are presented last: if another client presents one, a server may revoke the grant.
func refusesOtherArtefacts(t *T) {
	tokens := t.AS.MustGetTokens()
	rows := Cases[CallEdit]{{"an authorization code", Presenting(t.AS.MustAuthorize().Code())}}
	if registration := tokens.Client.Registered.String("registration_access_token"); registration != "" {
		rows = rows.And("a registration access token", Presenting(registration))
	}
	if tokens.Refresh != "" {
		rows = rows.And("a refresh token", Presenting(tokens.Refresh))
	}
	Refuses(t, t.MCP.CallWithToken(t.AS.SharedTokens().Access), rows, expect.Refuse(401))
}

func refusesRevokedTokens(t *T) {
	tokens := t.AS.MustGetTokens()
	held, _ := t.AS.RealScope(tokens)
	t.Expect(t.MCP.Use(tokens.Access), "the access token, before it is revoked,").AsControl(t.MCP.Serve())
	ex := t.AS.Revoke(tokens, tokens.Access)
	if !expect.Confirmed(ex) {
		t.NotApplicable("the authorization server does not revoke access tokens: %s", expect.Describe(ex))
	}
	last, dead := t.MCP.UntilRefused(tokens.Access)
	if dead {
		t.Expect(last, "a revoked token").To(expect.Refuse(401))
		t.MCP.RefusedInEveryWayOf(t.AS.MustGetTokens().Access, "a revoked token", tokens.Access)
		revokedBeforeScope(t, tokens.Access, held)
		return
	}
	if t.AS.Introspected(tokens) != nil {
		t.Inconclusive("the authorization server itself calls the revoked token active (AS-INTROSPECT-INACTIVE), so whether the MCP server " +
			"looks at revocations is not seen")
	}
	// A server that only verifies signatures does not see a revocation: the lifetime bounds the damage (RFC 9068 section 7).
	if seconds, ok := lifetime(t, tokens.Access); ok && seconds <= 3600 {
		t.Expect(last).Ideally(beRefusedWithin(t,
			fmt.Sprintf(", and may be for %.0f s in all, if the server verifies its signature only", seconds)))
		return
	}
	t.Expect(last).To(beRefusedWithin(t, ""))
}

// lifetime is how many seconds a JWT lives, by its claims: who reads the signature only does not know the token response.
func lifetime(t *T, token string) (seconds float64, ok bool) {
	_, claims := oauth.Claims(token)
	if claims == nil {
		return 0, false
	}
	of := func(name string) (float64, bool) { v, _ := claims.Get(name); return expect.Number(v) }
	expires, ok := of("exp")
	issued, says := of("iat")
	if !says {
		issued = float64(t.MCP.Now().Unix())
	}
	return expires - issued, ok
}

var beRefusedWithin = expect.Family("beRefusedWithin", func(t *T, bound string) expect.Matcher {
	return expect.That("a revoked token refused", func(*reports.Exchange) string {
		return "the token is still served after " + expect.Span(t.Patience) + bound
	})
})

// revokedBeforeScope calls a tool with a token that is revoked, and lacks the tool's scope if there is such a tool: a new token is
// what the client needs.
func revokedBeforeScope(t *T, revoked string, held []string) {
	tools := t.MCP.ScopedTools()
	if len(tools) == 0 {
		Untried(t, "a revoked token without the scope of a tool", AScopedTool)
		return
	}
	if lacking := slices.IndexFunc(tools, func(tool Tool) bool { return !t.MCP.Permits(held, tool) }); lacking >= 0 {
		tools = tools[lacking:]
	}
	call, refused := t.MCP.SessionOf(t.MCP.FirstToken())
	if refused != nil {
		t.Note("a revoked token at a tool was not tried: no session opens: %s", expect.Describe(refused))
		return
	}
	ex := t.Send(Presenting(revoked)(call.Method("tools/call", tools[0].Params())))
	t.Expect(ex, "a revoked token at %s", tools[0].Name).To(expect.Refuse(401))
}
