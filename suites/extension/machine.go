package extension

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func credentials() {
	Must("AS-CC-METADATA", advertisesMethods)
	Must("AS-CC-SECRET-FLOW", servesClientsForThemselves)
	Should("AS-CC-SUBJECT-DISTINCT", distinguishesClients)
	Must("RS-EXT-CC-TOKEN", validatesClientTokens)
}

func advertisesMethods(t *T) {
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		t.Expect(m.Object).SeenIn(m.Exchange).To(listConfidentialMethod, listAlgorithms)
		t.Expect(m.Object).SeenIn(m.Exchange).Ideally(listRecommendedMethod)
		t.Expect(t.AS.ClientCredentials(), "though a client may use it").SeenIn(m.Exchange).Ideally(listClientCredentials)
	})
}

const methods = "token_endpoint_auth_methods_supported"

func lists(m *document.Object, wanted ...string) bool {
	listed, _ := m.Strings(methods)
	return slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(listed, w) })
}

var listConfidentialMethod = expect.That("a method for confidential clients in "+methods, func(m *document.Object) string {
	if lists(m, oauth.PrivateKey, oauth.Basic, oauth.Post) {
		return ""
	}
	listed, _ := m.Strings(methods)
	return strings.Join(listed, " ")
})

var listRecommendedMethod = expect.That("private_key_jwt or client_secret_basic in "+methods, func(m *document.Object) string {
	if lists(m, oauth.PrivateKey, oauth.Basic) || !lists(m, oauth.Post) {
		return ""
	}
	return "client_secret_post only"
})

const algorithmsOfKeys = "token_endpoint_auth_signing_alg_values_supported"

var listAlgorithms = expect.That(algorithmsOfKeys+" together with private_key_jwt", func(m *document.Object) string {
	if algorithms, _ := m.Strings(algorithmsOfKeys); len(algorithms) > 0 || !lists(m, oauth.PrivateKey) {
		return ""
	}
	return algorithmsOfKeys + " is absent"
})

var listClientCredentials = expect.That("client_credentials in grant_types_supported", func(listed bool) string {
	if listed {
		return ""
	}
	return "client_credentials is not listed"
})

const invented = "mcpauth:invented.admin"

func servesClientsForThemselves(t *T) {
	c := t.AS.Machine()
	ex := t.AS.RequestForItself(c)
	tokens := t.AS.Tokens(ex, c)
	if !t.Expect(ex, "a client that may act for itself").To(expect.IssueTokens()) {
		return
	}
	t.Expect(tokens).Ideally(haveNoRefreshToken)
	if c.Secret != "" {
		good := ForItself(t, c, "a request with the right secret")
		Refuses(t, good, t.AS.WrongSecrets(c), expect.RefuseGrant("invalid_client", "invalid_request"))
	}
	ex = t.AS.RequestForItself(c, Scope(append(slices.Clone(c.Scopes), invented)...))
	granting(t, ex, c, "an invented scope", "invalid_scope", func(more *oauth.Tokens) {
		scopes, seen := t.AS.RealScope(more)
		if !seen {
			t.Leave("an invented scope", "the scope of the token cannot be seen")
		}
		t.Expect(scopes, "an invented scope").SeenIn(ex).To(lack(invented))
	})
	if t.Session.SendResource { // otherwise only a login shows whether the server reads the parameter (AS-RES-ACCEPTED)
		ex = t.AS.RequestForItself(c, With("resource", Attacker))
		granting(t, ex, c, "a foreign resource", "invalid_target", func(other *oauth.Tokens) { audienceOf(t, other, "a foreign resource") })
	}
}

// granting judges a request that should be refused with an error, or granted without its foreign part.
func granting(t *T, ex *reports.Exchange, c *oauth.Client, about, code string, granted func(*oauth.Tokens)) {
	if tokens := t.AS.Tokens(ex, c); tokens != nil {
		granted(tokens)
		return
	}
	t.Expect(ex, about).To(expect.RefuseGrant(code))
}

// audienceOf judges the audience of a token that was requested for a resource of an attacker (RFC 8707 section 2).
// AS-RES-UNKNOWN-TARGET reports once that the parameter is ignored.
func audienceOf(t *T, tokens *oauth.Tokens, about string) {
	if audience, seen := t.AS.Audience(tokens); seen {
		t.Expect(audience, about).SeenIn(tokens.Exchange).To(notNameAttacker)
	} else {
		t.Leave(about, "the audience of the token cannot be seen")
	}
}

var notNameAttacker = expect.That("error invalid_target", func(audience []string) string {
	if Names(audience, Attacker) {
		return "a token for " + Attacker + " is issued"
	}
	return ""
})

var lack = expect.Family("lack", func(scope string) expect.Matcher {
	return expect.That("error invalid_scope, or a token without it", func(granted []string) string {
		if slices.Contains(granted, scope) {
			return "the scope " + scope + " is granted"
		}
		return ""
	})
})

var haveNoRefreshToken = expect.That("no refresh token (OAuth 2.1 section 4.2, ID-JAG section 4.4.3)", func(tokens *oauth.Tokens) string {
	if tokens.Refresh == "" {
		return ""
	}
	return "a refresh token is issued"
})

func distinguishesClients(t *T) {
	c := t.AS.Machine()
	ex := t.AS.RequestForItself(c)
	tokens := t.AS.Tokens(ex, c)
	if tokens == nil {
		t.Inconclusive("the client gets no token (AS-CC-SECRET-FLOW): %s", expect.Describe(ex))
	}
	_, claims := oauth.Claims(tokens.Access)
	if claims == nil {
		claims = t.AS.Introspected(tokens)
	}
	if claims == nil {
		t.Leave("the subject", "the content of the token cannot be seen")
	} else {
		t.Expect(claims, "the subject").SeenIn(ex).To(standForClient(c.ID))
	}
	if t.AS.Server().Userinfo != "" {
		user := t.Get(t.AS.Server().Userinfo, mcp.Bearer(tokens.Access))
		t.Expect(user, "the userinfo endpoint").To(showNoUser)
	}
}

// kinds are claims that distinguish tokens of clients from those of users.
var kinds = []string{"gty", "grant_type", "token_use", "client_type", "idtyp", "act"}

var standForClient = expect.Family("standForClient", func(id string) expect.Matcher {
	return expect.That("a subject that cannot be mistaken for a user (RFC 9068 section 5)", func(claims *document.Object) string {
		told := slices.ContainsFunc(kinds, func(name string) bool { _, there := claims.Get(name); return there })
		sub := claims.String("sub")
		if sub == "" || strings.Contains(sub, id) || told {
			return ""
		}
		return "sub is " + sub + ", the client is " + id + ", and no claim distinguishes the two kinds"
	})
})

var showNoUser = expect.Refusing("no user for a client's own token", func(ex *reports.Exchange) string {
	if expect.Status(ex) != 200 {
		return ""
	}
	return expect.Describe(ex)
})

func validatesClientTokens(t *T) {
	good := t.Mint.Presented()
	scopes := t.Mint.Scoped(strings.Join(t.MCP.OrdinaryScopes(), " "))
	machine := TokenEdits(Claim("sub", "mcpauth-machine"), Claim("client_id", "mcpauth-machine"), scopes)
	send := good.Send
	good.Name = "an ordinary token of a client"
	good.Send = func(edits ...TokenEdit) any { return send(append([]TokenEdit{machine}, edits...)...) }
	t.Mint.Control()
	if ex := expect.ExchangeOf(good.Send()); !t.MCP.Served(ex) {
		t.NotApplicable("tokens of clients that act for themselves are not served at all: %s", expect.Describe(ex))
	}
	past := time.Now().Add(-time.Hour).Unix()
	Refuses(t, good, Cases[TokenEdit]{
		{"a client's token, another audience", Claim("aud", "https://other.example/mcp")},
		{"a client's token, expired", TokenEdits(Claim("exp", past), Claim("iat", past-3600))},
		{"a client's token, another issuer", Claim("iss", "https://attacker.example")},
	}, expect.Refuse(401))
	t.Expect(t.MCP.Use(forged(t, machine)), "a client's token, signed with another key").To(expect.Refuse(401))
	callsWithoutScope(t)
}

// forged is a token that is signed with another key than the issuer's.
func forged(t *T, edit TokenEdit) string {
	h, c := t.Mint.Header(), t.Mint.Claims(nil)
	edit(h, c)
	attacker := mint.NewAttacker()
	return t.Hide(attacker.Sign(attacker.Algorithms(h)[0], h, c))
}

// callsWithoutScope calls tools with tokens of a client that lack what the tool needs: a scope, or a user.
func callsWithoutScope(t *T) {
	with := func(scopes ...string) string {
		return t.Mint.Token(map[string]any{"sub": "mcpauth-machine", "client_id": "mcpauth-machine", "scope": strings.Join(scopes, " ")})
	}
	for _, tool := range t.MCP.ScopedTools() {
		t.Expect(t.MCP.CallTool(with("mcpauth:none"), tool), "%s without the scope %s", tool.Name, tool.Needs()).To(expect.NotRun())
	}
	for _, tool := range t.MCP.OwnedTools() {
		t.Expect(t.MCP.CallTool(with(t.MCP.OrdinaryScopes()...), tool), tool.Name).To(showNothingOf(tool.Private))
	}
}

var showNothingOf = expect.Family("showNothingOf", func(private string) expect.Matcher {
	return expect.Refusing("nothing of a user's for a client that acts for itself", func(ex *reports.Exchange) string {
		if strings.Contains(Text(ex), private) {
			return "the result shows what only the first user may see"
		}
		return ""
	})
})
