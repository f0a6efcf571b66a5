package registration

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// answersErrors judges what the server refuses; other checks judge what it registers.
func answersErrors(t *T) {
	uris := Cases[changing]{
		{"a redirect URI with a fragment", changing{"redirect_uris": []string{"https://client.example/cb#frag"}}},
		{"a redirect URI that is not absolute", changing{"redirect_uris": []string{"/callback"}}},
	}
	Each(t, uris, func(t *T, changes changing) {
		ex := refusedRegistration(t, changes)
		t.Expect(ex).To(expect.HaveStatus(400), expect.HaveMediaType("application/json"), nameAnError)
		t.Expect(ex).Ideally(expect.NameError("invalid_redirect_uri"), describeInASCII)
	})
	Each(t, Cases[changing]{
		{"an unknown grant type", changing{"grant_types": []string{"no_such_grant"}}},
		{"an unknown token_endpoint_auth_method", changing{"token_endpoint_auth_method": "no_such_method"}},
		{"grant_types that is a text", changing{"grant_types": "authorization_code"}},
	}, func(t *T, changes changing) {
		ex := refusedRegistration(t, changes)
		if t.Expect(ex).To(expect.HaveStatus(400), expect.HaveMediaType("application/json"), nameAnError) {
			t.Expect(ex).Ideally(nameRegistrationError)
		}
		t.Expect(ex).Ideally(describeInASCII)
	})
}

// refusedRegistration is the answer to a registration that the server refuses for its content.
func refusedRegistration(t *T, changes changing) *reports.Exchange {
	_, ex := t.AS.Register(changes)
	switch s := expect.Status(decided(t, ex)); {
	case s < 400:
		t.NotApplicable("it is not refused: %s", expect.Describe(ex))
	case s == 401 || s == 403 && oauth.ErrorCode(ex) == "":
		t.Inconclusive("it is refused because registration is closed: %s", expect.Describe(ex))
	}
	return ex
}

// nameAnError: "error REQUIRED. Single ASCII error code string." (RFC 7591 section 3.2.2). It defines codes, and closes no list.
var nameAnError = expect.That("an error code, in ASCII", func(ex *reports.Exchange) string {
	code := oauth.ErrorCode(ex)
	if code == "" {
		return "the answer has no error code"
	}
	if strings.ContainsFunc(code, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return "error " + mint.JSON(code)
	}
	return ""
})

// nameRegistrationError accepts the codes of RFC 7591 section 3.2.2, and invalid_request, which many servers send.
var nameRegistrationError = expect.NameError("invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement",
	"unapproved_software_statement", "invalid_request")

var describeInASCII = expect.That("error_description in ASCII (RFC 7591 section 3.2.2)", func(ex *reports.Exchange) string {
	text := oauth.Object(ex).String("error_description")
	if strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
		return mint.JSON(text)
	}
	return ""
})

// body is a registration as it is sent.
type body struct{ text, mediaType string }

const ofJSON = "application/json"

// noRegistrations are bodies that contain no client metadata.
var noRegistrations = Cases[body]{
	{"half an object", body{"{", ofJSON}},
	{"an array", body{"[]", ofJSON}},
	{"null", body{"null", ofJSON}},
	{"a text", body{`"x"`, ofJSON}},
	{"nothing", body{"", ofJSON}},
}

// survivesMalformedBodies sends bodies that are not registrations, unusual ones, and then an ordinary registration.
func survivesMalformedBodies(t *T) {
	Each(t, noRegistrations.In("the body"), func(t *T, b body) { t.Expect(sendBody(t, b)).To(refuseBody) })
	m := t.AS.ClientMetadata()
	good := strings.TrimSuffix(mint.JSON(m), "}")
	m["redirect_uris"] = slices.Repeat([]string{t.Session.Callback}, 10000)
	form := oauth.Form{{Name: "redirect_uris", Value: t.Session.Callback}}.Encode()
	Each(t, Cases[body]{
		{"a form", body{form, "application/x-www-form-urlencoded"}},
		{"JSON as text/plain", body{good + "}", "text/plain"}},
		{"a text of 1 MiB", body{good + `,"client_uri":"https://client.example/` + strings.Repeat("a", 1<<20) + `"}`, ofJSON}},
		{"10000 redirect URIs", body{mint.JSON(m), ofJSON}},
	}.In("the body"), func(t *T, b body) {
		ex := sendBody(t, b)
		if t.Expect(ex).To(survive) {
			t.Expect(ex).Ideally(refuse)
		}
	})
	deep := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
	Each(t, Cases[body]{
		{"2000 objects in one another", body{good + `,"x_mcpauth_deep":` + deep + "}", ofJSON}},
		{"invalid UTF-8", body{good + ",\"x_mcpauth_text\":\"\xff\xfe\"}", ofJSON}},
	}, func(t *T, b body) { t.Expect(sendBody(t, b)).To(survive) })
	t.Expect(t.AS.Registration(nil).Send(), "an ordinary registration afterwards").To(expect.BeRegistered())
}

// sendBody posts a body to the registration endpoint as it is. A limit on requests decides nothing.
func sendBody(t *T, b body) *reports.Exchange {
	r := post(t, t.AS.Server().Registration, b.text)
	r.Header[0] = mcp.Field("Content-Type", b.mediaType)
	ex := t.Do(r)
	if expect.Status(ex) == 429 {
		t.Inconclusive("%s", expect.NoAnswer(ex))
	}
	return ex
}

var refuseBody = expect.That("a refusal with HTTP 4xx", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); s < 400 || s > 499 {
		return expect.Describe(ex)
	}
	return ""
})

// survive expects an answer that is not a server error, or a connection that the server closes on purpose.
var survive = expect.That("an answer that is not a server error", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); s >= 500 || s == 0 && !expect.HungUp(ex) {
		return expect.Describe(ex)
	}
	return ""
})

// confirmsConsistentTypes allows a server to refuse what does not fit, or to register what does (RFC 7591 section 2.1).
func confirmsConsistentTypes(t *T) {
	types := func(grant, response string) changing {
		return changing{"grant_types": []string{grant}, "response_types": []string{response}}
	}
	Each(t, Cases[changing]{
		{"authorization_code with token", types("authorization_code", "token")},
		{"implicit with code", types("implicit", "code")},
		{"authorization_code with code token", types("authorization_code", "code token")},
		{"refresh_token with code", types("refresh_token", "code")},
	}, func(t *T, changes changing) {
		_, ex := t.AS.Register(changes)
		t.Expect(decided(t, ex)).To(fitEachOther)
	})
	Each(t, Cases[string]{{"a grant type that does not exist", "urn:mcpauth:no-such-grant"}}, func(t *T, grant string) {
		_, ex := t.AS.Register(changing{"grant_types": []string{"authorization_code", grant}})
		t.Expect(decided(t, ex)).To(leaveOutGrant(grant))
	})
}

var leaveOutGrant = expect.Family("leaveOutGrant", func(grant string) expect.Matcher {
	return expect.That("the grant type left out, or a refusal (RFC 7591 section 3.2.1)", func(ex *reports.Exchange) string {
		if grants, _ := oauth.Object(ex).Strings("grant_types"); slices.Contains(grants, grant) {
			return "the answer confirms grant_types " + strings.Join(grants, " ")
		}
		return ""
	})
})

// fitEachOther reports nothing if the answer leaves the types out, which AS-DCR-ECHO-METADATA judges.
var fitEachOther = expect.That("grant and response types that fit each other, or a refusal (RFC 7591 section 2.1)", misfit)

func misfit(ex *reports.Exchange) string {
	grants, said := oauth.Object(ex).Strings("grant_types")
	responses, _ := oauth.Object(ex).Strings("response_types")
	token := func(r string) bool { return slices.Contains(strings.Fields(r), "token") }
	codeOnly := slices.Contains(responses, "code") && !slices.Contains(grants, "authorization_code")
	if said && (codeOnly || slices.Contains(grants, "implicit") || slices.ContainsFunc(responses, token)) {
		return "grant_types " + strings.Join(grants, " ") + " with response_types " + strings.Join(responses, ", ")
	}
	return ""
}
