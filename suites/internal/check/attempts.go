package check

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

const accessType = "urn:ietf:params:oauth:token-type:access_token"

// Edits combines several edits.
func Edits(all ...Edit) Edit {
	return func(d *draft) {
		for _, e := range all {
			e(d)
		}
	}
}

// AsWithSecret sends the request as a client with another secret, in the way in which it sends its own.
func AsWithSecret(c *oauth.Client, secret string) Edit {
	other := *c
	other.Secret = secret
	return As(&other)
}

// Guesses returns rows that try wrong secrets of a client, or none without permission.
func (t AuthorizationServer) Guesses(c *oauth.Client, rows Cases[Edit]) Cases[Edit] {
	if t.mayGuess(c) {
		return rows
	}
	Untried(t.T, secretsOfTheClient, "permission ("+allowIntrusive+")")
	return nil
}

const secretsOfTheClient = "wrong secrets of the client"

// mayGuess reports whether wrong secrets of a client may be tried: a server may lock the client, which its owner uses for other things. A
// client that the run registered may be locked.
func (t AuthorizationServer) mayGuess(c *oauth.Client) bool {
	return c.Registered != nil || t.MayStrain(t.Server().Token)
}

// SecretsMustBeTried leaves the check not tested, unless it finds something, where wrong secrets of a client may not be tried: refusals of
// requests without a secret do not show that secrets are compared.
func (t AuthorizationServer) SecretsMustBeTried(c *oauth.Client) {
	if !t.mayGuess(c) {
		const why = "its owner may use it for other things, and a server may lock it"
		LeaveWithout(t.T, "intrusive", secretsOfTheClient, why)
	}
}

// WrongSecrets returns the ways in which a confidential client fails to authenticate if its secret is compared.
func (t AuthorizationServer) WrongSecrets(c *oauth.Client) Cases[Edit] {
	rows := Cases[Edit]{{"client_id alone", Edits(Unidentified(), With("client_id", c.ID))}}
	if t.mayGuess(c) {
		return append(rows, t.guesses(c)...)
	}
	Untried(t.T, secretsOfTheClient, "permission ("+allowIntrusive+")")
	return rows
}

func (t AuthorizationServer) guesses(c *oauth.Client) Cases[Edit] {
	body := func(secret string) Edit {
		return Edits(Unidentified(), With("client_id", c.ID), With("client_secret", secret))
	}
	wrong := "mcpauth-wrong-" + Random(16)
	rows := Cases[Edit]{
		{"an empty secret", body("")},
		{"an empty secret by Basic", Edits(Unidentified(), Header(oauth.BasicAuth(c.ID, "")))},
		{"a wrong secret in the body", body(wrong)},
		{"a wrong secret by Basic", Edits(Unidentified(), Header(oauth.BasicAuth(c.ID, wrong)))},
	}
	return append(rows, t.nearSecrets(c)...)
}

// NearSecrets returns rows with secrets that resemble that of a client, in the way in which it sends its own; none without permission.
func (t AuthorizationServer) NearSecrets(c *oauth.Client) Cases[Edit] {
	if t.mayGuess(c) {
		return t.nearSecrets(c)
	}
	return nil
}

func (t AuthorizationServer) nearSecrets(c *oauth.Client) (rows Cases[Edit]) {
	for _, m := range nearmiss.Of(c.Secret, nearmiss.Changed, nearmiss.Truncated, nearmiss.Shorter, nearmiss.Longer, nearmiss.LetterCase) {
		rows = rows.And("the secret, "+m.Name, AsWithSecret(c, t.Hide(m.Value)))
	}
	if other, _ := t.Register(map[string]any{"token_endpoint_auth_method": t.SecretMethod()}); other != nil && other.Secret != "" {
		rows = rows.And("another client's secret", AsWithSecret(c, other.Secret))
	}
	return rows
}

// EachEdited returns a table with an additional edit in every row.
func EachEdited(rows Cases[Edit], further Edit) Cases[Edit] {
	var out Cases[Edit]
	for _, r := range rows {
		out = out.And(r.Name, Edits(r.Value, further))
	}
	return out
}

// AtToken edits the token request of a CodeFlow; other edits change its authorization request.
func AtToken(edits ...Edit) Edit { return func(d *draft) { d.atToken = append(d.atToken, edits...) } }

// Change changes the value of a parameter in the good request. A row whose change makes no difference does not apply.
func Change(name string, to func(value string) string) Edit {
	return func(d *draft) {
		d.changes = append(d.changes, func(f *oauth.Form) {
			good := f.Get(name)
			bad := to(good)
			if bad == good {
				d.t.NotApplicable("it makes no difference to %s here", name)
			}
			if slices.Contains(secretParameters, name) {
				d.t.Hide(bad)
			}
			f.Set(name, bad)
		})
	}
}

var secretParameters = []string{"code", "code_verifier", "refresh_token", "client_secret", "client_assertion", "token", "assertion",
	"subject_token", "device_code"}

// NearMisses returns edits that make a parameter nearly right. A server that compares by prefix, suffix, length or letter case accepts one
// of them. Kinds name further weaknesses.
func NearMisses(name string, kinds ...nearmiss.Kind) Cases[Edit] {
	var out Cases[Edit]
	for _, w := range nearmiss.Ways(append(kinds, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.LetterCase)...) {
		out = out.And(w.Name, Change(name, w.To))
	}
	return out.In(name)
}

// Inherited returns rows with names under which a plain JavaScript object finds something, though nothing was stored there.
func Inherited() Cases[string] {
	var out Cases[string]
	for _, name := range nearmiss.Inherited {
		out = out.And(name+", a member of every JavaScript object", name)
	}
	return out
}

// InheritedAs returns the edits that set a parameter to these names.
func InheritedAs(parameter string) Cases[Edit] {
	var out Cases[Edit]
	for _, row := range Inherited() {
		out = out.And(row.Name, With(parameter, row.Value))
	}
	return out
}

// Operator returns an edit that sends, instead of a parameter, an operator of a database query that only the right value satisfies. Some
// parsers make an object of name[$regex], and some databases (MongoDB) evaluate it. It matches nothing that belongs to others.
func Operator(name string) Edit {
	return func(d *draft) {
		d.changes = append(d.changes, func(f *oauth.Form) {
			good := f.Get(name)
			f.Del(name)
			f.Set(name+"[$regex]", d.t.Hide(MostOf(good)))
		})
	}
}

// MostOf returns a regular expression for the first three quarters of a value.
func MostOf(good string) string { return "^" + regexp.QuoteMeta(good[:len(good)*3/4]) }

// MissesOf returns the rows of a table of near misses.
func MissesOf(misses []nearmiss.Miss) Cases[string] {
	var out Cases[string]
	for _, m := range misses {
		out = out.And(m.Name, m.Value)
	}
	return out
}

// Flow is an authorization request with the token request that followed, if the client got a code.
type Flow struct {
	*Grant
	Answer *reports.Exchange // of the token endpoint; nil without a code
}

// Evidence returns the exchange that shows how the flow ended.
func (f *Flow) Evidence() *reports.Exchange {
	if f.Answer != nil {
		return f.Answer
	}
	return f.Exchange
}

// TokenResponse returns the answer of the token endpoint; nil if the client got no code.
func (f *Flow) TokenResponse() *reports.Exchange { return f.Answer }

// AuthorizationRequest returns a good authorization request. Its result is a *Grant.
func (t AuthorizationServer) AuthorizationRequest(base ...Edit) Attempt[Edit] {
	return Attempt[Edit]{Name: "an ordinary authorization request", Good: expect.Proceed(), Send: func(edits ...Edit) any {
		return t.Authorize(slices.Concat(base, edits)...)
	}}
}

// CodeFlow returns a good authorization request and, if the client gets a code, a good token request. Its result is a *Flow. Edits change
// the authorization request; see AtToken.
func (t AuthorizationServer) CodeFlow(base ...Edit) Attempt[Edit] {
	return Attempt[Edit]{Name: "an ordinary flow", Good: expect.Proceed(), Send: func(edits ...Edit) any {
		all := slices.Concat(base, edits)
		flow := &Flow{Grant: t.Authorize(all...)}
		if flow.Code() != "" {
			flow.Answer = t.Redeem(flow.Grant, t.draft(all).atToken...)
			t.Tokens(flow.Answer, flow.Client)
		}
		return flow
	}}
}

// Redemption returns a good token request with a new code. The base edits change the authorization request before it.
func (t AuthorizationServer) Redemption(base ...Edit) Attempt[Edit] {
	return Attempt[Edit]{Name: "an ordinary token request", Good: expect.IssueTokens(), Send: func(edits ...Edit) any {
		g, ex := t.redeemNew(base, edits)
		t.Tokens(ex, g.Client)
		return ex
	}}
}

// redeemNew redeems a new code. Without edits of the token request this is an ordinary flow.
func (t AuthorizationServer) redeemNew(base, edits []Edit) (*Grant, *reports.Exchange) {
	if len(edits) == 0 {
		return t.ordinaryFlow(base)
	}
	g := t.MustAuthorize(base...)
	return g, t.Redeem(g, edits...)
}

// RefreshGrant returns a good refresh request with a new refresh token. The base edits change the flow that issues it.
func (t AuthorizationServer) RefreshGrant(base ...Edit) Attempt[Edit] {
	return Attempt[Edit]{Name: "an ordinary refresh", Good: expect.IssueTokens(), Send: func(edits ...Edit) any {
		tokens := t.MustGetRefreshToken(base...)
		ex := t.refreshNew(tokens, base, edits)
		t.Tokens(ex, tokens.Client)
		return ex
	}}
}

// refreshNew uses a new refresh token. Without edits of the request this is an ordinary refresh.
func (t AuthorizationServer) refreshNew(tokens *oauth.Tokens, base, edits []Edit) *reports.Exchange {
	if len(edits) == 0 {
		return t.ordinaryRefresh(tokens, base)
	}
	return t.Refresh(tokens, edits...)
}

// ForItself returns a good token request of a client for itself.
func ForItself(t *T, c *oauth.Client, name string) Attempt[Edit] {
	return Attempt[Edit]{Name: name, Good: expect.IssueTokens(), Send: func(edits ...Edit) any {
		ex := t.AS.RequestForItself(c, edits...)
		t.AS.Tokens(ex, c)
		return ex
	}}
}

// Exchanging returns a good token exchange of a client's own subject token (RFC 8693 section 2.1).
func Exchanging(t *T, c *oauth.Client, subject string) Attempt[Edit] {
	return Attempt[Edit]{Name: "an ordinary exchange", Good: expect.IssueTokens(), Send: func(edits ...Edit) any {
		good := []Edit{With("grant_type", TokenExchange), With("subject_token", subject), With("subject_token_type", accessType)}
		ex := t.AS.TokenRequest(c, append(good, edits...)...)
		t.AS.Tokens(ex, c)
		return ex
	}}
}

// Registration returns a good registration (RFC 7591 section 3.1). An edit is a set of members to change; nil removes one.
func (t AuthorizationServer) Registration(base map[string]any) Attempt[map[string]any] {
	return Attempt[map[string]any]{Name: "an ordinary registration", Good: expect.BeRegistered(), Send: func(edits ...map[string]any) any {
		changes := map[string]any{}
		for _, e := range append([]map[string]any{base}, edits...) {
			maps.Copy(changes, e)
		}
		_, ex := t.Register(changes)
		return ex
	}}
}

// CallEdit changes a call before it is sent.
type CallEdit func(mcp.Call) mcp.Call

// Presenting replaces the good token.
func Presenting(token string) CallEdit {
	return func(c mcp.Call) mcp.Call {
		isAuthorization := func(f reports.Field) bool { return strings.EqualFold(f.Name, "Authorization") }
		c.Header = slices.DeleteFunc(slices.Clone(c.Header), isAuthorization)
		return c.With(mcp.Bearer(token))
	}
}

// ProtectedCall returns the minimal protected request with the user's token.
func (t MCPServer) ProtectedCall() Attempt[CallEdit] { return t.CallWithToken(t.Token()) }

// CallWithToken returns the minimal protected request with a token.
func (t MCPServer) CallWithToken(token string) Attempt[CallEdit] {
	return Attempt[CallEdit]{Name: "the protected request with the valid token", Good: expect.BeServed(), Send: func(edits ...CallEdit) any {
		c := t.Call().With(mcp.Bearer(token))
		for _, e := range edits {
			c = e(c)
		}
		return t.Send(c)
	}}
}

// TokenEdit changes an ordinary token before it is signed.
type TokenEdit func(h mint.Header, c mint.Claims)

// Claim sets a claim.
func Claim(name string, value any) TokenEdit {
	return func(_ mint.Header, c mint.Claims) { c[name] = value }
}

// NoClaim removes claims.
func NoClaim(names ...string) TokenEdit {
	return func(_ mint.Header, c mint.Claims) {
		for _, n := range names {
			delete(c, n)
		}
	}
}

// HeaderParameter sets a parameter of the header; nil removes it.
func HeaderParameter(name string, value any) TokenEdit {
	return func(h mint.Header, _ mint.Claims) {
		if h[name] = value; value == nil {
			delete(h, name)
		}
	}
}

// TokenEdits combines several edits.
func TokenEdits(all ...TokenEdit) TokenEdit {
	return func(h mint.Header, c mint.Claims) {
		for _, e := range all {
			e(h, c)
		}
	}
}

// Scoped sets the claim for the scopes, which is not always "scope"; nil removes it.
func (t Minter) Scoped(scopes any) TokenEdit {
	name, v := t.scopeClaim(scopes)
	if scopes == nil {
		return NoClaim(name)
	}
	return Claim(name, v)
}

// Presented returns the protected request with an ordinary minted token.
func (t Minter) Presented() Attempt[TokenEdit] {
	return Attempt[TokenEdit]{Name: "an ordinary token of the issuer", Good: expect.BeServed(), Send: func(edits ...TokenEdit) any {
		h, c := maps.Clone(t.Header()), maps.Clone(t.Claims(nil))
		for _, e := range edits {
			e(h, c)
		}
		return t.MCP.Use(t.Seal(mint.Input(h, c)))
	}}
}

// OpaquePresented returns the protected request with an opaque token, which the target introspects at the endpoint run by mcpauth. An edit
// is a set of members of the response to change; nil removes one.
func (t Minter) OpaquePresented() Attempt[map[string]any] {
	return Attempt[map[string]any]{Name: "an ordinary opaque token", Good: expect.BeServed(), Send: func(edits ...map[string]any) any {
		changes := map[string]any{}
		for _, e := range edits {
			maps.Copy(changes, e)
		}
		return t.MCP.Use(t.OpaqueToken(t.ActiveAnswer(changes)).Value)
	}}
}

// TokenCall returns the protected request with a token: the user's, or a minted one. Without either, its control is the request with an API
// key, which an edit replaces by a token, or else a request that the survey saw served without a token.
func (t MCPServer) TokenCall() Attempt[CallEdit] {
	switch {
	case t.HasToken():
		return t.ProtectedCall()
	case t.Mint.Trusted():
		return t.CallWithToken(t.Mint.Token(nil))
	case len(t.APIKeys()) > 0:
		return t.callWithKey()
	}
	call := t.CallWithToken("")
	_, served := t.Survey.Alive(t.wire()) // metadata, or an open server
	name := "what the server serves without a token"
	if !served {
		name = "nothing is served without a token (supply one with --token-env), and the request"
	}
	alive := expect.ServedBy(func(*reports.Exchange) bool { return served })
	return Attempt[CallEdit]{Name: name, Good: alive, Send: func(edits ...CallEdit) any {
		if len(edits) > 0 {
			return call.Send(edits...)
		}
		t.sharedControl()
		ex, _ := t.Survey.Alive(t.wire())
		return ex
	}}
}

// callWithKey returns the protected request with an API key. An edit replaces the key by what it sends.
func (t MCPServer) callWithKey() Attempt[CallEdit] {
	key := t.APIKeys()[0]
	return Attempt[CallEdit]{Name: "the protected request with " + key.Name, Good: expect.BeServed(), Send: func(edits ...CallEdit) any {
		if len(edits) > 0 {
			return t.CallWithToken("").Send(edits...)
		}
		return t.Send(t.CallFor(key).With(key.Field()))
	}}
}

// RefuseToken expects the refusal of a token with a status. RFC 6750 demands the status of servers that know tokens: where nothing shows
// that the target does, any 4xx is right.
func (t MCPServer) RefuseToken(statuses ...int) expect.Matcher {
	if !t.signsOfOAuth() {
		return expect.RefuseAnyway()
	}
	return expect.Refuse(statuses...)
}
