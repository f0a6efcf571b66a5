package suites_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// declaring changes the declared scopes of a tool.
func declaring(tool, scope string) func(c *suites.Config) {
	return func(c *suites.Config) {
		c.Tools = slices.Clone(c.Tools)
		i := slices.IndexFunc(c.Tools, func(t suites.Tool) bool { return t.Name == tool })
		c.Tools[i].Scope = scope
	}
}

// byLogin leaves the login and the tools, and nothing that mints tokens.
func byLogin(c *suites.Config) {
	c.Issuer, c.SecondIssuer, c.SharedSecret, c.Introspection, c.Verification = nil, nil, suites.SharedSecret{}, nil, nil
}

// withoutEffects declares no tool that shows the effect of another one.
func withoutEffects(c *suites.Config) {
	c.Tools = slices.Clone(c.Tools)
	for i := range c.Tools {
		c.Tools[i].Effect = ""
	}
}

// writingWithoutEffects declares the tool that writes first, and none that shows what it wrote.
func writingWithoutEffects(c *suites.Config) {
	withoutEffects(c)
	i := slices.IndexFunc(c.Tools, func(t suites.Tool) bool { return t.Name == "write_note" })
	c.Tools[0], c.Tools[i] = c.Tools[i], c.Tools[0]
}

func missing(d mcpserver.Defence) func(o *reference.Options) {
	return func(o *reference.Options) { o.Policy.Lacks = append(o.Policy.Lacks, d) }
}

// refusingWhole answers a token without a scope with 401 invalid_token, whatever it is for.
func refusingWhole(scope string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var claims struct{ Scope any }
				_, rest, _ := strings.Cut(r.Header.Get("Authorization"), ".")
				body, _, jwt := strings.Cut(rest, ".")
				if jwt && json.Unmarshal([]byte(decoded(body)), &claims) == nil {
					if has, _ := claims.Scope.(string); !slices.Contains(strings.Fields(has), scope) {
						w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

func everyTokenWrites(o *reference.Options) {
	o.Behaviour.Lacks = append(o.Behaviour.Lacks, idp.RequestedScopesOnly)
}

// defaultForUnknown leaves out scopes that the server does not know (RFC 6749 section 3.3: it "MAY fully or partially ignore the scope
// requested"). Where none is left, its default is granted.
func defaultForUnknown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q, err := url.ParseQuery(r.URL.RawQuery); err == nil && r.Method == http.MethodGet && q.Has("scope") {
			known := slices.DeleteFunc(strings.Split(q.Get("scope"), " "), func(s string) bool {
				return !slices.Contains([]string{"notes:read", "notes:write", "openid", "profile", "email", "offline_access"}, s)
			})
			if q.Del("scope"); len(known) > 0 {
				q.Set("scope", strings.Join(known, " "))
			}
			r.URL.RawQuery = q.Encode()
		}
		next.ServeHTTP(w, r)
	})
}

// repeatingTexts adds the text in the arguments to the answer of the tool that writes notes.
func repeatingTexts(next http.Handler) http.Handler {
	written := regexp.MustCompile(`mcpauth-[A-Za-z0-9_-]{12}`)
	return answer.ChangedWhere(next, "write_note", func(body []byte, a *answer.Answer) {
		a.Say(strings.ReplaceAll(a.Body.String(), `"text":"done"`, `"text":"done: `+string(written.Find(body))+`"`))
	})
}

// allAtTheDoor refuses a token without both scopes, whatever it is for.
func allAtTheDoor(o *reference.Options) { o.Policy.ScopeAtTheDoor = "notes:read notes:write" }

// oneScopeEach declares both scopes for every request, and tools that need no other one.
func oneScopeEach(c *suites.Config) {
	c.Base = []string{"notes:read", "notes:write"}
	c.Tools = slices.DeleteFunc(slices.Clone(c.Tools), func(t suites.Tool) bool { return !slices.Contains(append(c.Base, ""), t.Scope) })
}

func oneScopeEachIn(revision string) func(c *suites.Config) {
	return func(c *suites.Config) {
		oneScopeEach(c)
		c.Revisions = []string{revision}
	}
}

// growingResources lists one resource more in each answer, as a server does that lists what its tools make.
func growingResources(next http.Handler) http.Handler {
	var n atomic.Int32
	return answer.ChangedWhere(next, "resources/list", func(_ []byte, a *answer.Answer) {
		var more strings.Builder
		for i := range n.Add(1) {
			fmt.Fprintf(&more, `{"uri":"note://notes/made-%d","name":"A note"},`, i)
		}
		a.Say(strings.Replace(a.Body.String(), `"resources":[`, `"resources":[`+more.String(), 1))
	})
}

// openingPrompts reads the user of prompts from a header field, and has its own error for resources that do not exist.
func openingPrompts(o *reference.Options) {
	missing(mcpserver.NoUserHeader)(o)
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if !bytes.Contains(body, []byte("prompts/get")) {
				r.Header.Del("X-User-Id")
			}
			if bytes.Contains(body, []byte("-mcpauth-none")) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32099,"message":"no such resource"}}`)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// strongLogins signs every user in with two factors, which each access token says.
func strongLogins(b *idp.Behaviour) {
	b.AccessToken = func(_, claims map[string]any) { claims["acr"] = mcpserver.StrongLogin }
}

// denied declares that a tool may not be called.
func denied(c *suites.Config, tool string) {
	c.Tools = slices.Clone(c.Tools)
	i := slices.IndexFunc(c.Tools, func(t suites.Tool) bool { return t.Name == tool })
	c.Tools[i].DeniedOnly = true
}

// api is the prefix with which the scopes of shortInTokens are requested.
const api = "api://notes/"

var scopeOfNotes = regexp.MustCompile(`(?:api://notes/)?(notes:(?:read|write|admin))`)

func inFull(text string) string { return scopeOfNotes.ReplaceAllString(text, api+"$1") }

// shortInTokens writes scopes into tokens without the prefix with which they are published, requested and reported, as Entra ID does.
func shortInTokens(o *reference.Options) {
	b := &o.Behaviour
	b.Response = func(endpoint string, members map[string]any) {
		if granted, _ := members["scope"].(string); endpoint == "/token" {
			members["scope"] = inFull(granted)
		}
	}
	b.AccessToken = func(_, claims map[string]any) {
		claims["scp"] = claims["scope"]
		delete(claims, "scope")
	}
	b.Wrap, o.Wrap = readingShort, publishingFull
	o.Policy.ScopesOf = func(claims map[string]any) []string {
		granted, _ := claims["scp"].(string)
		return strings.Fields(granted)
	}
}

// readingShort reads the scopes of requests without the prefix, and publishes them with it.
func readingShort(next http.Handler) http.Handler {
	short := strings.NewReplacer(api, "", url.QueryEscape(api), "").Replace
	return publishingFull(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := short(string(answer.Peek(r)))
		r.URL.RawQuery, r.Body, r.ContentLength = short(r.URL.RawQuery), io.NopCloser(strings.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	}))
}

// publishingFull writes scopes with the prefix into metadata and challenges.
func publishingFull(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/mcp" { // a stream
			next.ServeHTTP(w, r)
			return
		}
		a := answer.Of(next, r)
		for i, challenge := range a.Header()["Www-Authenticate"] {
			a.Header()["Www-Authenticate"][i] = inFull(challenge)
		}
		if strings.Contains(r.URL.Path, "/.well-known/") {
			a.Say(inFull(a.Body.String()))
		}
		a.Send(w)
	})
}

// withOwnPrefix reads scopes with and without the prefix of this API, as resource servers of Entra ID do: no other prefix is left out.
func withOwnPrefix(o *reference.Options) {
	o.Policy.ScopesOf = func(claims map[string]any) []string {
		granted, _ := claims["scope"].(string)
		words := strings.Split(granted, " ")
		for i, word := range words {
			words[i] = strings.TrimPrefix(word, api)
		}
		return words
	}
}

// prefixedInTokens declares the scopes of tools with the prefix, for minted tokens.
func prefixedInTokens(c *suites.Config) {
	issuer, second, shared, introspection, verification := c.Issuer, c.SecondIssuer, c.SharedSecret, c.Introspection, c.Verification
	prefixed(c)
	c.Issuer, c.SecondIssuer, c.SharedSecret, c.Introspection, c.Verification = issuer, second, shared, introspection, verification
}

// prefixed declares the scopes of tools with the prefix, for a login.
func prefixed(c *suites.Config) {
	byLogin(c)
	c.Tools = slices.Clone(c.Tools)
	for i := range c.Tools {
		tool := &c.Tools[i]
		tool.Scope, tool.AnyOf = inFull(tool.Scope), slices.Clone(tool.AnyOf)
		for j := range tool.AnyOf {
			tool.AnyOf[j] = inFull(tool.AnyOf[j])
		}
	}
}

// Declarations that do not fit, and scopes that are judged in other places than the tool.
func TestFairnessOfScopes(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"a tool that does not exist, and succeeds": {namesUnknownTools, nil, "RS-SCOPE-EVERY-TOOL", reports.Pass},
		"a tool that does not exist, and keys":     {namesUnknownTools, nil, "RS-STATIC-TOKEN-PERMISSIONS", reports.Pass},
		"a tool that needs more than is declared":  {nil, declaring("copy_note", "notes:write"), "RS-SCOPE-EVERY-TOOL", reports.Pass},
		"a tool that needs less than is declared":  {nil, declaring("read_note", "notes:read notes:write"), "RS-SCOPE-EVERY-TOOL", reports.Fail},
		"a token that is refused as a whole":       {refusingWhole("notes:read"), nil, "RS-SCOPE-403-STATUS", reports.Inconclusive},
		"a token that is refused as a whole, and tools": {refusingWhole("notes:read"), nil, "RS-SCOPE-EVERY-TOOL",
			reports.Inconclusive},
		"a default scope, and nobody mints tokens": {func(o *reference.Options) {
			o.Behaviour.RequestDefault = []string{"notes:read", "notes:write"}
		}, byLogin, "RS-SCOPE-403-STATUS", reports.Pass},
		"a default scope, and nobody mints tokens for tools": {func(o *reference.Options) {
			o.Behaviour.RequestDefault = []string{"notes:read", "notes:write"}
		}, byLogin, "RS-SCOPE-EVERY-TOOL", reports.Pass},
		"a batch that is judged by its first message, and no tool shows an effect": {missing(mcpserver.NoBatches), withoutEffects,
			"RS-SCOPE-BATCH-MEMBERS", reports.Fail},
		"a call of two names, and no tool shows an effect": {func(o *reference.Options) {
			missing(mcpserver.LastNameCounts)(o)
			o.Policy.Revisions = []string{"2025-11-25"} // later, the name in the header field has to be the same
		}, withoutEffects,
			"RS-SCOPE-BODY-AMBIGUITY", reports.Warn},
		"a tool that acts first, and no tool shows an effect": {missing(mcpserver.ScopeFirst), withoutEffects,
			"RS-SCOPE-NOT-EXECUTED", reports.NotTested},
		"a call of two names, an answer that repeats the text, and no tool shows an effect": {func(o *reference.Options) {
			missing(mcpserver.LastNameCounts)(o)
			o.Policy.Revisions, o.Wrap = []string{"2025-11-25"}, repeatingTexts
		}, writingWithoutEffects, "RS-SCOPE-BODY-AMBIGUITY", reports.Warn},
		"every token has the scope that writes, and more is requested at the token endpoint": {everyTokenWrites, nil,
			"AS-SCOPE-ESCALATION-AT-TOKEN", reports.Pass},
		"resources that other checks make meanwhile": {func(o *reference.Options) { o.Wrap = growingResources }, nil,
			"RS-SCOPE-LIST-PER-CALLER", reports.Pass},
		"a default scope instead of unknown words": {func(o *reference.Options) { o.Behaviour.Wrap = defaultForUnknown }, nil,
			"AS-SCOPE-SYNTAX", reports.Pass},
		"lists at a server that requires every scope of every request": {allAtTheDoor, oneScopeEach, "RS-SCOPE-LIST-PER-CALLER",
			reports.Pass},
		"batches at a server that requires every scope of every request": {func(o *reference.Options) {
			missing(mcpserver.NoBatches)(o)
			allAtTheDoor(o)
		}, oneScopeEachIn("2025-03-26"), "RS-SCOPE-BATCH-MEMBERS", reports.Pass},
		"a static token at a server that requires a strong login of users": {nil, func(c *suites.Config) {
			byLogin(c)
			c.Users = nil
		}, "RS-CHALLENGE-STEP-UP-AUTHN", reports.NotTested},
		"a tool that needs a scope, and texts that it may not write": {nil, byLogin, "RS-ABUSE-INPUT-SCREENING",
			reports.Pass},
		"logins that are strong already": {behaving(strongLogins), byLogin, "RS-CHALLENGE-STEP-UP-AUTHN", reports.NotTested},
		"opaque tokens, and a tool that needs a strong login": {func(o *reference.Options) { o.Behaviour.Opaque = "at_" }, byLogin,
			"RS-CHALLENGE-STEP-UP-AUTHN", reports.Pass},
		"opaque tokens, and a tool that may not be called": {func(o *reference.Options) { o.Behaviour.Opaque = "at_" },
			func(c *suites.Config) { byLogin(c); denied(c, "wipe_notes") }, "RS-CHALLENGE-STEP-UP-AUTHN", reports.NotTested},
		"users that are not known are refused":                            {refusesUnknownUsers, nil, "RS-SCOPE-OTHER-PRIMITIVES", reports.Pass},
		"users that are not known are refused, in sessions of others too": {refusesUnknownUsers, nil, "RS-SESSION-BOUND-TO-USER", reports.Pass},
		"a warning at one object, and another that a header field opens": {openingPrompts,
			func(c *suites.Config) { c.Revisions = []string{"2026-07-28"} }, "RS-SCOPE-OTHER-PRIMITIVES", reports.Fail},
		"short names of scopes in tokens":            {shortInTokens, prefixed, "AS-TOKEN-SCOPE-REPORTED", reports.Pass},
		"short names of scopes in tokens, and tools": {shortInTokens, prefixed, "RS-SCOPE-EVERY-TOOL", reports.Pass},
		"short names of scopes in tokens, and unguarded tools": {func(o *reference.Options) {
			shortInTokens(o)
			o.Policy.ForgetsScope = func(*http.Request, map[string]any) bool { return true }
		}, prefixed, "RS-SCOPE-EVERY-TOOL", reports.Fail},
		"short names of scopes in tokens, which have all": {func(o *reference.Options) {
			shortInTokens(o)
			everyTokenWrites(o)
		}, prefixed, "RS-SCOPE-403-STATUS", reports.Inconclusive},
		"scopes that count with and without the server's own prefix": {withOwnPrefix, nil, "RS-SCOPE-NO-SUBSTRING", reports.Pass},
		"scopes that count with and without the server's own prefix, and tools with it": {withOwnPrefix, prefixedInTokens,
			"RS-SCOPE-NO-SUBSTRING", reports.Pass},
		"a refusal inside the result, behind one at the door": {func(o *reference.Options) {
			o.Policy.ScopeAtTheDoor = "notes:read"
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.ScopeOverHTTP)
		}, nil, "RS-SCOPE-403-STATUS", reports.Fail},
	})
}

// dropsUnknownScopes leaves out the scopes that it does not know. Its answers name no scope where none is left: the grammar has no word for
// an empty one.
func dropsUnknownScopes(o *reference.Options) {
	byResourceServer(o)
	o.Behaviour.Opaque, o.Behaviour.RequestDefault = "at_", []string{}
	reading(&o.Behaviour, func(q url.Values) {
		known := slices.DeleteFunc(strings.Fields(q.Get("scope")), func(s string) bool { return s == "*" || strings.HasPrefix(s, "mcpauth") })
		if q.Set("scope", strings.Join(known, " ")); len(known) == 0 {
			q.Del("scope")
		}
	})
	wrapped := o.Behaviour.Wrap
	silent := func(_ *http.Request, a *answer.Answer) {
		a.Body = *bytes.NewBuffer(bytes.Replace(a.Body.Bytes(), []byte(`"scope":"",`), nil, 1))
	}
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(answer.Changed(wrapped(next), "/token", silent), "/introspect", silent)
	}
}

// A token whose introspection names no scope has none, if that of another token names some.
func TestScopesThatAreLeftOutAreNotGranted(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"unknown scopes are left out": {dropsUnknownScopes, func(c *suites.Config) {
			byLogin(c)
			introspecting(c)
		}, "AS-SCOPE-UNKNOWN", reports.Pass},
		"unknown scopes are left out, and nothing says so": {all(dropsUnknownScopes, silent), byLogin, "AS-SCOPE-UNKNOWN", reports.Warn},
		"unknown scopes are granted, and nothing says so":  {all(lacking(idp.KnownScopes), silent), byLogin, "AS-SCOPE-UNKNOWN", reports.Warn},
		"unknown scopes are granted":                       {lacking(idp.KnownScopes), byLogin, "AS-SCOPE-UNKNOWN", reports.Fail},
		"a deselected scope is left out, and nothing says so": {silent, noTool,
			"AS-SCOPE-CONSENT-HONOURED", reports.Warn},
		"a deselected scope is left out, and only a tool shows that": {silent, byLogin, "AS-SCOPE-CONSENT-HONOURED", reports.Pass},
		"a deselected scope is granted, and only a tool shows that": {all(flawed("scope-despite-the-form"), silent), byLogin,
			"AS-SCOPE-CONSENT-HONOURED", reports.Fail},
		"scopes of other users, and nothing shows which a token has": {silent, noTool,
			"AS-SCOPE-USER-PRIVILEGE", reports.Inconclusive},
	})
}

// noTool declares nothing but logins.
func noTool(c *suites.Config) {
	byLogin(c)
	c.Tools, c.Objects = nil, nil
}

// all makes several changes.
func all(bends ...func(o *reference.Options)) func(o *reference.Options) {
	return func(o *reference.Options) {
		for _, bend := range bends {
			bend(o)
		}
	}
}

// namesUnknownTools says in a successful result that there is no such tool.
func namesUnknownTools(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return answer.ChangedWhere(next, `"tools/call"`, func(_ []byte, a *answer.Answer) {
			a.Say(strings.Replace(a.Body.String(), `"error":{"code":-32602,"message":"Unknown tool"}`,
				`"result":{"content":[{"type":"text","text":"There is no such tool."}]}`, 1))
		})
	}
}

// refusesUnknownUsers answers the token of a user who has no account with HTTP 403.
func refusesUnknownUsers(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if parts := strings.Split(r.Header.Get("Authorization"), "."); len(parts) == 3 {
				claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
				if !regexp.MustCompile(`"sub":"(alice|bob)"`).Match(claims) {
					http.Error(w, "no account", http.StatusForbidden)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
