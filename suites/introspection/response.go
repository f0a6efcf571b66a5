package introspection

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Only active is required; other members must be right if they are present.
func describesActiveToken(t *T) {
	c, tokens := t.AS.IntrospectableTokens()
	ex := t.AS.Introspect(c, tokens.Access, With("token_type_hint", "access_token"))
	if !t.Expect(ex).To(expect.HaveStatus(200), expect.HaveMember("active", true)) {
		return
	}
	t.Expect(ex).Ideally(expect.HaveMediaType("application/json"))
	o := oauth.Object(ex)
	Each(t, present(o, describing(t, tokens)), func(t *T, m member) { t.Expect(ex).To(expect.HaveMember(m.name, m.want)) })
	if v, _ := o.Get("exp"); v != nil {
		t.Expect(v).SeenIn(ex).To(agreeWith(tokens.Exchange, ex))
	}
	Each(t, present(o, beginnings).In("time"), func(t *T, m member) { t.Expect(o).SeenIn(ex).To(haveBegun(m.name, ex)) })
	if v, _ := o.Get("scope"); isText(v) && c.ID == tokens.Client.ID && tokens.HasScope {
		t.Expect(strings.Fields(o.String("scope")), "scope").SeenIn(ex).Ideally(lackNothing(tokens.Scope))
	}
	Each(t, claimsOf(o, tokens), func(t *T, c claim) { t.Expect(o).SeenIn(ex).Ideally(sayTheSame(c.name, c.values)) })
}

// member is a member of an answer, with what it must be.
type member struct {
	name string
	want any
}

// describing are the members that RFC 7662 section 2.2 defines. A server may tell a resource server fewer scopes than it has granted.
func describing(t *T, tokens *oauth.Tokens) []member {
	scope := aText
	if tokens.HasScope {
		scope = withinScopes(tokens.Scope)
	}
	out := []member{
		{"scope", scope},
		{"client_id", tokens.Client.ID},
		{"exp", expect.ANumber},
		{"iat", expect.ANumber},
		{"nbf", expect.ANumber},
		{"sub", aText},
		{"username", aText},
		{"token_type", aText},
		{"jti", aText},
		{"aud", textOrTexts},
	}
	if issuer := t.AS.Server().Named(); issuer != "" {
		out = append(out, member{"iss", issuer})
	}
	return out
}

// beginnings are the times before which a token is not active.
var beginnings = []member{{name: "iat"}, {name: "nbf"}}

// present are rows for the members that an answer has. Some serializers write null for a missing one.
func present(o *document.Object, all []member) (out Cases[member]) {
	for _, m := range all {
		if v, _ := o.Get(m.name); v != nil {
			out = out.And(m.name, m)
		}
	}
	return out
}

var aText = expect.ValueThat("a text", isText)

func isText(v any) bool { _, is := v.(string); return is }

var textOrTexts = expect.ValueThat("a text, or a list of texts", func(v any) bool {
	list, is := v.([]any)
	return isText(v) || is && !slices.ContainsFunc(list, func(e any) bool { return !isText(e) })
})

func withinScopes(granted []string) expect.Value {
	return expect.ValueThat("a text with none but the granted scopes: "+strings.Join(granted, " "), func(v any) bool {
		s, ok := v.(string)
		return ok && !slices.ContainsFunc(strings.Fields(s), func(scope string) bool { return !slices.Contains(granted, scope) })
	})
}

// lackNothing expects the client of the token to be told its whole scope.
var lackNothing = expect.Family("lackNothing", func(granted []string) expect.Matcher {
	return expect.That("the granted scope "+strings.Join(granted, " "), func(told []string) string {
		if SameSet(told, granted) {
			return ""
		}
		if len(told) == 0 {
			return "an empty scope"
		}
		return "scope: " + strings.Join(told, " ")
	})
})

// haveBegun expects a time that is not after the introspection: an active token is within the time of its validity.
var haveBegun = expect.Family("haveBegun", func(name string, ex *reports.Exchange) expect.Matcher {
	return expect.That(name+" that is not after the introspection", func(o *document.Object) string {
		v, _ := o.Get(name)
		if at, number := expect.Number(v); number && at > clock(ex, ex.Started)+60 {
			return fmt.Sprintf("%s %v, which is in %s", name, v, expect.InSeconds(at-clock(ex, ex.Started)))
		}
		return ""
	})
})

// claim is a claim of a token that is a JWT, with its values.
type claim struct {
	name   string
	values []string
}

// claimsOf are the claims of a token that its introspection has, too.
func claimsOf(o *document.Object, tokens *oauth.Tokens) (out Cases[claim]) {
	_, claims := oauth.Claims(tokens.Access)
	for _, name := range []string{"sub", "aud"} {
		if own := texts(claims, name); len(own) > 0 && len(texts(o, name)) > 0 {
			out = out.And(name+" of the token", claim{name, own})
		}
	}
	return out
}

// sayTheSame expects one of the values that the token has. A server may tell a resource server only the audience that it is.
var sayTheSame = expect.Family("sayTheSame", func(name string, own []string) expect.Matcher {
	return expect.That(name+" as in the token: "+strings.Join(own, ", "), func(o *document.Object) string {
		told := texts(o, name)
		if slices.ContainsFunc(told, func(v string) bool { return slices.Contains(own, v) }) {
			return ""
		}
		return name + ": " + strings.Join(told, ", ")
	})
})

// texts are the values of a member that is a text or a list of texts.
func texts(o *document.Object, name string) []string {
	if s := o.String(name); s != "" {
		return []string{s}
	}
	list, _ := o.Strings(name)
	return list
}

// agreeWith expects exp to be after the introspection, and to match expires_in of the token response.
var agreeWith = expect.Family("agreeWith", func(issued, introspected *reports.Exchange) expect.Matcher {
	return expect.That("exp in the future, in agreement with expires_in of the token response", func(v any) string {
		exp, number := expect.Number(v)
		lives, stated := oauth.Seconds(oauth.Object(issued))
		from, now := clock(issued, issued.Ended()), clock(introspected, introspected.Started)
		switch {
		case !number: // another expectation reports this
			return ""
		case exp < now:
			return fmt.Sprintf("exp %v, which is %s ago", v, expect.InSeconds(now-exp))
		case stated && math.Abs(exp-from-lives) > 60:
			return fmt.Sprintf("exp %v, %s after the token response, while expires_in was %s", v,
				expect.InSeconds(exp-from), expect.InSeconds(lives))
		}
		return ""
	})
})

// clock is the time of the server at an answer: its Date field, or else the time here.
func clock(ex *reports.Exchange, here time.Time) float64 {
	if date, ok := expect.Date(ex); ok {
		here = date
	}
	return float64(here.Unix())
}

func reportsDeadTokensInactive(t *T) {
	c, tokens := t.AS.IntrospectableTokens()
	var rows Cases[Edit]
	of := tokens.Client
	for _, dead := range slices.Concat(unknownTokens(), changedTokens(t, tokens), deadTokens(t, of), revokedRefreshToken(t, of)) {
		rows = rows.And(dead.Name, With("token", dead.Value))
	}
	newToken := Attempt[Edit]{Name: "the introspection of a new access token", Good: expect.BeActive(), Send: func(edits ...Edit) any {
		if len(edits) == 0 { // a later grant may have ended the earlier tokens
			tokens = t.AS.MustGetTokens(As(tokens.Client))
		}
		return t.AS.Introspect(c, tokens.Access, edits...)
	}}
	Refuses(t, newToken, rows, beInactive)
	code := t.AS.MustAuthorize(As(tokens.Client)).Code()
	t.Expect(t.AS.Introspect(c, tokens.Access, With("token", code)), "an authorization code").Ideally(beInactive)
	idTokenLooksOtherwise(t, c, tokens)
	endedGrantIsInactive(t, c, tokens.Client)
}

// endedGrantIsInactive introspects an access token that has ended with its refresh token. The authorization server may leave such tokens
// active (RFC 7009 section 2.1), but then the MCP server does not refuse them.
func endedGrantIsInactive(t *T, c, owner *oauth.Client) {
	tokens := t.AS.MustGetTokens(As(owner), t.AS.ForRefresh())
	if t.AS.EndsWithRefresh(tokens) {
		ex := t.AS.Introspect(c, tokens.Access)
		t.Expect(ex, "an access token that the MCP server refuses since its refresh token was revoked").Ideally(beInactive)
	}
}

// idTokenLooksOtherwise introspects an ID token, as a resource server does to which a client sends one.
func idTokenLooksOtherwise(t *T, c *oauth.Client, tokens *oauth.Tokens) {
	if !t.AS.Lists("scopes_supported", "openid") {
		return
	}
	g := t.AS.Authorize(As(tokens.Client), Scope(append(slices.Clone(t.Session.RequestedScopes()), "openid")...))
	if g.Code() == "" {
		return // a server may offer openid to some clients only
	}
	with := t.AS.MustRedeem(g)
	if with.ID == "" {
		return
	}
	access := mustBeActive(t, c, with)
	t.Expect(oauth.Object(t.AS.Introspect(c, with.ID)), "an ID token").SeenIn(t.Last()).Ideally(lookOtherwise(access))
}

// mustBeActive is the answer about an access token, which ends the check undecided if it does not say that the token is active.
func mustBeActive(t *T, c *oauth.Client, tokens *oauth.Tokens) *document.Object {
	ex := t.AS.Introspect(c, tokens.Access)
	t.Expect(ex, "the introspection of the access token").AsControl(expect.BeActive())
	return oauth.Object(ex)
}

// beInactive allows unsupported_token_type for what the server does not introspect at all.
var beInactive = expect.Refusing("HTTP 200 with active: false (RFC 7662 section 2.2)", func(ex *reports.Exchange) string {
	active, said := oauth.Object(ex).Bool("active")
	switch {
	case oauth.ErrorCode(ex) == "unsupported_token_type", expect.Status(ex) == 200 && said && !active:
		return ""
	case active:
		return "active: true"
	}
	return expect.Describe(ex)
})

// Without a login, tokens that were never issued show it.
func tellsNothingOfInactiveTokens(t *T) {
	c := t.AS.IntrospectionClient()
	all := unknownTokens()
	if t.Session.Ready {
		_, tokens := t.AS.IntrospectableTokens()
		all = slices.Concat(all, deadTokens(t, tokens.Client))
	}
	Each(t, all, func(t *T, token string) {
		ex := t.AS.Introspect(c, token)
		if active, said := oauth.Object(ex).Bool("active"); said && !active {
			t.Expect(ex).To(sayNoMore(identifying...))
			t.Expect(ex).Ideally(sayNoMore("reason", "error", "error_description"))
		}
	})
}

// identifying members name the user or client of the token, or its permissions.
var identifying = []string{"sub", "username", "client_id", "scope", "exp", "aud"}

var sayNoMore = expect.Family("sayNoMore", func(names ...string) expect.Matcher {
	return expect.That("active: false and nothing else (RFC 7662 section 2.2)", func(ex *reports.Exchange) string {
		for _, name := range oauth.Object(ex).Names() {
			if slices.Contains(names, name) {
				return "the answer also has " + name
			}
		}
		return ""
	})
})

func marksRefreshTokens(t *T) {
	c, tokens := t.AS.IntrospectableTokens()
	if tokens.Refresh == "" {
		t.NotApplicable("a new token of client %s comes without a refresh token", tokens.Client.ID)
	}
	access := mustBeActive(t, c, tokens)
	Each(t, Cases[Edit]{
		{"no hint", Unchanged},
		{"token_type_hint access_token", With("token_type_hint", "access_token")},
	}, func(t *T, hint Edit) {
		t.Expect(oauth.Object(t.AS.Introspect(c, tokens.Refresh, hint)), "a refresh token").SeenIn(t.Last()).Ideally(lookOtherwise(access))
	})
}

// lookOtherwise expects an answer that a resource server can tell from that for an access token.
var lookOtherwise = expect.Family("lookOtherwise", func(access *document.Object) expect.Matcher {
	const expected = "active: false, or a member that says that it is not an access token"
	return expect.That(expected, func(o *document.Object) string {
		active, _ := o.Bool("active")
		kind := kindOf(o)
		switch {
		case !active || strings.Contains(kind, "refresh"):
			return ""
		case strings.Contains(kind, "bearer"):
			return "active: true with token_type " + o.String("token_type") + ", as for an access token"
		case kind == kindOf(access):
			return "active: true, and token_type, token_use and typ are as for an access token"
		}
		return ""
	})
})

// kindOf is what an answer says about the kind of a token.
func kindOf(o *document.Object) string {
	return strings.ToLower(o.String("token_type") + " " + o.String("token_use") + " " + o.String("typ"))
}
