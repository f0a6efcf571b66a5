package challenge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func parameters() {
	Must("RS-CHALLENGE-BEARER-SCHEME", offersBearer)
	Must("RS-CHALLENGE-BEARER-PARAMS", givesBearerParameters)
	Must("RS-CHALLENGE-PARAM-CHARSETS", keepsToCharacterSets)
	May("RS-CHALLENGE-RESOURCE-METADATA", namesMetadata)
	Must("RS-CHALLENGE-RESOURCE-METADATA-URL", leadsToItsOwnMetadata)
	Should("RS-CHALLENGE-SCOPE-PARAM", namesScopes)
	Should("RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS", namesNoErrorWithoutToken)
	Should("RS-CHALLENGE-INVALID-TOKEN-ERROR", namesInvalidToken)
}

// A server often has other code for a bad token than for none.
func offersBearer(t *T) {
	t.Expect(withChallenge(t)[0].Value).To(offerBearer)
	if bogus := t.MCP.Bogus(); expect.Status(bogus) == 401 && len(expect.Challenges(bogus)) > 0 {
		t.Expect(bogus, "a garbage token").To(offerBearer)
	}
	for _, r := range elsewhereRefused(t, func(string) bool { return true }) {
		t.Expect(r.Value, "%s", r.Name).To(offerBearer)
	}
}

// elsewhereRefused are the 401s with a challenge to other requests than a POST outside a session: GET, DELETE, in a session, from the
// server's own page, and at other revisions. Separate code may write them.
func elsewhereRefused(t *T, wanted func(row string) bool) (out Cases[*reports.Exchange]) {
	all := slices.Concat(ofTokens(t)[2:], ofRevisionsSince(t, "")) // the first two are that without a token, and that with a garbage token
	for _, r := range all {
		if wanted(r.Name) && expect.Status(r.Value) == 401 && len(expect.Challenges(r.Value)) > 0 {
			out = out.And(r.Name, r.Value)
		}
	}
	return out
}

func lacksToken(row string) bool {
	return strings.HasPrefix(row, "no token") || strings.HasSuffix(row, "without a token")
}

func hasGarbageToken(row string) bool { return strings.Contains(row, "a garbage token") }

var offerBearer = expect.That("a Bearer or DPoP challenge, which OAuth clients look for by name", func(ex *reports.Exchange) string {
	var schemes []string
	for _, c := range expect.Challenges(ex) {
		if strings.EqualFold(c.Scheme, "Bearer") || strings.EqualFold(c.Scheme, "DPoP") {
			return ""
		}
		schemes = append(schemes, c.Scheme)
	}
	return "the challenge names only " + strings.Join(schemes, ", ")
})

func givesBearerParameters(t *T) {
	bare := func(ex *reports.Exchange) string {
		if slices.ContainsFunc(expect.Bearer(ex), func(c document.Challenge) bool { return len(c.Parameters) == 0 }) {
			return "the bare scheme Bearer"
		}
		return ""
	}
	Each(t, withBearer(t), func(t *T, ex *reports.Exchange) {
		some := expect.That("one or more parameters after Bearer (OAuth 2.1 section 5.3.1)", bare)
		if expect.HaveChallengeOf("DPoP").Judge(ex).Met { // as in the example of RFC 9449 section 7.2
			t.Expect(ex, "next to a DPoP challenge").Ideally(some)
		} else {
			t.Expect(ex).To(some)
		}
	})
}

func keepsToCharacterSets(t *T) {
	published := publishedScopes(t)
	Each(t, withBearer(t), func(t *T, ex *reports.Exchange) {
		if t.Expect(ex).To(haveScopeTokens(), joinNoScopes(published)) {
			t.Expect(ex).Ideally(haveNoListAsScope())
		}
		for _, name := range []string{"error", "error_description"} {
			t.Expect(ex).To(haveParameterWithin(name, "%x20-21 / %x23-5B / %x5D-7E", plainText))
		}
		t.Expect(ex).To(haveParameterWithin("error_uri", "%x21 / %x23-5B / %x5D-7E, as a URI reference has them",
			func(v string) bool { return plainText(v) && !strings.Contains(v, " ") }))
		t.Expect(ex).Ideally(separateScopesByOneSpace(), haveRegisteredError())
	})
}

func onScope(expected string, problem func(scope string) bool) expect.Matcher {
	return expect.That(expected, func(ex *reports.Exchange) string {
		for _, c := range expect.Bearer(ex) {
			if scope, ok := c.Param("scope"); ok && problem(scope) {
				return fmt.Sprintf("scope=%q", scope)
			}
		}
		return ""
	})
}

func haveScopeTokens() expect.Matcher {
	return onScope("scope tokens separated by spaces (RFC 6749 section 3.3)", func(scope string) bool {
		return slices.ContainsFunc(strings.Split(scope, " "), func(s string) bool {
			return s != "" && !expect.ScopeToken(s)
		})
	})
}

// joinNoScopes expects published scopes not to be joined by commas. A comma alone is not a defect: the grammar allows it in a name.
var joinNoScopes = expect.Family("joinNoScopes", func(published []string) expect.Matcher {
	return onScope("scopes separated by spaces, not by commas", func(scope string) bool {
		parts := strings.FieldsFunc(scope, func(r rune) bool { return strings.ContainsRune(`, []"'`, r) })
		known := func(s string) bool { return slices.Contains(published, s) }
		return strings.Contains(scope, ",") && !slices.ContainsFunc(strings.Fields(scope), known) && slices.ContainsFunc(parts, known)
	})
})

func haveNoListAsScope() expect.Matcher {
	return onScope("scope names without commas and square brackets, which look like a list", func(scope string) bool {
		return strings.ContainsAny(scope, ",[]")
	})
}

func separateScopesByOneSpace() expect.Matcher {
	return onScope("scopes separated by one space", func(scope string) bool { return slices.Contains(strings.Split(scope, " "), "") })
}

func haveParameterWithin(name, set string, within func(string) bool) expect.Matcher {
	return expect.That(name+" within "+set+" (OAuth 2.1 section 5.3.1)", func(ex *reports.Exchange) string {
		for _, c := range expect.Bearer(ex) {
			if v, ok := c.Param(name); ok && !within(v) {
				return fmt.Sprintf("%s=%q", name, v)
			}
		}
		return ""
	})
}

var haveRegisteredError = expect.Family("haveRegisteredError", func() expect.Matcher {
	return expect.That("a registered error code", func(ex *reports.Exchange) string {
		if code, ok := expect.Param(ex, "error"); ok && !slices.Contains(registeredErrors, code) {
			return fmt.Sprintf("error=%q", code)
		}
		return ""
	})
})

var registeredErrors = []string{
	"invalid_request", "invalid_token", "insufficient_scope", // OAuth 2.1 section 5.3.2
	"use_dpop_nonce", "invalid_dpop_proof", // RFC 9449 section 7.1
	"insufficient_user_authentication", // RFC 9470 section 3
}

func plainText(v string) bool {
	for i := 0; i < len(v); i++ {
		if v[i] < 0x20 || v[i] > 0x7e || v[i] == '"' || v[i] == '\\' {
			return false
		}
	}
	return true
}

func namesMetadata(t *T) {
	if !t.Expect(t.MCP.Anonymous(), "no token").To(haveParameter("resource_metadata")) {
		if bogus := t.MCP.Bogus(); expect.Status(bogus) == 401 {
			t.Expect(bogus, "a garbage token").Ideally(haveParameter("resource_metadata"))
		}
		return
	}
	// A client that has no token yet may send an empty one.
	for _, r := range slices.Concat(ofTokens(t)[1:], ofRevisionsSince(t, "2025-06-18"), ofEmptyToken(t)) {
		if expect.Status(r.Value) == 401 {
			t.Expect(r.Value, "%s", r.Name).Ideally(haveParameter("resource_metadata"))
		}
	}
}

// haveParameter expects a parameter in a challenge of any scheme (RFC 9728 section 5.1).
var haveParameter = expect.Family("haveParameter", func(name string) expect.Matcher {
	return expect.That(name+" in the challenge", func(ex *reports.Exchange) string {
		if _, ok := expect.Param(ex, name); !ok {
			return expect.Describe(ex)
		}
		return ""
	})
})

// named is a metadata URL in a challenge, with the document at it.
type named struct {
	document survey.Document
	in       *reports.Exchange // nil where only the survey has seen it
}

func leadsToItsOwnMetadata(t *T) {
	all := namedMetadata(t)
	if len(all) == 0 {
		t.NotApplicable("no challenge names resource_metadata (RS-CHALLENGE-RESOURCE-METADATA)")
	}
	Each(t, all, func(t *T, n named) {
		d := t.Expect(n.document, "%s", n.document.URL).SeenIn(n.evidence())
		if d.To(beAbsolute(), useHTTPS(t)) && d.To(leadToMetadata()) && d.To(describe(t)) {
			d.Ideally(beAtOrigin(t))
		}
	})
	t.Expect(len(all)).Ideally(beOneURL)
}

var beOneURL = expect.That("the same resource_metadata in all challenges", func(urls int) string {
	if urls > 1 {
		return fmt.Sprintf("%d different URLs", urls)
	}
	return ""
})

func (n named) evidence() *reports.Exchange {
	if n.document.Exchange != nil {
		return n.document.Exchange
	}
	return n.in
}

// namedMetadata are the metadata documents that challenges name, each once.
func namedMetadata(t *T) Cases[named] {
	var out Cases[named]
	for _, d := range t.Survey.Resources {
		if d.Place == "challenge" {
			out = out.And("what the first 401 names", named{document: d})
		}
	}
	for _, row := range refusals(t) {
		for _, c := range expect.Challenges(row.Value) {
			v, ok := c.Param("resource_metadata")
			if !ok || len(out.Where(func(n named) bool { return n.document.URL == v })) > 0 {
				continue
			}
			out = out.And(row.Name, named{metadataAt(t, v), row.Value})
		}
	}
	return out
}

// metadataAt is the document at an address that a challenge names.
func metadataAt(t *T, address string) survey.Document {
	d := survey.Document{URL: address, Place: "challenge"}
	if _, d.Err = document.ParseURL(address); d.Err == nil {
		d.Exchange = t.Get(address)
		d.Object, d.Oddities, d.Err = survey.ReadDocument(d.Exchange)
	}
	return d
}

var beAbsolute = expect.Family("beAbsolute", func() expect.Matcher {
	return expect.That("an absolute URL in resource_metadata", func(d survey.Document) string {
		if _, err := document.ParseURL(d.URL); err != nil {
			return fmt.Sprintf("%q: %v", d.URL, err)
		}
		return ""
	})
})

var useHTTPS = expect.Family("useHTTPS", func(t *T) expect.Matcher {
	return expect.That("an https URL, since the server is not on a private network", func(d survey.Document) string {
		if u, err := document.ParseURL(d.URL); err == nil && u.Scheme != "https" && !document.PrivateHost(t.Survey.URL.Hostname()) {
			return fmt.Sprintf("%q", d.URL)
		}
		return ""
	})
})

var leadToMetadata = expect.Family("leadToMetadata", func() expect.Matcher {
	return expect.That("a resource_metadata URL that leads to the metadata, without credentials", func(d survey.Document) string {
		switch {
		case !d.Found():
			return fmt.Sprintf("%s: %v", d.URL, d.Err)
		case d.Object.String("resource") == "":
			return d.URL + " has no member resource"
		}
		return ""
	})
})

// describe expects the document of this endpoint where there is one: a client must not use a document whose resource is another
// (RFC 9728 section 3.3). Where there is none, RS-DISC-RESOURCE-MATCH judges the resource.
var describe = expect.Family("describe", func(t *T) expect.Matcher {
	right := ownMetadata(t)
	expected := "the metadata of this server, which is at " + right + " (RFC 9728 sections 3.3 and 5.1)"
	return expect.That(expected, func(d survey.Document) string {
		resource := d.Object.String("resource")
		relation := document.Relation(t.Survey.Endpoint, resource)
		if right != "" && (relation == document.OtherPath || relation == document.OtherOrigin) {
			return fmt.Sprintf("%s is about %q", d.URL, resource)
		}
		return ""
	})
})

// ownMetadata is where metadata of exactly this endpoint is; empty if it was found nowhere.
func ownMetadata(t *T) string {
	for i := range t.Survey.Resources {
		d := &t.Survey.Resources[i]
		if d.Found() && document.Relation(t.Survey.Endpoint, d.Object.String("resource")) == document.Same {
			return d.URL
		}
	}
	return ""
}

var beAtOrigin = expect.Family("beAtOrigin", func(t *T) expect.Matcher {
	return expect.That("a URL on the server's own origin; hardened clients may refuse others", func(d survey.Document) string {
		if u, err := document.ParseURL(d.URL); err == nil && document.Origin(u) != document.Origin(t.Survey.URL) {
			return fmt.Sprintf("%q", d.URL)
		}
		return ""
	})
})

func namesScopes(t *T) {
	ex := withChallenge(t)[0].Value
	if v, _ := expect.Param(ex, "scope"); v == "" && !publishesScopes(t) {
		t.NotApplicable("neither the challenge nor the metadata names a scope; that is right where scopes are not used")
	}
	t.Expect(ex).To(expect.That("the scopes that the refused request needs, since the server has scopes", func(ex *reports.Exchange) string {
		if v, _ := expect.Param(ex, "scope"); v == "" {
			return "no scope parameter"
		}
		return ""
	}))
}

func publishesScopes(t *T) bool {
	d := t.Survey.Resource()
	if d == nil {
		return false
	}
	scopes, _ := d.Object.Strings("scopes_supported")
	return len(scopes) > 0
}

// publishedScopes are the scopes in the metadata of the resource and of its authorization servers.
func publishedScopes(t *T) []string {
	var out []string
	if d := t.Survey.Resource(); d != nil {
		out, _ = d.Object.Strings("scopes_supported")
	}
	for i := range t.Survey.Servers {
		if m := t.Survey.Servers[i].Metadata(); m != nil {
			more, _ := m.Object.Strings("scopes_supported")
			out = slices.Concat(out, more)
		}
	}
	return out
}

func namesNoErrorWithoutToken(t *T) {
	rows := Cases[*reports.Exchange]{
		{"no token", t.MCP.Anonymous()},
		{"Basic credentials", t.Send(t.MCP.Call().With(mcp.Field("Authorization", "Basic dTpw")))},
	}
	rows = append(rows, elsewhereRefused(t, lacksToken)...)
	Each(t, rows, func(t *T, ex *reports.Exchange) {
		none := expect.That("no error code where no token was presented (OAuth 2.1 section 5.3.2)", func(ex *reports.Exchange) string {
			if code, ok := expect.Param(ex, "error"); ok {
				return fmt.Sprintf("error=%q", code)
			}
			return ""
		})
		if code, _ := expect.Param(answered(t, ex), "error"); code == "invalid_request" { // as in the example of RFC 9728 section 5.1
			t.Expect(ex).Ideally(none)
		} else {
			t.Expect(ex).To(none)
		}
	})
}

func namesInvalidToken(t *T) {
	rows := Cases[*reports.Exchange]{{"a garbage token", t.MCP.Bogus()}}
	for _, bad := range t.Mint.BadTokens()[1:] {
		rows = rows.And(bad.Name, t.Send(t.MCP.Call().With(mcp.Bearer(bad.Value))))
	}
	rows = append(rows, elsewhereRefused(t, hasGarbageToken)...)
	Each(t, rows, func(t *T, ex *reports.Exchange) {
		if s := expect.Status(answered(t, ex)); s != 401 {
			t.Inconclusive("it is answered with %s (RS-TOKEN-GARBAGE)", expect.Describe(ex))
		}
		if len(expect.Bearer(ex)) == 0 {
			t.NotApplicable("there is no Bearer challenge that could have an error code")
		}
		code, ok := expect.Param(ex, "error")
		if a := t.Expect(code).SeenIn(ex); !ok && bodyError(ex) == "invalid_token" {
			a.Ideally(challengeWithBodysError)
		} else {
			a.To(beInvalidToken)
		}
	})
}

var beInvalidToken = expect.That(`error="invalid_token" in the challenge (OAuth 2.1 section 5.3.2)`, func(code string) string {
	switch code {
	case "invalid_token":
		return ""
	case "":
		return "the challenge has no error"
	}
	return fmt.Sprintf("error=%q", code)
})

const asInBody = `error="invalid_token" in the challenge, as in the body (OAuth 2.1 section 5.3.2)`

// challengeWithBodysError is beInvalidToken for an answer whose body has the code: OAuth clients do not read the body.
var challengeWithBodysError = expect.That(asInBody, func(string) string {
	return "the challenge has no error; the answer has invalid_token, which is only in the body"
})

func bodyError(ex *reports.Exchange) string {
	o, _, err := document.ParseObject(expect.Body(ex))
	if err != nil {
		return ""
	}
	return o.String("error")
}
