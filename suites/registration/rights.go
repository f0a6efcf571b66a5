package registration

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// judgeRefused judges a registration that has been sent and refused, with an ordinary registration as its control.
func judgeRefused(t *T, good Attempt[changing], what string, ex *reports.Exchange, m expect.Matcher) {
	already := Attempt[*reports.Exchange]{Name: good.Name, Good: good.Good, Send: func(edits ...*reports.Exchange) any {
		if len(edits) > 0 {
			return edits[0]
		}
		return good.Send()
	}}
	Refuses(t, already, Cases[*reports.Exchange]{{what, ex}}, m)
}

// privileges are the grants without a user's consent. Only client_credentials can be used with the result of a registration: the others
// need a token, a password or an assertion too.
var privileges = Cases[privilege]{
	{"client_credentials", privilege{"client_credentials", false}},
	{"token exchange", privilege{"urn:ietf:params:oauth:grant-type:token-exchange", false}},
	{"password", privilege{"password", false}},
	{"jwt-bearer", privilege{JWTBearer, false}},
	{"client_credentials alone", privilege{"client_credentials", true}}, // as a machine registers
}

// privilege is a grant, alone or beside that of authorization codes.
type privilege struct {
	grant string
	alone bool
}

func (p privilege) registration(t *T) changing {
	m := changing{"grant_types": []string{"authorization_code", p.grant}, "token_endpoint_auth_method": t.AS.SecretMethod()}
	if p.alone {
		m["grant_types"], m["response_types"] = []string{p.grant}, []string{}
	}
	return m
}

func givesNoPrivilegedGrants(t *T) {
	good := ordinary(t)
	Each(t, privileges, func(t *T, p privilege) {
		_, ex := t.AS.Register(p.registration(t))
		if notRegistered(decided(t, ex)) != "" {
			judgeRefused(t, good, "registering it", ex, expect.RefuseRegistration("invalid_client_metadata"))
			return
		}
		t.Expect(ex).Ideally(leaveOutGrant(p.grant))
		if c := t.Session.Registered(ex, nil); p.grant == "client_credentials" && c.Secret != "" {
			refusesCredentialsGrant(t, c)
		}
	})
}

// refusesCredentialsGrant asks for what an ordinary request asks for, so that only the grant can be refused. A client that is not
// authenticated is evidence of nothing.
func refusesCredentialsGrant(t *T, c *oauth.Client) {
	ask := []Edit{With("grant_type", "client_credentials")}
	if scopes := t.Session.RequestedScopes(); len(scopes) > 0 {
		ask = append(ask, Scope(scopes...))
	}
	if t.Session.SendResource {
		ask = append(ask, With("resource", t.Session.Resource))
	}
	ex := t.AS.TokenRequest(c, ask...)
	t.Expect(ex, "the client, whose secret AS-DCR-SECRET-WORKS is about,").AsControl(beAuthenticated)
	tokens := t.AS.Tokens(ex, c)
	if tokens == nil {
		t.Expect(ex).To(expect.RefuseGrant("unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request"))
		return
	}
	used := t.MCP.Use(tokens.Access)
	if t.MCP.Served(used) {
		t.Expect(true).SeenIn(used).To(bringNoToken)
	} else {
		t.Expect(false).SeenIn(ex).Ideally(bringNoToken)
	}
}

var beAuthenticated = expect.Serving("an authenticated client", func(ex *reports.Exchange) string {
	if oauth.ErrorCode(ex) == "invalid_client" {
		return expect.Describe(ex)
	}
	return ""
})

var bringNoToken = expect.That("no token for a client that anybody can register", func(served bool) string {
	if served {
		return "the token works at the MCP server: registration alone gives access"
	}
	return "a token is issued, though the MCP server refuses it"
})

func limitsScope(t *T) {
	pool := t.AS.ScopePool()
	c, _ := t.AS.Register(changing{"scope": pool[0]})
	if c == nil || c.Registered.String("scope") != pool[0] {
		t.NotApplicable("the server makes no promise about a client's registered scope")
	}
	Refuses(t, t.AS.CodeFlow(As(c), Scope(pool[0])), Cases[Edit]{
		{pool[1] + ", which the client did not register", Scope(pool[0], pool[1])},
	}, expect.Either(grantLess(t, pool[1]), expect.GiveNoTokens("invalid_scope")))
	const unknown = "mcpauth-no-such-scope"
	Each(t, Cases[string]{{"an unknown scope", pool[0] + " " + unknown}}, func(t *T, scope string) {
		_, ex := t.AS.Register(changing{"scope": scope})
		t.Expect(decided(t, ex)).Ideally(expect.That("unknown scopes left out", func(ex *reports.Exchange) string {
			if kept := oauth.Object(ex).String("scope"); slices.Contains(strings.Fields(kept), unknown) {
				return "scope " + kept
			}
			return ""
		}))
	})
}

// grantLess is satisfied by a token without a scope.
var grantLess = expect.Family("grantLess", func(t *T, scope string) expect.Matcher {
	return expect.That("a token without "+scope, func(f *Flow) string {
		tokens := oauth.ReadTokens(f.Answer)
		if tokens == nil {
			return "no token"
		}
		tokens.Client = f.Client
		if real, _ := t.AS.RealScope(tokens); slices.Contains(real, scope) || slices.Contains(tokens.Scope, scope) {
			return "the token has " + scope
		}
		return ""
	})
})

// choice is a member that the server must choose, with the value that a registration asks for.
type choice struct{ member, value string }

func letsNobodyChooseIdentifiers(t *T) {
	good, victim := ordinary(t), client(t, changing{"token_endpoint_auth_method": t.AS.SecretMethod()})
	known := authenticate("")
	worked := victim.Secret != "" && known.Judge(t.AS.TokenRequest(victim, withMadeUpCode(victim))).Met
	Each(t, Cases[choice]{
		{"the client_id of another client", choice{"client_id", victim.ID}},
		{"a client_id that does not exist", choice{"client_id", "mcpauth-chosen-" + Random(9)}},
		{"a client_secret", choice{"client_secret", t.Hide("mcpauth-chosen-secret-" + Random(24))}},
		{"a registration_access_token", choice{"registration_access_token", t.Hide("mcpauth-chosen-token-" + Random(24))}},
	}, func(t *T, c choice) {
		_, ex := t.AS.Register(changing{"token_endpoint_auth_method": t.AS.SecretMethod(), c.member: c.value,
			"client_name": t.AS.ClientName(", intruder")})
		if notRegistered(decided(t, ex)) != "" {
			judgeRefused(t, good, "registering it", ex, expect.RefuseRegistration("invalid_client_metadata"))
			return
		}
		t.Expect(ex).To(expect.That("a "+c.member+" of the server's choice", func(ex *reports.Exchange) string {
			if oauth.Object(ex).String(c.member) == c.value {
				return "the client's own value is kept"
			}
			return ""
		}))
	})
	if worked {
		t.Expect(t.AS.TokenRequest(victim, withMadeUpCode(victim)), "the other client afterwards").To(known)
	}
}

// believesNoForgedStatements sends software statements that are not signed by a party that the server trusts (RFC 7591 section 2.3).
func believesNoForgedStatements(t *T) {
	claims := mint.Claims{
		"iss": "https://publisher.example", "software_id": "mcpauth", "client_name": "Trusted Corp",
		"redirect_uris": []string{"https://attacker.example/cb"},
	}
	stranger := mint.NewKey("mcpauth-stranger")
	signed := stranger.JWT(nil, claims)
	Each(t, Cases[string]{
		{"an unsigned statement", mint.Unsigned(mint.Header{"alg": "none"}, claims)},
		{"a statement with the key in its header", stranger.JWT(mint.Header{"jwk": stranger.PublicJWK()}, claims)},
		{"a statement signed with an unknown key", signed},
		{"a statement without its signature", signed[:strings.LastIndexByte(signed, '.')+1]},
	}, func(t *T, statement string) {
		_, ex := t.AS.Register(changing{"software_statement": statement})
		t.Expect(decided(t, ex)).To(takeNothing)
	})
}

var takeNothing = expect.That("a refusal, or a registration that ignores the software statement", func(ex *reports.Exchange) string {
	o := oauth.Object(ex)
	if uris, _ := o.Strings("redirect_uris"); slices.Contains(uris, "https://attacker.example/cb") {
		return "its redirect URI is registered"
	}
	if o.String("client_name") == "Trusted Corp" {
		return "its client_name is registered"
	}
	return ""
})
