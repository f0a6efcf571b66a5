// Package challenge holds the checks on how a server refuses: the 401 and its WWW-Authenticate field
// (RFC 9110 section 11.6.1, OAuth 2.1 section 5.3), and that nothing gets past it.
package challenge

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 5.3.2: malformed requests", malformed)
	Describe("MCP Authorization: Error Handling", status)
	Describe("RFC 9110 section 11.6.1: WWW-Authenticate", field)
	Describe("OAuth 2.1 section 5.3: The Bearer challenge", parameters)
	Describe("MCP Authorization: Access Token Usage", everywhere)
	Describe("MCP Authorization: Token Handling", existingTools)
	Describe("MCP Authorization: Token Handling, of every client", everyClient)
	Describe("RFC 9470: Step Up Authentication Challenge", stepUp)
	Describe("MCP 2024-11-05: HTTP with SSE", legacy)
}

func status() {
	Must("RS-CHALLENGE-401-STATUS", func(t *T) {
		ex := t.MCP.Anonymous()
		if expect.Accepted(ex) {
			if declared := servedWithoutToken(t); !declared || t.Meant() != "" {
				t.MCP.ServesAnyone(ex)
			}
			return
		}
		t.Expect(ex).To(expect.Refuse(401))
		if t.Wire == mcp.Stateful && expect.Status(ex) == 401 {
			withSession := t.Send(t.MCP.Call().InSession(Random(18)).OnFreshConnection())
			if s := expect.Status(withSession); s == 400 || s == 404 {
				t.Expect(withSession, "with an unknown session id").Ideally(expect.Refuse(401))
			} else {
				t.Expect(withSession, "with an unknown session id").To(expect.Refuse(401))
			}
		}
	})

	// The status says it, not a JSON-RPC error or a tool result inside HTTP 200.
	Must("RS-CHALLENGE-NO-AUTH-ERROR-IN-200", func(t *T) {
		answers := []*reports.Exchange{t.MCP.Anonymous(), t.MCP.Bogus()}
		for _, method := range []string{"tools/list", "resources/list"} {
			answers = append(answers, t.Send(t.MCP.Call().Method(method, nil)), t.Send(t.MCP.Call().Method(method, nil).With(mcp.Bearer(survey.BogusToken))))
		}
		for _, ex := range answers {
			switch {
			case expect.RefusedInside(ex):
				t.Unmet(ex, "HTTP 401, which clients act on", "%s", expect.Describe(ex))
			case expect.Status(ex) == 401:
				t.Refused()
			}
		}
		if ex := t.MCP.Anonymous(); expect.Accepted(ex) && t.Unmistaken() {
			t.MCP.Unguarded(ex)
		}
	})

	Must("RS-CHALLENGE-NO-REDIRECT-TO-LOGIN", func(t *T) {
		open(t)
		browser := []reports.Field{mcp.Field("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"), mcp.Field("Accept", "text/html, application/json, text/event-stream")}
		for _, ex := range []*reports.Exchange{t.MCP.Anonymous(), t.Send(t.MCP.Call().With(browser...)), t.Send(t.MCP.Call().Using("GET"))} {
			switch s := expect.Status(ex); {
			case s >= 300 && s <= 399:
				t.Unmet(ex, "401: no MCP client can follow a login page", "%s", expect.Describe(ex))
			case s == 200 && expect.MediaType(ex) == "text/html":
				t.Unmet(ex, "401: no MCP client can follow a login page", "an HTML page")
			case s >= 400 && s <= 499:
				t.Refused()
			}
		}
	})

	// A bad credential is the client's fault, whatever its shape.
	Must("RS-CHALLENGE-NO-5XX", func(t *T) {
		t.Expect(t.MCP.Bogus(), "Bearer, 47 characters of base64url").To(notCrash())
		var variants []Variant
		for _, token := range brokenTokens {
			variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(token)), "Bearer %s", token))
		}
		for _, value := range []string{"Bearer", "Bearer ", "bearer:", "Basic !!!", "Digest x", "Basic dTpw"} {
			variants = append(variants, Call(t.MCP.Call().With(mcp.Field("Authorization", value)), "Authorization: %s", value))
		}
		t.ExpectAll(variants, notCrash())
	})

	Practice("RS-CHALLENGE-BODY-HYGIENE", func(t *T) {
		secret := "canary" + Random(20)
		for _, ex := range []*reports.Exchange{t.MCP.Anonymous(), t.MCP.Bogus(), t.Send(t.MCP.Call().With(mcp.Bearer(secret)))} {
			if ex.Response == nil {
				continue
			}
			text := ex.Response.Body
			for _, f := range ex.Response.Header {
				text += "\n" + f.Value
			}
			if strings.Contains(text, secret) {
				t.Unmet(ex, "the credential not to be shown again", "the bearer value of the request stands in the answer")
			}
			for _, trace := range []string{"Traceback (most recent call last)", "goroutine ", "    at Object.", "node_modules/", "site-packages/", "BEGIN PRIVATE KEY", "BEGIN RSA PRIVATE KEY"} {
				if strings.Contains(text, trace) {
					t.Unmet(ex, "no internals in a refusal", "the answer shows %q", strings.TrimSpace(trace))
				}
			}
		}
	})

	Practice("RS-CHALLENGE-STABLE", func(t *T) {
		first := t.MCP.Anonymous()
		var variants []Variant
		for i := range 4 {
			agent := mcp.Field("User-Agent", []string{"mcp-conformance", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}[i%2])
			variants = append(variants, Call(t.MCP.Call().With(agent).OnFreshConnection(), "again"))
		}
		for _, ex := range t.All(variants) {
			if expect.Status(ex) != expect.Status(first) {
				t.Unmet(ex, "the same refusal every time", "%s, after %s", expect.Describe(ex), expect.Describe(first))
			} else if !slices.Equal(challengeSet(ex), challengeSet(first)) {
				t.Unmet(ex, "the same challenges every time", "%v, after %v", challengeSet(ex), challengeSet(first))
			}
		}
	})
}

// servedWithoutToken tries the tools that take a scope by declaration, where nothing else is protected: whoever declares
// a scope does not mean the server to be open.
func servedWithoutToken(t *T) bool {
	scoped := 0
	for _, tool := range t.Tools {
		if tool.Scope == "" || tool.DeniedOnly {
			continue
		}
		scoped++
		t.Expect(t.Send(t.MCP.Call().Method("tools/call", tool.Params())), "%s, which takes %s", tool.Name, tool.Scope).To(expect.Refuse(401))
	}
	return scoped > 0
}

// open ends a check that makes no sense where anonymous callers are served.
func open(t *T) {
	if ex := t.MCP.Anonymous(); expect.Accepted(ex) {
		t.MCP.Unguarded(ex)
	}
}

var brokenTokens = []string{
	"a", "a.b", "a.b.c", "..", ".", "null", "%00", "e30.e30.", "e30.e30.e30", "eyJhbGciOjF9.e30.e30", // alg is the number 1
	"W10.e30.e30", "bnVsbA.e30.e30", "eyJhbGciOiJSUzI1NiJ9.W10.e30", "eyJhbGciOiJSUzI1NiJ9.bnVsbA.e30", // [] and null where objects belong
	"eyJhbGciOiJSUzI1NiJ9.!!!.???", "a.b.c.d.e", strings.Repeat("A", 4096),
}

func notCrash() expect.Matcher { return expect.RefuseAnyway() }

func challengeSet(ex *reports.Exchange) []string {
	var out []string
	for _, c := range expect.Challenges(ex) {
		for _, p := range c.Parameters {
			if n := strings.ToLower(p.Name); n != "error_description" && n != "nonce" {
				out = append(out, c.Scheme+" "+n+"="+p.Value)
			}
		}
		if len(c.Parameters) == 0 {
			out = append(out, c.Scheme)
		}
	}
	slices.Sort(out)
	return out
}

func field() {
	Must("RS-CHALLENGE-401-WWW-AUTHENTICATE", func(t *T) {
		variants := []Variant{Call(t.MCP.Call().With(mcp.Field("Authorization", "Bearer ")), "an empty token")}
		for _, verb := range []string{"GET", "DELETE"} {
			variants = append(variants, Call(t.MCP.Call().Using(verb), "%s", verb), Call(t.MCP.Call().Using(verb).With(mcp.Bearer(survey.BogusToken)), "%s", verb))
		}
		answers := append([]*reports.Exchange{t.MCP.Anonymous(), t.MCP.Bogus()}, t.All(variants)...)
		for _, ex := range answers {
			if expect.Status(ex) == 401 {
				t.Expect(ex, "%s", credentialOf(ex)).To(expect.HaveChallenge())
			}
		}
	})

	Must("RS-CHALLENGE-GRAMMAR", func(t *T) {
		fields := 0
		for _, ex := range []*reports.Exchange{t.MCP.Anonymous(), t.MCP.Bogus()} {
			for _, f := range expect.HeaderValues(ex, "WWW-Authenticate") {
				fields++
				challenges, odd, err := document.ParseChallenges(f)
				if err != nil {
					t.Unmet(ex, "a field by the grammar of RFC 9110 section 11.6.1", "%v, in %q", err, f)
				}
				for _, o := range odd {
					t.Advise(ex, "a field without oddities", "%s, in %q", o, f)
				}
				for _, c := range challenges {
					for _, p := range c.Parameters {
						if p.Name != strings.ToLower(p.Name) {
							t.Advise(ex, "parameter names in lower case", "%q", p.Name)
						}
					}
				}
			}
		}
		if fields == 0 {
			t.NotApplicable("there is no challenge to read (RS-CHALLENGE-401-WWW-AUTHENTICATE)")
		}
	})

	Must("RS-CHALLENGE-UNIQUE-PARAMS", func(t *T) {
		for _, ex := range challenged(t) {
			for _, c := range expect.Challenges(ex) {
				seen := map[string]bool{}
				for _, p := range c.Parameters {
					if n := strings.ToLower(p.Name); seen[n] {
						t.Unmet(ex, "every parameter once in a challenge", "%q stands twice in the %s challenge", n, c.Scheme)
					} else {
						seen[n] = true
					}
				}
			}
		}
	})

	Practice("RS-CHALLENGE-MULTI-SCHEME", func(t *T) {
		ex := challenged(t)[0]
		schemes := map[string]int{}
		for _, c := range expect.Challenges(ex) {
			schemes[strings.ToLower(c.Scheme)]++
		}
		if len(expect.Challenges(ex)) < 2 {
			t.NotApplicable("there is one challenge only")
		}
		if schemes["bearer"] > 1 {
			t.Advise(ex, "one Bearer challenge", "%d of them", schemes["bearer"])
		}
		for _, c := range expect.Challenges(ex) {
			if _, misplaced := c.Param("resource_metadata"); misplaced && !strings.EqualFold(c.Scheme, "Bearer") && !strings.EqualFold(c.Scheme, "DPoP") && schemes["bearer"] > 0 {
				t.Unmet(ex, "resource_metadata in the Bearer challenge", "it belongs to the scheme %q: a comma or a scheme name is missing", c.Scheme)
			}
		}
	})
}

// challenged are the answers to no and to a bad credential that carry a challenge.
func challenged(t *T) []*reports.Exchange {
	var out []*reports.Exchange
	for _, ex := range []*reports.Exchange{t.MCP.Anonymous(), t.MCP.Bogus()} {
		if len(expect.Challenges(ex)) > 0 {
			out = append(out, ex)
		}
	}
	if len(out) == 0 {
		t.NotApplicable("there is no challenge to read (RS-CHALLENGE-401-WWW-AUTHENTICATE)")
	}
	return out
}

func credentialOf(ex *reports.Exchange) string {
	for _, f := range ex.Request.Header {
		if strings.EqualFold(f.Name, "Authorization") {
			return ex.Request.Method + " with Authorization: " + f.Value
		}
	}
	return ex.Request.Method + " without credentials"
}
