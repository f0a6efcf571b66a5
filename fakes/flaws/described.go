package flaws

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
)

// describedTokens are servers whose answer about an active token has a wrong member (RFC 7662 section 2.2).
var describedTokens = []Flaw{
	describes("scope-list", "scope", "scope", func(v any) any { return strings.Fields(text(v)) }),
	describes("scope-wider", "scope", "scope", func(v any) any { return text(v) + " notes:admin" }),
	describes("scope-empty", "scope", "an empty scope", func(any) any { return "" }),
	describes("client-of-another", "client_id", "client_id", func(any) any { return "mcp-inspector" }),
	describes("exp-text", "exp", "exp", func(v any) any { return fmt.Sprint(v) }),
	describes("iat-text", "iat", "iat", func(v any) any { return fmt.Sprint(v) }),
	describes("nbf-text", "nbf", "nbf", func(v any) any { return fmt.Sprint(v) }),
	describes("iat-ahead", "iat", "time: iat", func(v any) any { return v.(int64) + 7200 }),
	describes("nbf-ahead", "nbf", "time: nbf", func(v any) any { return v.(int64) + 7200 }),
	describes("sub-number", "sub", "sub", func(any) any { return 7 }),
	describes("sub-of-another", "sub", "sub of the token", func(any) any { return "mallory" }),
	describes("username-object", "username", "username", func(v any) any { return map[string]any{"login": v} }),
	describes("kind-number", "token_type", "token_type", func(any) any { return 1 }),
	describes("jti-number", "jti", "jti", func(any) any { return 12345 }),
	describes("aud-object", "aud", "aud", func(v any) any { return map[string]any{"uri": v} }),
	describes("aud-of-another", "aud", "aud of the token", func(any) any { return "https://api.example/" }),
	describes("iss-of-another", "iss", "iss", func(any) any { return "https://as.example" }),
	{
		Name: "introspect-as-text", Says: "The answer about a token is sent as text/plain.", Row: "text/plain",
		Noticed: []string{"AS-INTROSPECT-ACTIVE-SHAPE"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			answer.Changed(next, "/introspect", func(_ *http.Request, a *answer.Answer) {
				a.Fields.Set("Content-Type", "text/plain; charset=utf-8")
			}).ServeHTTP(w, r)
		}),
	},
}

// describes changes one member of the answer about an active token.
func describes(name, member, row string, to func(v any) any) Flaw {
	return Flaw{
		Name: "introspect-" + name, Says: "The answer about an active token has a wrong " + member + ".", Row: row,
		Noticed: []string{"AS-INTROSPECT-ACTIVE-SHAPE"}, Also: []string{"AS-INTROSPECT-REFRESH-TOKEN"},
		Bend: responses("/introspect", func(m map[string]any) {
			if m["active"] == true && m[member] != nil {
				m[member] = to(m[member])
			}
		}),
	}
}
