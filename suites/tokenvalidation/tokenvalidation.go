// Package tokenvalidation contains the checks on what a server accepts as a valid access token (OAuth 2.1 section 5.2, RFC 7519, RFC 8725,
// RFC 9068).
package tokenvalidation

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 7662: OAuth 2.0 Token Introspection, at the resource server", introspected)
	Describe("OAuth 2.1 section 5.1: Bearer Token Requests", requests)
	Describe("OAuth 2.1 section 5.2: Access Token Validation", garbage)
	Describe("RFC 8725: JSON Web Token Best Current Practices", forged)
	Describe("RFC 7519 section 4.1: Registered Claim Names", claims)
	Describe("RFC 7515 section 5.2: Message Signature Validation", signatures)
	Describe("OAuth 2.1 section 5.2: tokens of other kinds", kinds)
	Describe("RFC 8414 section 2: jwks_uri, at the resource server", keySets)
	Describe("RFC 9068 section 4: Validating JWT Access Tokens, of neighbours", tenants)
	Describe("RFC 8725 section 3.8: issuers and their keys; other ways to verify", issuers)
	Describe("RFC 7518 section 3.2: HMAC with SHA-2 Functions", sharedSecret)
}

func requests() {
	Must("RS-TOKEN-VALID-ACCEPTED", acceptsValidToken)
	Must("RS-TOKEN-SCHEME-CASE", ignoresCaseOfScheme)
	Must("RS-TOKEN-WRONG-SCHEME", refusesOtherSchemes)
	Must("RS-TOKEN-QUERY-IGNORED", ignoresQuery)
	Practice("RS-TOKEN-BODY-IGNORED", ignoresMessage)
	Practice("RS-TOKEN-COOKIE-IGNORED", ignoresCookies)
	Should("RS-TOKEN-DUPLICATE-CREDENTIALS", refusesSecondCredential)
}

// The user says that the token is valid. If the target refuses it everywhere, the token may be the problem.
func acceptsValidToken(t *T) {
	t.Expect(t.Cite(t.Survey.WithToken[t.Wire]), "the valid token").To(t.MCP.Serve())
	list := mcp.Probe(t.Survey.Endpoint, t.Revision).Method("tools/list", nil)
	if t.Wire == mcp.Stateful {
		list = OpenSession(t).Method("tools/list", nil)
	}
	t.Expect(t.Send(list.With(t.MCP.BearerField())), "tools/list with the valid token").To(notBe401)
}

var notBe401 = expect.Unless(expect.That("any answer but HTTP 401", func(ex *reports.Exchange) string {
	if expect.Status(ex) == 401 {
		return expect.Describe(ex)
	}
	return ""
}), expect.NoAnswer)

// RFC 9110 section 11.1: the scheme is case-insensitive.
func ignoresCaseOfScheme(t *T) {
	Each(t, Cases[string]{{"bearer", "bearer"}, {"BEARER", "BEARER"}, {"bEaReR", "bEaReR"}}, func(t *T, scheme string) {
		call := t.MCP.Call().With(mcp.Field("Authorization", scheme+" "+t.MCP.Token()))
		t.Expect(t.MCP.ServedOrControl(call.Request(), t.MCP.Control)).To(t.MCP.Serve())
	})
	t.Expect(t.Send(t.MCP.Call().With(mcp.Field("Authorization", "Bearer  "+t.MCP.Token()))),
		"two spaces after the scheme").Ideally(t.MCP.Serve())
}

// inField sends a credential in a header field, and no Authorization field unless it is that one.
func inField(name, value string) CallEdit {
	return func(c mcp.Call) mcp.Call {
		c.Header = slices.DeleteFunc(slices.Clone(c.Header), func(f reports.Field) bool { return strings.EqualFold(f.Name, "Authorization") })
		return c.With(mcp.Field(name, value))
	}
}

func refusesOtherSchemes(t *T) {
	if !t.MCP.HasToken() {
		Refuses(t, t.MCP.TokenCall(), append(withScheme("with a bad token", basic(survey.BogusToken)), nothingBehind()...), expect.RefuseAnyway())
		onlyBad(t)
	}
	token := t.MCP.Token()
	rows := withScheme("with the valid token", token).
		And("Authorization: Basic, the valid token as the user name", inField("Authorization", "Basic "+t.Hide(basic(token+":")))).
		And("Authorization: Basic, the valid token as the password", inField("Authorization", "Basic "+t.Hide(basic(":"+token)))).
		And("Authorization: Bearer without a space", inField("Authorization", "Bearer"+token)).
		And("X-Authorization: Bearer", inField("X-Authorization", "Bearer "+token)).
		And("Proxy-Authorization: Bearer", inField("Proxy-Authorization", "Bearer "+token))
	Refuses(t, t.MCP.ProtectedCall(), append(rows, nothingBehind()...), expect.Refuse(401, 400))
	Each(t, Cases[string]{{"the token without a scheme", token}, {"the scheme Token", "Token " + token}}, func(t *T, value string) {
		t.Expect(t.MCP.ProtectedCall().Send(inField("Authorization", value))).Ideally(expect.Refuse(401, 400))
	})
}

// nothingBehind are values that guards may accept as a credential, but that are not one.
func nothingBehind() Cases[CallEdit] {
	rows := Cases[CallEdit]{
		{"Authorization: Basic, without a user and a password", inField("Authorization", "Basic "+basic(":"))},
		{"Authorization: Basic, a made-up user and password", inField("Authorization", "Basic "+basic("mcpauth:mcpauth"))},
		{"Authorization: bearer, in lower case, with a bad token", inField("Authorization", "bearer "+survey.BogusToken)},
	}
	twice := func(c mcp.Call) mcp.Call {
		return anonymous(c).With(mcp.Bearer(survey.BogusToken), mcp.Bearer("a"+survey.BogusToken))
	}
	rows = rows.And("two Authorization fields, each with a bad token", twice).
		And("Authorization: Bearer, with two bad tokens", inField("Authorization", "Bearer "+survey.BogusToken+", Bearer a"+survey.BogusToken))
	for _, scheme := range []string{"Token", "ApiKey", "Negotiate", "Digest"} {
		rows = rows.And("Authorization: "+scheme+", with a made-up credential", inField("Authorization", scheme+" "+survey.BogusToken))
	}
	return rows
}

func withScheme(about, credential string) (rows Cases[CallEdit]) {
	for _, scheme := range []string{"OAuth", "JWT", "DPoP"} {
		rows = rows.And("Authorization: "+scheme+", "+about, inField("Authorization", scheme+" "+credential))
	}
	return rows
}

func basic(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// MCP Authorization, Token Requirements: never in the query string.
func ignoresQuery(t *T) {
	token := survey.BogusToken
	if t.MCP.HasToken() {
		token = t.MCP.Token()
	}
	rows := Cases[CallEdit]{
		{"POST with ?access_token=", inQuery("access_token", token)},
		{"POST with ?token=", inQuery("token", token)},
		{"POST with ?bearer=", inQuery("bearer", token)},
		{"POST with ?authorization=", inQuery("authorization", "Bearer "+token)},
		{"POST with ?api_key=", inQuery("api_key", token)},
		{"POST with ?access_token= and no value", inQuery("access_token", "")},
	}
	Refuses(t, t.MCP.TokenCall(), rows, expect.RefuseAnyway())
	if !t.MCP.HasToken() {
		onlyBad(t)
	}
	if t.Wire == mcp.Stateful && t.MCP.HasToken() {
		get := Cases[CallEdit]{{"without Authorization", inQuery("access_token", token)}}
		Each(t, Cases[func() mcp.Call]{
			{"GET with ?access_token=", func() mcp.Call { return OpenSession(t).Using("GET") }},
			{"GET /sse with ?access_token=", func() mcp.Call { return oldTransport(t) }},
		}, func(t *T, of func() mcp.Call) { Refuses(t, mustStream(t, of), get, expect.RefuseAnyway()) })
	}
}

// oldTransport is the GET that opens the stream of the HTTP+SSE transport (MCP 2024-11-05), which has no session before.
func oldTransport(t *T) mcp.Call {
	c := t.MCP.Call().Using("GET")
	c.Endpoint, c.SessionID = document.Origin(t.Survey.URL)+"/sse", ""
	return c
}

// mustStream is the GET that opens a stream for the user, each time a new one. The row does not apply where there is none, or where it is
// public, which is another finding.
func mustStream(t *T, of func() mcp.Call) Attempt[CallEdit] {
	opened := expect.ServedBy(func(ex *reports.Exchange) bool { return expect.Accepted(ex) || expect.OpenedSilently(ex) })
	good := Attempt[CallEdit]{Name: "GET with the valid token", Good: opened, Send: func(edits ...CallEdit) any {
		c := t.MCP.Authorized(of())
		for _, e := range edits {
			c = e(c)
		}
		return t.Send(c)
	}}
	if ex := expect.ExchangeOf(good.Send()); !opened.Judge(ex).Met {
		t.NotApplicable("a stream is not offered: GET with the user's token is answered with %s", expect.Describe(ex))
	}
	if ex := expect.ExchangeOf(good.Send(anonymous)); opened.Judge(ex).Met {
		t.NotApplicable("the stream is open to everybody")
	}
	return good
}

// inQuery sends a credential in the query, and no Authorization field.
func inQuery(name, value string) CallEdit {
	return func(c mcp.Call) mcp.Call { return anonymous(c).WithQuery(name, value) }
}

// anonymous is a call without its Authorization field.
func anonymous(c mcp.Call) mcp.Call {
	c.Header = slices.DeleteFunc(slices.Clone(c.Header), func(f reports.Field) bool { return strings.EqualFold(f.Name, "Authorization") })
	return c
}

func ignoresMessage(t *T) {
	bearer := "Bearer " + t.MCP.Token()
	Refuses(t, t.MCP.ProtectedCall(), Cases[CallEdit]{
		{"the token in params.auth", inParams("auth", map[string]any{"type": "oauth2", "access_token": t.MCP.Token()})},
		{"the token in params.access_token", inParams("access_token", t.MCP.Token())},
		{"the token in params.authorization", inParams("authorization", bearer)},
		{"the token in params._meta.authorization", inParams("_meta", map[string]any{"authorization": bearer})},
		{"the token in params._meta.auth.token", inParams("_meta", map[string]any{"auth": map[string]any{"token": t.MCP.Token()}})},
		{"the token in auth, beside params", beside("auth", map[string]any{"type": "oauth2", "access_token": t.MCP.Token()})},
		{"the token in access_token, beside params", beside("access_token", t.MCP.Token())},
	}, expect.RefuseAnyway())
}

// beside sends a member of the message itself, and no Authorization field.
func beside(name string, value any) CallEdit {
	return func(c mcp.Call) mcp.Call {
		c = anonymous(c)
		return c.WithBody(strings.TrimSuffix(c.Message(), "}") + "," + strings.TrimPrefix(mint.JSON(map[string]any{name: value}), "{"))
	}
}

// inParams sends a member of the message's params, and no Authorization field. Members of an object that is there are kept.
func inParams(name string, value any) CallEdit {
	return func(c mcp.Call) mcp.Call {
		c = anonymous(c)
		params := maps.Clone(c.Params)
		if params == nil {
			params = map[string]any{}
		}
		members, isObject := value.(map[string]any)
		if there, ok := params[name].(map[string]any); ok && isObject {
			there = maps.Clone(there)
			maps.Copy(there, members)
			value = there
		}
		params[name] = value
		c.Params = params
		return c
	}
}

func ignoresCookies(t *T) {
	Refuses(t, t.MCP.ProtectedCall(), Cases[CallEdit]{
		{"the token in the cookie access_token", inField("Cookie", "access_token="+t.MCP.Token())},
		{"the token in the cookie token", inField("Cookie", "token="+t.MCP.Token())},
		{"the token in the cookie Authorization", inField("Cookie", "Authorization="+t.MCP.Token())},
		{"the token in the cookie access_token, after Bearer", inField("Cookie", `access_token="Bearer `+t.MCP.Token()+`"`)},
	}, expect.RefuseAnyway())
}

// RFC 6750 section 2: not more than one method in a request.
func refusesSecondCredential(t *T) {
	good, bad := t.MCP.BearerField(), mcp.Bearer(survey.BogusToken)
	adding := func(fields ...reports.Field) CallEdit {
		return func(c mcp.Call) mcp.Call { return anonymous(c).With(fields...) }
	}
	badAndQuery := func(c mcp.Call) mcp.Call { return anonymous(c).With(bad).WithQuery("access_token", t.MCP.Token()) }
	Refuses(t, t.MCP.ProtectedCall(), Cases[CallEdit]{
		{"a bad Authorization field before the good one", adding(bad, good)},
		{"a bad token and the good one in one field", adding(mcp.Field("Authorization", bad.Value+", "+good.Value))},
		{"the good token and a bad one in one field", adding(mcp.Field("Authorization", good.Value+", "+bad.Value))},
		{"a bad Authorization field and the good token in the query", badAndQuery},
		{"a bad Authorization field and the good token in a cookie", adding(bad, mcp.Field("Cookie", "access_token="+t.MCP.Token()))},
	}, expect.Refuse(400, 401))
	t.Expect(t.MCP.ProtectedCall().Send(adding(good, bad)), "a bad Authorization field after the good one").Ideally(expect.Refuse(400, 401))
}

// onlyBad ends a check if there is no valid token: without a control, the refusal of a bad token shows little.
func onlyBad(t *T) {
	t.NotTestedWithout("token-given", "a bad token was refused there; to try a valid one, give it with --token-env")
}

func garbage() {
	Must("RS-TOKEN-GARBAGE", refusesGarbage)
	Must("RS-TOKEN-SYNTAX-BYTES", refusesIllegalBytes)
	Practice("RS-TOKEN-OVERSIZED", boundsTokenSize)
}

func refusesGarbage(t *T) {
	t.Expect(t.MCP.Bogus(), "a random value of the usual shape").To(t.MCP.RefuseToken(401))
	rows := madeUpTokens()
	if t.MCP.HasToken() {
		for _, miss := range nearMisses(t.MCP.Token()) {
			rows = rows.And("the valid token, "+miss.Name, t.Mint.HidePart(miss.Value, t.MCP.Token()))
		}
	}
	refuse(t, rows.Where(wellFormed), 401)
	refuse(t, Inherited(), 401, 400, 403)           // a firewall may know these names
	if odd := rows.Where(malformed); len(odd) > 0 { // the request is malformed, too (RFC 6750 section 3.1)
		refuse(t, odd, 401, 400)
	}
	Refuses(t, t.MCP.TokenCall(), Cases[CallEdit]{ // a guard may verify one spelling of the scheme, and let another pass
		{"a random value after bearer", inField("Authorization", "bearer "+survey.BogusToken)},
		{"a random value after BEARER", inField("Authorization", "BEARER "+survey.BogusToken)},
	}, t.MCP.RefuseToken(401, 400))
	if t.MCP.HasToken() {
		token := t.MCP.Token()
		t.MCP.RefusedInEveryWay("the valid token, one character changed", t.Hide(nearmiss.ChangedAt(token, max(len(token)-8, len(token)/2))))
	}
}

// madeUpTokens are what attackers try, and what clients without a token send.
func madeUpTokens() Cases[string] {
	return Cases[string]{
		{"the token test", "test"},
		{"the token admin", "admin"},
		{"a UUID", "00000000-0000-4000-8000-000000000000"},
		{"32 random bytes", Random(32)},
		{"what a client without a token sends: undefined", "undefined"},
		{"what a client without a token sends: null", "null"},
		{"what a client without a token sends: None", "None"},
		{"a placeholder of guides", "YOUR_TOKEN"},
	}
}

// b64token is the value after Bearer (RFC 6750 section 2.1).
var b64token = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

func wellFormed(token string) bool { return b64token.MatchString(token) }
func malformed(token string) bool  { return !wellFormed(token) }

// RFC 6750 section 2.1: a token is 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".
func refusesIllegalBytes(t *T) {
	token := survey.BogusToken
	if t.MCP.HasToken() {
		token = t.MCP.Token()
	}
	half := len(token) / 2
	if t.MCP.HasToken() {
		t.Mint.HidePart(token[:half], token)
		t.Hide(token[half:])
	}
	refuseAnyway(t, Cases[string]{
		{"the token in quotes", `"` + token + `"`},
		{"the token in angle brackets", "<" + token + ">"},
		{"a parameter after the token", token + ";charset=utf-8"},
		{"a comma after the token", token + ","},
		{"a parameter of a form after the token", token + "&mcpauth=1"},
		{"a percent-encoded character in the token", token[:half] + fmt.Sprintf("%%%02X", token[half]) + token[half+1:]},
		{"the byte 0xFC", "\xfc"},
		{"ü in UTF-8", "ü"},
		{"the byte 0xFC after the token", token + "\xfc"},
	})
	t.Expect(t.Do(nulByte(t, token)), "a NUL byte in the token").To(expect.RefuseAnyway())
	t.Expect(t.MCP.Use(token[:half]+" "+token[half:]), "a space in the middle of the token").Ideally(expect.RefuseAnyway())
}

// refuseAnyway expects tokens to be refused with any 4xx.
func refuseAnyway(t *T, tokens Cases[string]) {
	var rows Cases[CallEdit]
	for _, r := range tokens {
		rows = rows.And(r.Name, Presenting(r.Value))
	}
	Refuses(t, t.MCP.TokenCall(), rows, expect.RefuseAnyway())
}

func boundsTokenSize(t *T) {
	sizes := Cases[int]{{"a bad token of 8 KiB", 8 << 10}, {"a bad token of 64 KiB", 64 << 10}}
	if t.MayStrain(t.Survey.Endpoint) {
		sizes = sizes.And("a bad token of 256 KiB", 256<<10)
	}
	Each(t, sizes, func(t *T, n int) {
		ex := answerToOversized(t, t.MCP.Call().With(mcp.Bearer(strings.Repeat("A", n))).OnFreshConnection())
		if ex.Response == nil {
			t.Expect(ex).Ideally(expect.Refuse(401, 400, 413, 414, 431))
			return
		}
		t.Expect(ex).To(expect.Refuse(401, 400, 413, 414, 431))
	})
	if t.Mint.Trusted() {
		servesLong(t)
	} else {
		Untried(t, "a valid token of 8 KiB", ATrustedIssuer)
	}
	t.MCP.Control()
}

func servesLong(t *T) {
	ex := answerToLong(t, t.Mint.Token(map[string]any{"mcpauth_padding": strings.Repeat("A", 6<<10)}))
	t.Expect(ex, "a valid token of 8 KiB").To(serveOrSayTheLimit(t))
	if s := expect.Status(ex); s == 413 || s == 414 || s == 431 {
		t.Note("a valid token of 8 KiB is too long for the server, which says so: %s", expect.Describe(ex))
	}
}

// answerToLong sends a valid token up to five times until it is served: an instance of the server may not know it
// (RS-TRANSPORT-CONNECTION-IDENTITY).
func answerToLong(t *T, token string) (ex *reports.Exchange) {
	for range 5 {
		if ex = t.Send(t.MCP.Call().With(mcp.Bearer(token)).OnFreshConnection()); expect.Accepted(ex) {
			break
		}
	}
	return ex
}

// answerToOversized sends a request up to five times until an answer arrives: a server that closes the connection with a part of the
// request unread resets it, and the answer may be lost with that (RFC 9112 section 9.6).
func answerToOversized(t *T, call mcp.Call) (ex *reports.Exchange) {
	for range 5 {
		if ex = t.Send(call); ex.Response != nil {
			break
		}
	}
	return ex
}

// serveOrSayTheLimit expects a long token to be served, or a status that says that it is too long: after 401 a client gets another one
// of the same length.
var serveOrSayTheLimit = expect.Family("serveOrSayTheLimit", func(t *T) expect.Matcher {
	return expect.That("acceptance of the request, or HTTP 400, 413, 414 or 431, which say that the token is too long",
		func(ex *reports.Exchange) string {
			if s := expect.Status(ex); t.MCP.Served(ex) || s == 400 || s == 413 || s == 414 || s == 431 {
				return ""
			}
			return expect.Describe(ex)
		})
})

// nulByte writes the request by hand: no HTTP library sends such a field.
func nulByte(t *T, token string) wire.Request {
	return RawPost(t, "Authorization: Bearer "+token+"\x00x\r\n")
}

// hexadecimal are tokens that may be read as numbers, such as UUIDs: letters of either case are the same digit.
var hexadecimal = regexp.MustCompile(`^[0-9A-Fa-f-]+$`)

// nearMisses are tokens that differ from a valid one in one place.
func nearMisses(token string) Cases[string] {
	middle := len(token) / 2
	out := Cases[string]{
		{"one character changed", nearmiss.ChangedAt(token, middle)},
		{"with xxxx at its end", token + "xxxx"},
		{"without its first character", token[1:]},
		{"its first half", token[:middle]},
		{"twice", token + token},
		{"with .e30 at its end", token + ".e30"},
		{"its characters in reverse order", reverse(token)},
	}
	if !hexadecimal.MatchString(token) {
		out = out.And("with upper and lower case exchanged", nearmiss.SwapCase(token))
	}
	if len(token) > 8 {
		out = out.And("without its last four characters", token[:len(token)-4]).
			And("without its last two characters", token[:len(token)-2])
	}
	out = append(out, opaqueMisses(token)...)
	return slices.DeleteFunc(out, func(miss struct {
		Name  string
		Value string
	}) bool {
		return miss.Value == token || miss.Value == ""
	})
}

// opaqueMisses are further ones of a token that is not a JWT: the last character of a JWT has unused bits, which lenient decoders drop.
func opaqueMisses(token string) (out Cases[string]) {
	if strings.Count(token, ".") == 2 {
		return nil
	}
	for _, miss := range nearmiss.Of(token, nearmiss.Changed, nearmiss.Truncated, nearmiss.Shorter, nearmiss.Longer, nearmiss.Pattern) {
		out = out.And("but "+miss.Name, miss.Value)
	}
	return out
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}
