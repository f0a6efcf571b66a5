package quirks

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// answering changes the answers of the authorization server below a path.
func answering(path string, bend func(r *http.Request, a *answer.Answer)) func(o *reference.Options) {
	return func(o *reference.Options) {
		before := o.Behaviour.Wrap
		o.Behaviour.Wrap = func(next http.Handler) http.Handler {
			if before != nil {
				next = before(next)
			}
			return answer.Changed(next, path, bend)
		}
	}
}

// toClient changes the redirects that carry an answer to the client.
func toClient(bend func(a *answer.Answer)) func(o *reference.Options) {
	return answering("/", func(_ *http.Request, a *answer.Answer) {
		if to := a.Fields.Get("Location"); strings.Contains(to, "code=") || strings.Contains(to, "error=") {
			bend(a)
		}
	})
}

// members changes the members of an endpoint's answers.
func members(endpoint string, bend func(m map[string]any)) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Behaviour.Response = func(at string, m map[string]any) {
			if at == endpoint {
				bend(m)
			}
		}
	}
}

// metadata changes the metadata of the authorization server.
func metadata(bend func(d map[string]any)) func(o *reference.Options) {
	return func(o *reference.Options) { o.Behaviour.Metadata = func(_ string, d map[string]any) { bend(d) } }
}

// all makes several changes.
func all(bends ...func(o *reference.Options)) func(o *reference.Options) {
	return func(o *reference.Options) {
		for _, bend := range bends {
			bend(o)
		}
	}
}

// without leaves endpoints out of the metadata.
func without(names ...string) func(o *reference.Options) {
	return metadata(func(d map[string]any) {
		for _, name := range names {
			delete(d, name)
		}
	})
}

// page replaces an answer with an HTML page.
func page(a *answer.Answer, status int, body string) {
	a.Status = status
	a.Body.Reset()
	a.Fields.Del("Location")
	a.Fields.Set("Content-Type", "text/html; charset=utf-8")
	a.Fields.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	a.Fields.Set("Cache-Control", "no-store")
	a.Fields.Set("Referrer-Policy", "no-referrer")
	_, _ = io.WriteString(&a.Body, "<!doctype html><html><head><title>One moment</title>"+body+"</head><body></body></html>")
}

func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// Servers are quirks of authorization servers that do not involve the MCP server.
var Servers = []Quirk{
	{
		Name: "state-of-refused-object", Says: "A request object is refused, and the error has the state of the object.",
		Allows: "RFC 9101 section 6.3: an object that is not valid is refused; the parameters of the request itself need not be read.",
		Bend:   answering("/", stateOfObject),
	},
	{
		Name: "odd-codes", Says: "Codes have characters that are encoded in a URL.",
		Allows: "RFC 6749 appendix A.11: code is made of VSCHAR.",
		Bend: func(o *reference.Options) {
			o.Behaviour.Code = func() string { return "4/0+" + seeded.Fakes.Text(24) + "%41=&~." }
		},
	},
	{
		Name: "long-codes", Says: "Codes have 1500 characters.",
		Allows: "RFC 6749 section 4.1.2: the client should avoid assumptions about code value sizes.",
		Bend:   func(o *reference.Options) { o.Behaviour.Code = func() string { return seeded.Fakes.Text(1100) } },
	},
	{
		Name: "odd-secrets", Says: "Client secrets have characters that are encoded in Basic.",
		Allows: "RFC 6749 section 2.3.1, appendix A.2.",
		Bend: func(o *reference.Options) {
			o.Behaviour.SecretOf = func(string) string { return seeded.Fakes.Text(24) + "+/%41=&:" }
		},
	},
	{
		Name: "lower-case-bearer", Says: "token_type is bearer.", Allows: "RFC 6749 section 5.1: the value is case insensitive.",
		Bend: members("/token", func(m map[string]any) {
			if m["token_type"] == "Bearer" {
				m["token_type"] = "bearer"
			}
		}),
	},
	{
		Name: "further-members", Says: "Answers have members and parameters of the server's own.",
		Allows: "RFC 6749 sections 4.1.2 and 5.1: the client ignores unrecognized parameters.",
		Bend: all(members("/token", func(m map[string]any) {
			m["ext_expires_in"], m["session_state"], m["not-before-policy"] = 3600, "s", 0
		}),
			toClient(func(a *answer.Answer) {
				a.Fields.Set("Location", a.Fields.Get("Location")+"&session_state=abc.def&hd=example.com")
			})),
	},
	{
		Name: "no-refresh-tokens", Says: "There are no refresh tokens, and the metadata does not list the grant.",
		Allows: "RFC 6749 section 1.5.",
		Bend: all(func(o *reference.Options) { o.Behaviour.NoRefreshTokens = true },
			metadata(func(d map[string]any) {
				grants, _ := d["grant_types_supported"].([]string)
				d["grant_types_supported"] = slices.DeleteFunc(grants, func(g string) bool { return g == "refresh_token" })
			})),
	},
	{
		Name: "found", Says: "Redirects have the status 302.",
		Allows: "OAuth 2.1 section 7.5.2: 303 is recommended; 302 does not repeat the body.",
		Bend: answering("/", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusSeeOther {
				a.Status = http.StatusFound
			}
		}),
	},
	{
		Name: "relative-locations", Says: "Redirects between the server's own pages are relative.", Allows: "RFC 9110 section 10.2.2.",
		Bend: answering("/login", func(_ *http.Request, a *answer.Answer) {
			if to := a.Fields.Get("Location"); strings.HasPrefix(to, "/consent") {
				a.Fields.Set("Location", "./"+to[1:])
			}
		}),
	},
	{
		Name: "refreshing-page", Says: "A page with meta refresh leads back to the client.",
		Allows: "RFC 6749 section 1.7: any other method is allowed.",
		Bend: toClient(func(a *answer.Answer) {
			page(a, 200, `<meta http-equiv="refresh" content="0;url=`+escaped(a.Fields.Get("Location"))+`">`)
		}),
	},
	{
		Name: "lean", Says: "There is no introspection, revocation, userinfo, pushed requests, device grant or logout.",
		Allows: "RFC 8414 section 2: these endpoints are optional.",
		Bend: all(without("introspection_endpoint", "introspection_endpoint_auth_methods_supported", "revocation_endpoint",
			"revocation_endpoint_auth_methods_supported", "userinfo_endpoint", "pushed_authorization_request_endpoint",
			"device_authorization_endpoint", "end_session_endpoint", "signed_metadata"), func(o *reference.Options) {
			o.Behaviour.Missing = []string{"/introspect", "/revoke", "/userinfo", "/par", "/device", "/logout"}
		}),
	},
	{
		Name: "documents-only", Says: "Clients are known by their documents; there is no registration.",
		Allows: "MCP 2025-11-25, Client Registration Approaches: registration is optional.",
		Bend:   all(without("registration_endpoint"), func(o *reference.Options) { o.Behaviour.Missing = []string{"/register"} }),
	},
	{
		Name: "extra-audience", Says: "With openid, access tokens are for the userinfo endpoint too.",
		Allows: "RFC 9068 section 3: aud may have several values; OpenID Connect Core section 5.3: access tokens are good at userinfo.",
		Bend: func(o *reference.Options) {
			o.Behaviour.AccessToken = func(_, c map[string]any) {
				aud, single := c["aud"].(string)
				issuer, _ := c["iss"].(string)
				if scope, _ := c["scope"].(string); single && slices.Contains(strings.Fields(scope), "openid") {
					c["aud"] = []string{aud, strings.TrimSuffix(issuer, "/") + "/userinfo"}
				}
			}
		},
	},
	{
		Name: "sorted-scopes", Says: "Scopes come in another order wherever the server names them.",
		Allows: "RFC 6749 section 3.3: the order does not matter.",
		Bend: func(o *reference.Options) {
			o.Behaviour.Response = func(_ string, m map[string]any) {
				if text, _ := m["scope"].(string); text != "" {
					scopes := strings.Fields(text)
					slices.Sort(scopes)
					slices.Reverse(scopes)
					m["scope"] = strings.Join(scopes, " ")
				}
			}
		},
	},
	{
		Name: "user-adds-scopes", Says: "The user may grant scopes that were not requested, by the consent form.",
		Allows: "RFC 6749 section 3.3: the server may ignore the requested scope by the resource owner's instructions.",
		Bend:   func(o *reference.Options) { o.Behaviour.UserAddsScopes = true },
	},
	{
		Name: "token-limit-per-address", Says: "An address may send 150 token requests in a second, of all its clients together.",
		Allows: "RFC 6585 section 4: how a server identifies the user, and counts requests, is its own.",
		Bend:   limitedTokens,
	},
	{
		Name: "passwords-trimmed", Says: "White space around a password is dropped.", Allows: "NIST SP 800-63B section 5.1.1.2.",
		Bend: func(o *reference.Options) {
			o.Behaviour.SamePassword = func(typed, right string) bool { return strings.TrimSpace(typed) == right }
		},
	},
	{
		Name: "error-uris", Says: "Errors have an error_uri.", Allows: "RFC 6749 sections 4.1.2.1 and 5.2.",
		Bend: all(toClient(func(a *answer.Answer) {
			if strings.Contains(a.Fields.Get("Location"), "error=") {
				a.Fields.Set("Location", a.Fields.Get("Location")+"&error_uri=https%3A%2F%2Fdocs.example%2Ferrors")
			}
		}), answering("/token", func(_ *http.Request, a *answer.Answer) {
			var m map[string]any
			if a.Status >= 400 && json.Unmarshal(a.Body.Bytes(), &m) == nil {
				m["error_uri"], m["trace_id"], m["timestamp"] = "https://docs.example/errors", "0f0f", "2026-01-01 00:00:00Z"
				text, _ := json.Marshal(m)
				a.Body.Reset()
				_, _ = a.Body.Write(text)
			}
		})),
	},
	{
		Name: "unauthorized-as-400", Says: "invalid_client has the status 400, but for Basic.",
		Allows: "RFC 6749 section 5.2: 401 is a MAY, a MUST for the header.",
		Bend: answering("/", func(r *http.Request, a *answer.Answer) {
			named := strings.Contains(a.Body.String(), `"invalid_client"`)
			if a.Status == http.StatusUnauthorized && r.Header.Get("Authorization") == "" && named {
				a.Status = http.StatusBadRequest
				a.Fields.Del("WWW-Authenticate")
			}
		}),
	},
	{
		Name: "denied-device-unknown", Says: "A device code is forgotten when its user denies.",
		Allows: "RFC 8628 section 3.5: access_denied, or an error of RFC 6749 section 5.2, such as invalid_grant.",
		Bend:   func(o *reference.Options) { o.Behaviour.DeniedUnknown = true },
	},
	{
		Name: "audience-of-the-endpoint", Says: "Beside the token endpoint, the audience of a client assertion is the endpoint itself.",
		Allows: "RFC 7523 section 3: aud identifies the authorization server; RFC 9126 section 2 names the endpoint as one of its values.",
		Bend:   func(o *reference.Options) { o.Behaviour.OwnAudiences = true },
	},
	{
		Name: "secrets-expire", Says: "Client secrets expire after 90 days.", Allows: "RFC 7591 section 3.2.1.",
		Bend: members("/register", func(m map[string]any) {
			if m["client_secret"] != nil {
				m["client_secret_expires_at"] = m["client_id_issued_at"].(int64) + 90*24*3600
			}
		}),
	},
	{
		Name: "no-management", Says: "A registration cannot be read or changed later, and says nothing of when it was made.",
		Allows: "RFC 7592 is optional.",
		Bend: members("/register", func(m map[string]any) {
			delete(m, "registration_access_token")
			delete(m, "registration_client_uri")
			delete(m, "client_id_issued_at")
		}),
	},
	{
		Name: "scope-silent-where-equal", Says: "scope is left out where it is what was requested.",
		Allows: "RFC 6749 section 5.1: optional, if identical.",
		Bend:   silentWhereEqual,
	},
	{
		Name: "challenges-in-two-schemes", Says: "A failed authentication is challenged with Basic and with another scheme.",
		Allows: "RFC 9110 section 11.6.1.",
		Bend: answering("/token", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusUnauthorized {
				a.Fields["Www-Authenticate"] = []string{`Negotiate`, `Basic realm="clients, of \"us\"", charset="UTF-8"`}
			}
		}),
	},
	{
		Name: "further-cookies", Says: "Each page sets a further cookie.", Allows: "RFC 6265: a server may set any cookie.",
		Bend: answering("/consent", func(_ *http.Request, a *answer.Answer) {
			a.Fields.Add("Set-Cookie", "seen="+seeded.Fakes.Text(9)+"; Path=/; HttpOnly; SameSite=Lax")
		}),
	},
	{
		Name: "withheld-scope", Says: "notes:write is never granted, and the consent page does not show it.",
		Allows: "RFC 6749 section 3.3: a requested scope may be ignored, and the response says what is granted.",
		Bend: func(o *reference.Options) {
			o.Behaviour.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if q := r.URL.Query(); strings.HasSuffix(r.URL.Path, "/authorize") && len(q["scope"]) == 1 {
						scopes := strings.Split(q.Get("scope"), " ")
						q.Set("scope", strings.Join(slices.DeleteFunc(scopes, func(s string) bool { return s == "notes:write" }), " "))
						r.URL.RawQuery = q.Encode()
					}
					next.ServeHTTP(w, r)
				})
			}
		},
	},
	{
		Name: "forbidden-pages", Says: "Error pages have the status 403.", Allows: "RFC 6749 section 4.1.2.1: the user is informed.",
		Bend: answering("/authorize", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusBadRequest {
				a.Status = http.StatusForbidden
			}
		}),
	},
	{
		Name: "code-dies-with-its-first-use", Says: "A code is dead after any token request for it, whoever sends that.",
		Allows: "RFC 6749 section 10.5: codes are single use; no clause has one outlive a failed attempt.",
		Bend:   func(o *reference.Options) { o.Behaviour.FragileCodes = true },
	},
	{
		Name: "unposted", Says: "The authorization endpoint answers GET only.", Allows: "OAuth 2.1 section 3.1: POST is a MAY.",
		Bend: answering("/authorize", func(r *http.Request, a *answer.Answer) {
			if r.Method == http.MethodPost {
				page(a, http.StatusMethodNotAllowed, "")
				a.Fields.Set("Allow", "GET")
			}
		}),
	},
	{
		Name: "sign-in-each-time", Says: "Nobody stays signed in: each request asks for the password.",
		Allows: "No clause of OAuth 2.1 has a login session.",
		Bend: answering("/", func(_ *http.Request, a *answer.Answer) {
			if to := a.Fields.Get("Location"); strings.Contains(to, "code=") || strings.Contains(to, "error=") {
				a.Fields.Add("Set-Cookie", "as_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
			}
		}),
	},
	{
		Name: "confidential-do-not-rotate", Says: "The refresh tokens of confidential clients do not rotate.",
		Allows: "RFC 9700 section 2.2.2 and 4.14.2: rotation is for public clients.",
		Bend:   func(o *reference.Options) { o.Behaviour.RotatesPublicOnly = true },
	},
	{
		Name: "charset", Says: "JSON answers name a charset.", Allows: "RFC 8259 section 11: a charset parameter has no effect.",
		Bend: answering("/", func(_ *http.Request, a *answer.Answer) {
			if a.Fields.Get("Content-Type") == "application/json" {
				a.Fields.Set("Content-Type", "application/json;charset=UTF-8")
			}
		}),
	},
	{
		Name: "logout-by-users", Says: "No client may ask for its user to be signed out; the user may.",
		Allows: "OpenID Connect RP-Initiated Logout section 2: id_token_hint and client_id are optional.",
		Bend: func(o *reference.Options) {
			o.Behaviour.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if q := r.URL.Query(); strings.HasSuffix(r.URL.Path, "/logout") && (q.Has("client_id") || q.Has("id_token_hint")) {
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(http.StatusUnauthorized)
						_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		},
	},
	{
		Name: "same-client", Says: "Two registrations that are the same, and have no secret, get one client.",
		Allows: "RFC 7591 section 3.2.1: the server may issue one client identifier to several instances of a client.",
		Bend:   func(o *reference.Options) { o.Behaviour.SharesPublicClients = true },
	},
	{
		Name: "pushed-only", Says: "Authorization requests must be pushed; others end at an error page.",
		Allows: "RFC 9126 section 5: require_pushed_authorization_requests.", Bend: pushedOnly,
	},
}

func silentWhereEqual(o *reference.Options) {
	answering("/token", func(r *http.Request, a *answer.Answer) {
		var m map[string]any
		refresh := json.Unmarshal(a.Body.Bytes(), &m) == nil && r.PostForm.Get("grant_type") == "refresh_token"
		if !refresh || r.PostForm.Get("scope") != m["scope"] {
			return
		}
		delete(m, "scope")
		text, _ := json.Marshal(m)
		a.Body.Reset()
		_, _ = a.Body.Write(text)
	})(o)
}

func pushedOnly(o *reference.Options) {
	metadata(func(d map[string]any) { d["require_pushed_authorization_requests"] = true })(o)
	answering("/authorize", func(r *http.Request, a *answer.Answer) {
		if r.URL.Query().Get("request_uri") == "" {
			page(a, http.StatusBadRequest, "")
		}
	})(o)
}

// TokenRequests is the number of token requests of an address in a second.
const TokenRequests = 150

// limitedTokens limits the token requests of each address.
func limitedTokens(o *reference.Options) {
	var mu sync.Mutex
	began, count := map[string]time.Time{}, map[string]int{}
	over := func(address string) bool {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(began[address]) > time.Second {
			began[address], count[address] = time.Now(), 0
		}
		count[address]++
		return count[address] > TokenRequests
	}
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			address, _, _ := net.SplitHostPort(r.RemoteAddr)
			if !strings.HasSuffix(r.URL.Path, "/token") || r.Method != http.MethodPost || !over(address) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":"temporarily_unavailable","error_description":"too many requests"}`)
		})
	}
}

// stateOfObject gives the refusal of a request object the object's own state.
func stateOfObject(r *http.Request, a *answer.Answer) {
	to, err := url.Parse(a.Fields.Get("Location"))
	parts := strings.Split(r.URL.Query().Get("request"), ".")
	if err != nil || !to.Query().Has("error") || len(parts) != 3 {
		return
	}
	var claims struct{ State string }
	if payload, _ := base64.RawURLEncoding.DecodeString(parts[1]); json.Unmarshal(payload, &claims) == nil && claims.State != "" {
		q := to.Query()
		q.Set("state", claims.State)
		to.RawQuery = q.Encode()
		a.Fields.Set("Location", to.String())
	}
}
