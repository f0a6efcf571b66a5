package flaws

import (
	"net/http"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

const (
	allowOrigin  = "Access-Control-Allow-Origin"
	allowHeaders = "Access-Control-Allow-Headers"
)

// crossOrigin are flaws of CORS at published documents; each changes one answer.
var crossOrigin = []Flaw{
	prmCORS("preflight-unauthorized", "A preflight for the document needs a token.", "HTTP 401", preflights(func(a *answer.Answer) {
		a.Status = http.StatusUnauthorized
	})),
	prmCORS("preflight-no-origin", "A preflight for the document names no origin.", "without "+allowOrigin, preflights(func(a *answer.Answer) {
		a.Fields.Del(allowOrigin)
	})),
	prmCORS("preflight-no-field", "A preflight for the document does not allow MCP-Protocol-Version.", allowHeaders+": Accept",
		preflights(func(a *answer.Answer) { a.Fields.Set(allowHeaders, "Accept") })),
	prmCORS("preflight-only", "Only the answer to a preflight names the origin.", "HTTP 200 without "+allowOrigin,
		gets(func(a *answer.Answer) { a.Fields.Del(allowOrigin) })),
	prmCORS("credentials", "Any origin is allowed with credentials.", "Origin: https://evil.example", func(r *http.Request, a *answer.Answer) {
		if origin := r.Header.Get("Origin"); origin != "" {
			a.Fields.Set(allowOrigin, origin)
			a.Fields.Set("Access-Control-Allow-Credentials", "true")
		}
	}),

	asCORS("AS-META-CORS", "metadata-preflight-unauthorized", "A preflight for the metadata needs a token.", "HTTP 401", "/.well-known/",
		preflights(func(a *answer.Answer) { a.Status = http.StatusUnauthorized })),
	asCORS("AS-META-CORS", "metadata-preflight-no-origin", "A preflight for the metadata names no origin.", "without "+allowOrigin,
		"/.well-known/", preflights(func(a *answer.Answer) { a.Fields.Del(allowOrigin) })),
	asCORS("AS-META-CORS", "metadata-preflight-no-field", "A preflight for the metadata does not allow MCP-Protocol-Version.",
		allowHeaders+": Accept", "/.well-known/", preflights(func(a *answer.Answer) { a.Fields.Set(allowHeaders, "Accept") })),
	asCORS("AS-META-CORS", "keys-not-readable", "Pages of other origins cannot read the key set.", "jwks_uri", "/jwks",
		gets(func(a *answer.Answer) { a.Fields.Del(allowOrigin) })),
}

// crossOriginClients are the same kind of flaws at the endpoints that clients use.
var crossOriginClients = []Flaw{
	asCORS("AS-REVOKE-CORS", "revoke-other-origin", "Pages of one other origin may revoke.", allowOrigin+": https://app.example", "/revoke",
		preflights(func(a *answer.Answer) { a.Fields.Set(allowOrigin, "https://app.example") })),
	asCORS("AS-DCR-METHODS", "register-no-json", "A preflight for a registration does not allow Content-Type.", allowHeaders+": Accept",
		"/register", preflights(func(a *answer.Answer) { a.Fields.Set(allowHeaders, "Accept") })),
	asCORS("AS-USERINFO-HYGIENE", "userinfo-any-field", "A * is to allow Authorization, which it does not.", allowHeaders+": *",
		"/userinfo", preflights(func(a *answer.Answer) { a.Fields.Set(allowHeaders, "*") })),
	asCORS("AS-TOKEN-CORS", "token-other-origin", "Pages of one other origin may ask for tokens.", allowOrigin+": https://app.example",
		"/token", preflights(func(a *answer.Answer) { a.Fields.Set(allowOrigin, "https://app.example") })),
}

// preflights changes the answers to preflights. The change also gets the answers to GET.
func preflights(change func(a *answer.Answer)) func(r *http.Request, a *answer.Answer) {
	return answersTo(http.MethodOptions, change)
}
func gets(change func(a *answer.Answer)) func(r *http.Request, a *answer.Answer) {
	return answersTo(http.MethodGet, change)
}

func answersTo(method string, change func(a *answer.Answer)) func(r *http.Request, a *answer.Answer) {
	return func(r *http.Request, a *answer.Answer) {
		if r.Method == method {
			change(a)
		}
	}
}

// prmCORS returns a flaw of the answers for the protected resource metadata.
func prmCORS(name, says, row string, change func(r *http.Request, a *answer.Answer)) Flaw {
	return Flaw{Name: "cors-document-" + name, Says: says, Row: row, Noticed: []string{"RS-DISC-CORS"}, Also: []string{"RS-TRANSPORT-CORS-*"},
		Bend: func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return answer.Changed(next, "/.well-known/oauth-protected-resource", change)
			}
		}}
}

// asCORS returns a flaw of the authorization server's answers at paths that contain a text.
func asCORS(id, name, says, row, at string, change func(r *http.Request, a *answer.Answer)) Flaw {
	return Flaw{Name: "cors-" + name, Says: says, Row: row, Noticed: []string{id},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Wrap = func(next http.Handler) http.Handler { return answer.Changed(next, at, change) }
		})}
}
