package flaws

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// singleRows are flaws of servers that show in one row or two of a table, for a token.
var singleRows = []Flaw{
	versionRead("draft", "draft", func(fields []string) bool { return len(fields) == 1 && fields[0] == "draft" }),
	versionRead("twice", "two fields", func(fields []string) bool { return len(fields) > 1 }),
	{
		Name: "version-draft-served", Says: "A version that is not a date counts as none.", Row: "draft, with the valid token",
		Noticed: []string{"RS-TRANSPORT-VERSION-HEADER"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("MCP-Protocol-Version") == "draft" {
					r.Header.Del("MCP-Protocol-Version")
				}
				return false
			})
		},
	},
	inRows(opensFor("proof-no-jwt", "RS-DPOP-PROOF", "a proof that is not a JWT", func(r *http.Request, _ []byte) bool {
		return r.Header.Get("DPoP") != "" && strings.Count(r.Header.Get("DPoP"), ".") != 2
	}), "a proof in JSON"),
	opensFor("stream-token-in-query", "RS-TOKEN-QUERY-IGNORED", "GET with ?access_token=", func(r *http.Request, _ []byte) bool {
		return r.Method == http.MethodGet && r.URL.Query().Get("access_token") != ""
	}),
	inRows(follows(tablesFlaw("scopes-unread", "The scopes of tokens are not read, so that no tool may be called.", "RS-SCOPE-EVERY-TOOL",
		func(p *mcpserver.Policy) { p.ScopesOf = func(map[string]any) []string { return nil } }), "RS-SCOPE-DOWNSCOPED-OK"),
		"write_note with notes:write"),
	{
		Name: "state-unsigned", Says: "A request state is a JWT, and may have alg none.", Row: "as an unsigned JWT",
		Noticed: []string{"RS-SESSION-REQUESTSTATE-INTEGRITY"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.StateIsJWT = true
			p.TakesState = func(sent string) bool { return strings.HasPrefix(sent, "eyJhbGciOiJub25lIn0.") }
		}),
	},
	sealedState("long", "a mebibyte more at its end", func(sent string) bool { return len(sent) > 1<<19 }),
}

// versionRead serves everybody who names a version in one way.
func versionRead(name, row string, is func(fields []string) bool) Flaw {
	f := opensFor("version-"+name, "RS-TRANSPORT-VERSION-HEADER", row+", without credentials", field(mark, ""))
	return marked(f, func(r *http.Request) bool {
		names := is(r.Header.Values("MCP-Protocol-Version"))
		if names {
			r.Header.Del("MCP-Protocol-Version")
		}
		return names
	})
}

// sealedState believes some request states.
func sealedState(name, row string, believed func(sent string) bool) Flaw {
	f := tablesFlaw("state-believed-"+name, "A request state is accepted without verification: "+row+".", "RS-SESSION-REQUESTSTATE-INTEGRITY",
		func(p *mcpserver.Policy) { p.TakesState, p.MostBody = believed, 4<<20 })
	f.Row = row
	return f
}

// singleRowsOfIssuers are those of authorization servers.
var singleRowsOfIssuers = []Flaw{
	resourceTaken("padded", "with a space at its end", "AS-RES-MALFORMED", func(own, sent string) (string, bool) {
		return sent, sent == own+" "
	}),
	resourceTaken("shorter", "the last character left out", "AS-RES-CANONICAL-VARIANTS", func(own, sent string) (string, bool) {
		return own, own[:len(own)-1] == sent
	}),
	resourceTaken("parameter", "a parameter at the end of its path", "AS-RES-CANONICAL-VARIANTS", func(own, sent string) (string, bool) {
		return own, own+";x" == sent
	}),
	resourceTaken("by-ending", "a host that ends in the same letters", "AS-RES-CANONICAL-VARIANTS", func(own, sent string) (string, bool) {
		_, end, _ := strings.Cut(own, "://")
		return own, strings.HasSuffix(sent, end)
	}),
	{
		Name: "resource-one-only", Says: "Two resource parameters are a malformed request.", Row: "two resources",
		Bend: lacks(idp.SeveralResources), Noticed: []string{"AS-RES-MULTIPLE"},
	},
	{
		Name: "exchange-by-anybody", Says: "Who has a token exchanges it as its client, without a secret.", Row: "without client authentication",
		Noticed: []string{"AS-TX-VALIDATION"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			if form.Has("subject_token") && r.Header.Get("Authorization") == "" && !form.Has("client_id") {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"access_token":"mHq0cV5yJc9x2kR7","token_type":"Bearer","expires_in":3600}`))
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
	{
		Name: "login-by-get-too", Says: "The login form is sent by POST, and a password in the URL counts as well.",
		Row: "the password in the URL", Noticed: []string{"AS-LOGIN-POST-ONLY"}, Also: []string{"AS-LOGIN-CSRF"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodGet && r.URL.Query().Has("password") {
				r.Method = http.MethodPost
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				replaceBody(r, r.URL.RawQuery)
			}
			next.ServeHTTP(w, r)
		}),
	},
	{
		Name: "dcr-types-of-framework", Says: "A member of another type is answered 422, in the words of a framework.",
		Row: "grant_types that is a text", Noticed: []string{"AS-DCR-ERROR-SHAPE"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/register") && strings.Contains(string(answer.Peek(r)), `"grant_types":"`) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnprocessableEntity)
				_, _ = w.Write([]byte(`{"detail":[{"loc":["body","grant_types"],"msg":"Input should be a valid list"}]}`))
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
}

// resourceTaken accepts another resource than the server's.
func resourceTaken(name, row, noticed string, take func(own, sent string) (string, bool)) Flaw {
	return Flaw{
		Name: "resource-taken-" + name, Says: "A resource that is another one is accepted: " + row + ".", Row: row, Noticed: []string{noticed},
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesResource = take }),
	}
}
