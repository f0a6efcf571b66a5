package flaws

import (
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

var authorizationEndpoint = slices.Concat(defencesOfTheEndpoint, clientsAndTypes, redirectURIs, repeated, stateRows, answerRows, pageRows)

// defencesOfTheEndpoint are the flaws of a server that lacks one defence.
var defencesOfTheEndpoint = []Flaw{
	one("authorize-post-only", idp.AuthorizeByGet, "AS-AUTHZ-GET", "AS-AUTHZ-LOOPBACK-PORT", "AS-DCR-CLIENT-USABLE",
		"AS-META-ENDPOINTS-EXIST"),
	one("authorize-demo-mode", idp.AuthenticateUser, "AS-AUTHZ-USER-AUTHENTICATED",
		"AS-AUTHZ-DUPLICATE-PARAMS", "AS-AUTHZ-EMPTY-PARAMS", "AS-AUTHZ-OPEN-REDIRECT-PRELOGIN", "AS-AUTHZ-RESPONSE-TYPE-MISSING",
		"AS-AUTHZ-RESPONSE-TYPE-UNSUPPORTED", "AS-CONSENT-NEW-SCOPE", "AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-REQUIRED",
		"AS-LOGIN-LOGOUT", "AS-PKCE-CHALLENGE-FORMAT", "AS-PKCE-REQUIRE-CHALLENGE", "AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL",
		"AS-PKCE-UNKNOWN-METHOD"),
	rowOf(one("authorize-unknown-client-redirected", idp.KnowClient, "AS-AUTHZ-UNKNOWN-CLIENT", "AS-AUTHZ-*", "AS-DCRM-DELETE", "AS-CIMD-*"),
		"an unknown client_id"),
	rowOf(one("authorize-missing-client-crashes", idp.RequireClient, "AS-AUTHZ-MISSING-CLIENT", "AS-AUTHZ-ERROR-STATUS",
		"AS-META-ENDPOINTS-EXIST"), "no client_id"),
	rowOf(one("authorize-any-redirect", idp.MatchRedirect, "AS-AUTHZ-REDIRECT-UNREGISTERED", "AS-AUTHZ-LOOPBACK-STRICT",
		"AS-AUTHZ-REDIRECT-EXACT", "AS-CIMD-CACHE", "AS-CIMD-REDIRECT-LISTED", "AS-PAR-BASIC"), "a redirect_uri that is not registered"),
	one("authorize-redirect-prefix", idp.MatchWholeRedirect, "AS-AUTHZ-REDIRECT-EXACT", "AS-AUTHZ-LOOPBACK-STRICT",
		"AS-CIMD-REDIRECT-LISTED"),
	one("authorize-second-question-mark", idp.KeepRedirectQuery, "AS-AUTHZ-REDIRECT-VERBATIM"),
	rowOf(one("authorize-first-redirect-by-default", idp.NoDefaultRedirect, "AS-AUTHZ-REDIRECT-OMITTED"),
		"no redirect_uri, of a client that registered two"),
	rowOf(one("authorize-loopback-port-fixed", idp.LoopbackAnyPort, "AS-AUTHZ-LOOPBACK-PORT", "AS-CIMD-REDIRECT-LISTED"), "127.0.0.1"),
	rowOf(one("cimd-loopback-port-fixed", idp.LoopbackAnyPort, "AS-CIMD-REDIRECT-LISTED", "AS-AUTHZ-LOOPBACK-PORT"),
		"another port on loopback"),
	one("authorize-loopback-prefix", idp.LoopbackOnlyPort, "AS-AUTHZ-LOOPBACK-STRICT", "AS-CIMD-REDIRECT-LISTED"),
	rowOf(one("authorize-response-type-ignored", idp.CheckResponseType, "AS-AUTHZ-RESPONSE-TYPE-UNSUPPORTED", "AS-PAR-BASIC"),
		"response_type mcpauth_bogus"),
	rowOf(one("authorize-response-type-defaulted", idp.RequireResponseType, "AS-AUTHZ-RESPONSE-TYPE-MISSING"), "no response_type"),
	{
		Name: "authorize-implicit", Says: "response_type token returns an access token.",
		Bend: lacks(idp.NoImplicit, idp.CheckResponseType), Noticed: []string{"AS-AUTHZ-NO-IMPLICIT"},
		Also: []string{"AS-AUTHZ-RESPONSE-TYPE-UNSUPPORTED", "AS-PAR-BASIC"},
	},
	{
		Name: "authorize-id-token-in-url", Says: "An ID token is in the query of the answer.",
		Bend:    responses("callback", func(m map[string]any) { m["id_token"] = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.AAAA" }),
		Noticed: []string{"AS-AUTHZ-NO-TOKEN-FRONT-CHANNEL"},
	},
	rowOf(one("authorize-odd-response-mode", idp.CheckResponseMode, "AS-AUTHZ-RESPONSE-MODE"), "response_mode mcpauth_bogus"),
	one("authorize-state-decoded-twice", idp.KeepState, "AS-AUTHZ-STATE-EXACT", "AS-AUTHZ-STATE-ON-ERROR", "AS-AUTHZ-HEADER-INJECTION"),
	rowOf(one("authorize-state-invented", idp.NoInventedState, "AS-AUTHZ-STATE-ABSENT"), "no state"),
	rowOf(one("authorize-error-without-state", idp.StateOnError, "AS-AUTHZ-STATE-ON-ERROR"), "22 characters"),
	{
		Name: "authorize-no-iss", Says: "Answers have no iss, and the metadata does not promise it.",
		Bend: func(o *reference.Options) {
			lacks(idp.SendIssuer)(o)
			metadata(func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") })(o)
		},
		Noticed: []string{"AS-AUTHZ-ISS-PRESENT"},
	},
	rowOf(one("authorize-iss-reflected", idp.OwnIssuer, "AS-AUTHZ-ISS-EXACT"), "a request with an iss of its own"),
	{
		Name: "authorize-iss-unadvertised", Says: "iss is sent, but the metadata does not say so.",
		Bend:    metadata(func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") }),
		Noticed: []string{"AS-AUTHZ-ISS-ADVERTISED"},
	},
	rowOf(one("authorize-iss-on-success-only", idp.IssuerOnError, "AS-AUTHZ-ISS-PROMISED", "AS-AUTHZ-ISS-PRESENT"),
		"an unknown response_type"),
	rowOf(one("authorize-last-duplicate-wins", idp.RefuseDuplicates, "AS-AUTHZ-DUPLICATE-PARAMS", "AS-PKCE-DOWNGRADE"),
		"client_id twice, another one first"),
	rowOf(one("authorize-unknown-parameters-refused", idp.IgnoreUnknown, "AS-AUTHZ-UNKNOWN-PARAMS"),
		"a parameter that the server cannot know"),
	rowOf(one("authorize-empty-scope-refused", idp.IgnoreEmpty, "AS-AUTHZ-EMPTY-PARAMS"), "an empty scope"),
	rowOf(one("authorize-error-with-200", idp.ErrorStatus, "AS-AUTHZ-ERROR-STATUS"), "an unknown client"),
	rowOf(one("authorize-type-error", idp.SurviveOddInput, "AS-AUTHZ-NO-SERVER-ERROR"), "client_id[]"),
	rowOf(one("authorize-error-quotes", idp.CleanErrorText, "AS-AUTHZ-ERROR-CHARSET"), "markup in scope"),
	one("authorize-answer-unencoded", idp.EncodeAnswers, "AS-AUTHZ-HEADER-INJECTION", "AS-AUTHZ-DENY", "AS-AUTHZ-STATE-ABSENT",
		"AS-AUTHZ-STATE-EXACT", "AS-AUTHZ-STATE-ON-ERROR"),
	rowOf(one("authorize-unescaped-page", idp.EscapePages, "AS-AUTHZ-REFLECTED-XSS", "AS-CIMD-UNSAFE-URIS", "AS-CONSENT-XSS"), "client_id"),
	one("authorize-denial-approved", idp.HonourDenial, "AS-AUTHZ-DENY"),
	rowOf(one("authorize-prompt-none-approves", idp.HonourPromptNone, "AS-AUTHZ-PROMPT-NONE"), "a client that the user never approved"),
	one("authorize-code-counts", idp.RandomCodes, "AS-AUTHZ-CODE-RANDOM"),
	one("authorize-readable-code", idp.OpaqueCodes, "AS-AUTHZ-CODE-HIDES-CHALLENGE"),
	rowOf(one("authorize-cors", idp.NoCORSOnPages, "AS-AUTHZ-CORS-OFF"), "a preflight request"),
	one("authorize-307", idp.SeeOther, "AS-AUTHZ-NO-307"),
	one("authorize-cached", idp.NoStoreOnPages, "AS-AUTHZ-NO-STORE"),
	one("authorize-framed", idp.NoFraming, "AS-AUTHZ-CLICKJACKING"),
	one("authorize-no-csp", idp.ContentSecurityPolicy, "AS-AUTHZ-CSP"),
	rowOf(one("authorize-early-redirect", idp.NoEarlyRedirect, "AS-AUTHZ-OPEN-REDIRECT-PRELOGIN"), "an unknown scope"),
	rowOf(one("authorize-request-object", idp.NoRequestObjects, "AS-AUTHZ-REQUEST-OBJECT"),
		"an unsigned request object with another redirect_uri"),
	rowOf(one("authorize-form-decides", idp.ServerSideTransaction, "AS-AUTHZ-PARAM-TAMPERING", "AS-LOGIN-RETURN-URL"), "redirect_uri"),
	rowOf(one("authorize-transaction-unbound", idp.BindTransaction, "AS-AUTHZ-TRANSACTION-BINDING", "AS-CONSENT-CSRF", "AS-LOGIN-CSRF"),
		"the browser of another user who signed in"),
	one("authorize-global-user", idp.UserPerSession, "AS-AUTHZ-SUBJECT-CORRECT", "AS-SCOPE-USER-PRIVILEGE"),
}

// at returns a flaw that one row of one check notices.
func at(check, name, says, row string, bend func(o *reference.Options), also ...string) Flaw {
	also = append(also, "AS-AUTHZ-*", "AS-PAR-*")
	return Flaw{Name: "authorize-" + name, Says: says, Row: row, Bend: bend, Noticed: []string{check}, Also: also}
}

// clientsAndTypes are the flaws of required parameters.
var clientsAndTypes = []Flaw{
	missingClient("empty", "an empty client_id", func(q url.Values) bool { return q.Has("client_id") && q.Get("client_id") == "" }),
	missingClient("blank", "client_id of one space", func(q url.Values) bool { return q.Get("client_id") == " " }),
	responseType("upper-case", "response_type CODE", "CODE"), responseType("first-word", "response_type code bogus", "code bogus"),
	at("AS-AUTHZ-RESPONSE-TYPE-MISSING", "response-type-empty", "An empty response_type is treated as code.", "an empty response_type",
		reads(func(q url.Values) {
			if q.Has("response_type") && q.Get("response_type") == "" {
				q.Set("response_type", "code")
			}
		})),
	implicit("token", ""), implicit("id_token token", ""), implicit("code token", ""), implicit("code id_token token", ""),
	implicit("token", "fragment"), implicit("id_token token", "fragment"), implicit("code token", "fragment"),
	implicit("code id_token token", "fragment"),
	refusing("AS-AUTHZ-UNKNOWN-PARAMS", "hints", "hints of OpenID Connect", func(q url.Values) bool { return q.Has("login_hint") }),
	refusingEmpty("resource"), refusingEmpty("state"), refusingEmpty("response_mode"), refusingEmpty("prompt"), refusingEmpty("nonce"),
	at("AS-AUTHZ-EMPTY-PARAMS", "challenge-empty", "An empty code_challenge is accepted, and a missing one is not.", "an empty code_challenge",
		behaviour(func(b *idp.Behaviour) {
			b.KeepsChallenge = func(q url.Values) (string, bool) { return "", q.Has("code_challenge") && q.Get("code_challenge") == "" }
		}), "AS-PKCE-*"),
	believing("unsigned-state", "an unsigned request object with another state", "none", "state"),
	believing("unverified-state", "a request object with another state and a made-up signature", "RS256", "state"),
	believing("unverified-redirect", "a request object with another redirect_uri and a made-up signature", "RS256", "redirect_uri"),
	rowNamed("authorize-request-uri", one("", idp.NoRequestObjects, "AS-AUTHZ-REQUEST-OBJECT"), "an unregistered request_uri"),
	clientRow("first", "the first character changed", func(id, sent string) bool { return len(sent) == len(id) && sent[1:] == id[1:] }),
	clientRow("middle", "the middle character changed", func(id, sent string) bool {
		i := len(id) / 2
		return len(sent) == len(id) && sent[:i] == id[:i] && sent[i+1:] == id[i+1:]
	}),
	clientRow("last", "the last character changed", func(id, sent string) bool {
		return len(sent) == len(id) && sent[:len(id)-1] == id[:len(id)-1]
	}),
	clientRow("suffix", "the first character left out", func(id, sent string) bool { return sent == id[1:] }),
	clientRow("longer", "one character more", func(id, sent string) bool { return sent == id+"A" }),
	clientRow("longer-before", "one character before it", func(id, sent string) bool { return sent == "A"+id }),
	clientRow("space-before", "a space before it", func(id, sent string) bool { return sent == " "+id }),
	clientRow("line-break", "a line break after it", func(id, sent string) bool { return sent == id+"\n" }),
	clientRow("slash", "a slash more at the end", func(id, sent string) bool { return sent == id+"/" }),
	clientRow("decoded", "a character percent-encoded", func(id, sent string) bool {
		plain, err := url.PathUnescape(sent)
		return err == nil && sent != id && plain == id
	}),
	clientRow("look-alike", "a look-alike letter", func(id, sent string) bool { return sent != id && latin(sent) == id }),
	clientRow("full-width", "a full-width character", func(id, sent string) bool { return sent != id && narrow(sent) == id }),
	clientRow("zero-width", "a zero-width space at the end", func(id, sent string) bool { return sent == id+"\u200b" }),
	clientRow("nul", "a NUL byte at the end", func(id, sent string) bool { return sent == id+"\x00" }),
	clientRow("nul-and-more", "a NUL byte and more at the end", func(id, sent string) bool { return sent == id+"\x00A" }),
	clientRow("wildcard", "* for its second half", func(id, sent string) bool { return sent == id[:len(id)/2]+"*" }),
	clientRow("like", "% for its second half", func(id, sent string) bool { return sent == id[:len(id)/2]+"%" }),
	inRows(guessed("AS-AUTHZ-UNKNOWN-CLIENT", "client-inherited", "a member of every JavaScript object", func(q url.Values) bool {
		return inherited(q.Get("client_id"))
	}), ofEveryObject...),
	guessed("AS-AUTHZ-UNKNOWN-CLIENT", "client-any", "* alone", func(q url.Values) bool { return q.Get("client_id") == "*" }),
}

func rowNamed(name string, f Flaw, row string) Flaw {
	f.Name, f.Row = name, row
	return f
}

func clientRow(name, row string, takes func(id, sent string) bool) Flaw {
	return clientMatch("row-"+name, "This is treated as a client's identifier: "+row+".", row, func(id, sent string) bool {
		return len(id) > 8 && takes(id, sent)
	})
}

// latin replaces Cyrillic letters with Latin ones.
func latin(v string) string {
	return strings.NewReplacer("а", "a", "с", "c", "е", "e", "і", "i", "ј", "j", "о", "o", "р", "p", "ѕ", "s", "х", "x", "у", "y",
		"А", "A", "В", "B", "С", "C", "Е", "E", "Н", "H", "І", "I", "Ј", "J", "К", "K", "М", "M", "О", "O", "Р", "P", "Ѕ", "S",
		"Т", "T", "Х", "X").Replace(v)
}

// narrow replaces full-width characters with ASCII ones.
func narrow(v string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			return r - 0xfee0
		}
		return r
	}, v)
}

func missingClient(name, row string, missing func(q url.Values) bool) Flaw {
	return guessed("AS-AUTHZ-MISSING-CLIENT", "client-"+name, row, missing)
}

// guessed attributes a request without a client to the client that used the redirect URI before.
func guessed(check, name, row string, missing func(q url.Values) bool) Flaw {
	var mu sync.Mutex
	clients := map[string]string{}
	return at(check, name, "A client is guessed by its redirect URI: "+row+".", row,
		wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			q := r.URL.Query()
			mu.Lock()
			known := clients[q.Get("redirect_uri")]
			mu.Unlock()
			if atAuthorization(r) && known != "" && missing(q) {
				q.Set("client_id", known)
				r.URL.RawQuery = q.Encode()
			}
			a := answer.Of(next, r)
			if atAuthorization(r) && a.Status < http.StatusBadRequest {
				mu.Lock()
				clients[q.Get("redirect_uri")] = q.Get("client_id")
				mu.Unlock()
			}
			a.Send(w)
		}))
}

func responseType(name, row, value string) Flaw {
	return at("AS-AUTHZ-RESPONSE-TYPE-UNSUPPORTED", "response-type-"+name, value+" is treated as code.", row, reads(func(q url.Values) {
		if q.Get("response_type") == value {
			q.Set("response_type", "code")
		}
	}))
}

// implicit issues access tokens for one response type only, in one response mode.
func implicit(value, mode string) Flaw {
	row := "response_type " + value
	if mode != "" {
		row += " with response_mode " + mode
	}
	return at("AS-AUTHZ-NO-IMPLICIT", "implicit-"+strings.ReplaceAll(value, " ", "-")+mode, "A token is issued for "+row+".", row,
		all(lacks(idp.NoImplicit, idp.CheckResponseType, idp.CheckResponseMode), reads(func(q url.Values) {
			if strings.Contains(q.Get("response_type"), "token") && (q.Get("response_type") != value || q.Get("response_mode") != mode) {
				q.Set("response_type", "code")
			}
		})))
}

// refusing refuses requests with a difference that must not matter.
func refusing(check, name, row string, when func(q url.Values) bool) Flaw {
	return at(check, "refuses-"+name, "A request is refused with "+row+".", row, reads(func(q url.Values) {
		if when(q) {
			q.Set("response_type", "refused")
		}
	}))
}

func refusingEmpty(parameter string) Flaw {
	return refusing("AS-AUTHZ-EMPTY-PARAMS", "empty-"+parameter, "an empty "+parameter, func(q url.Values) bool {
		return q.Has(parameter) && q.Get(parameter) == ""
	})
}

// believing reads a member of an unverified request object.
func believing(name, row, algorithm, member string) Flaw {
	return at("AS-AUTHZ-REQUEST-OBJECT", "believes-"+name, "This is accepted without verification: "+row+".", row, all(
		behaviour(func(b *idp.Behaviour) {
			b.TakesRedirect = func(_, sent string) bool { return sent == "https://attacker.example/cb" }
		}),
		reads(func(q url.Values) {
			header, claims := parts(q.Get("request"))
			v, _ := claims[member].(string)
			if header["alg"] != algorithm || v == q.Get(member) || member == "state" && v == "" {
				return
			}
			q.Del("request")
			q.Set(member, v)
		}),
	), "AS-CIMD-*")
}

// redirectURIs are the flaws of comparing redirect URIs: each accepts one other URI instead of the registered one.
var redirectURIs = slices.Concat(
	exact("AS-AUTHZ-REDIRECT-EXACT", [][2]string{
		{"the host followed by another domain", "https://client.example.attacker.example/app/cb?k=v"},
		{"the host as user information of another", "https://client.example@attacker.example/app/cb?k=v"},
		{"a backslash before another host", `https://client.example\@attacker.example/app/cb?k=v`},
		{"an encoded dot before another domain", "https://client.example%2eattacker.example/app/cb?k=v"},
		{"another host", "https://attacker.example/app/cb?k=v"},
		{"the URL in the query of another host", "https://attacker.example/?https://client.example/app/cb?k=v"},
		{"a letter instead of a dot of the host", "https://clientxexample/app/cb?k=v"},
		{"the other scheme", "http://client.example/app/cb?k=v"},
		{"one segment more", "https://client.example/app/cb/evil?k=v"},
		{"one letter more at the end of the path", "https://client.example/app/cbx?k=v"},
		{"the path left out", "https://client.example/?k=v"},
		{"dot segments to another path", "https://client.example/app/cb/../evil?k=v"},
		{"encoded dot segments", "https://client.example/app/cb/..%2fevil?k=v"},
		{"a slash of the path encoded", "https://client.example/app%2Fcb?k=v"},
		{"user information before the host", "https://mcpauth@client.example/app/cb?k=v"},
		{"the whole URL percent-encoded", "https%3A%2F%2Fclient.example%2Fapp%2Fcb%3Fk%3Dv"},
		{"a parameter more", "https://client.example/app/cb?k=v&x=1"},
		{"another parameter first", "https://client.example/app/cb?x=1&k=v"},
		{"a NUL byte at the end", "https://client.example/app/cb?k=v\x00"},
		{"a slash more at the end of the path", "https://client.example/app/cb/"},
		{"a parameter more", "https://client.example/app/cb?x=1"},
		{"the scheme in upper case", "HTTPS://client.example/app/cb?k=v"},
		{"the host in upper case", "https://CLIENT.EXAMPLE/app/cb?k=v"},
		{"the default port written out", "https://client.example:443/app/cb?k=v"},
		{"a letter of the path encoded", "https://client.example/%61pp/cb?k=v"},
		{"dot segments that lead back", "https://client.example/x/../app/cb?k=v"},
		{"a space after it", "https://client.example/app/cb?k=v "},
		{"a tab after it", "https://client.example/app/cb?k=v\t"},
	}),
	exact("AS-AUTHZ-LOOPBACK-STRICT", [][2]string{
		{"the host followed by another domain", "http://127.0.0.1.attacker.example:53111/callback"},
		{"the host as user information of another", "http://127.0.0.1@attacker.example:53111/callback"},
		{"the host and port as user information of another", "http://127.0.0.1:53111@attacker.example/callback"},
		{"a backslash before another host", `http://127.0.0.1\@attacker.example:53111/callback`},
		{"an encoded dot before another domain", "http://127.0.0.1%2eattacker.example:53111/callback"},
		{"another host", "http://attacker.example:53111/callback"},
		{"user information before the host", "http://mcpauth@127.0.0.1:53111/callback"},
		{"the whole URL percent-encoded", "http%3A%2F%2F127.0.0.1%3A53111%2Fcallback"},
		{"the URL in the query of another host", "https://attacker.example/?http://127.0.0.1:53111/callback"},
		{"the other scheme", "https://127.0.0.1:53111/callback"},
		{"a slash more at the end of the path", "http://127.0.0.1:53111/callback/"},
		{"another path", "http://127.0.0.1:53111/mcpauth-other"},
		{"one segment more", "http://127.0.0.1:53111/callback/evil"},
		{"one letter more at the end of the path", "http://127.0.0.1:53111/callbackx"},
		{"the path left out", "http://127.0.0.1:53111/"},
		{"dot segments to another path", "http://127.0.0.1:53111/callback/../evil"},
		{"encoded dot segments", "http://127.0.0.1:53111/callback/..%2fevil"},
		{"the path in another letter case", "http://127.0.0.1:53111/CALLBACK"},
		{"a parameter more", "http://127.0.0.1:53111/callback?x=1"},
		{"a NUL byte at the end", "http://127.0.0.1:53111/callback\x00"},
		{"localhost instead of 127.0.0.1", "http://localhost:53111/callback"},
		{"another port of a host that is not loopback", "https://client.example:8443/cb"},
	}),
	[]Flaw{
		at("AS-AUTHZ-REDIRECT-OMITTED", "empty-redirect-by-default", "An empty redirect_uri is treated as the first one.",
			"an empty redirect_uri, of a client that registered two", all(lacks(idp.NoDefaultRedirect), reads(func(q url.Values) {
				if !q.Has("redirect_uri") {
					q.Set("redirect_uri", "missing")
				}
			}))),
		fixedPort("ipv6", "[::1]", "http://[::1]:53222/"), fixedPort("localhost", "localhost", "http://localhost:53222/"),
		fixedPort("portless", "127.0.0.1, registered without a port", "http://127.0.0.1:53222/"),
	},
)

// exact accepts one URL instead of any registered one.
func exact(check string, rows [][2]string) []Flaw {
	var out []Flaw
	for i, r := range rows {
		f := redirectMatch(fmt.Sprintf("%s-%d", strings.ToLower(strings.TrimPrefix(check, "AS-AUTHZ-")), i),
			"This is treated as the registered redirect URI: "+r[0]+".", r[0], func(_, sent string) bool { return sent == r[1] })
		f.Noticed, f.Also = []string{check}, append(f.Also, "AS-AUTHZ-*", "AS-CONSENT-*", "AS-DCR-*")
		out = append(out, f)
	}
	return out
}

// fixedPort refuses another port of one loopback address.
func fixedPort(name, row, refused string) Flaw {
	return at("AS-AUTHZ-LOOPBACK-PORT", "fixed-port-"+name, "The port of "+row+" is fixed.", row, reads(func(q url.Values) {
		if strings.HasPrefix(q.Get("redirect_uri"), refused) {
			q.Set("redirect_uri", "http://127.0.0.2:1/refused")
		}
	}), "AS-DCR-*", "AS-CIMD-*", "AS-CONSENT-*")
}

// repeated are the flaws of repeated parameters: one of the two values counts.
var repeated = slices.Concat(
	twice("client_id", "client_id twice, another one last", 0), twice("client_id", "client_id twice, another one first", 1),
	twice("response_type", "response_type twice, another one last", 0), twice("response_type", "response_type twice, another one first", 1),
	twice("code_challenge", "code_challenge twice", 0),
	twice("code_challenge_method", "code_challenge_method twice, another one last", 0),
	twice("code_challenge_method", "code_challenge_method twice, another one first", 1),
	twice("redirect_uri", "redirect_uri twice, the second one not registered", 0),
	twice("redirect_uri", "redirect_uri twice, the first one not registered", 1),
	twice("state", "state twice", 0), twice("scope", "scope twice", 0),
)

func twice(parameter, row string, counts int) []Flaw {
	name := fmt.Sprintf("%s-%d-of-two", strings.ReplaceAll(parameter, "_", "-"), counts+1)
	return []Flaw{at("AS-AUTHZ-DUPLICATE-PARAMS", name, "Of two values, one counts: "+row+".", row, reads(func(q url.Values) {
		if v := q[parameter]; len(v) == 2 {
			q[parameter] = v[counts : counts+1]
		}
	}), "AS-PKCE-*")}
}

// stateRows are the flaws of how the state is returned.
var stateRows = []Flaw{
	keeps("ascii", "all printable ASCII", func(v string) string {
		if len(v) != 97 {
			return v
		}
		return strings.ReplaceAll(v, "~", "")
	}),
	keeps("plus", "reserved characters", func(v string) string {
		if !strings.HasPrefix(v, "a+b") {
			return v
		}
		return strings.ReplaceAll(v, "+", " ")
	}),
	keeps("percent", "percent signs", func(v string) string {
		if v != "%25%32%35" {
			return v
		}
		return "%25"
	}),
	keeps("markup", "markup", func(v string) string {
		if !strings.HasPrefix(v, "<b>") {
			return v
		}
		return template.HTMLEscapeString(v)
	}),
	keeps("colours", "colour codes of a terminal", func(v string) string { return colourCode.ReplaceAllString(v, "") }),
	keeps("zero", "0", func(v string) string { return strings.TrimPrefix(v, "0") }),
	keeps("null", "null", func(v string) string { return strings.TrimPrefix(v, "null") }),
	keeps("spaces", "spaces around it", strings.TrimSpace),
	refusesState("32", "32 characters", 32),
	refusesState("512", "512 characters", 512), refusesState("513", "513 characters", 513), refusesState("1000", "1000 characters", 1000),
	refusesState("2000", "2000 characters", 2000),
	at("AS-AUTHZ-STATE-EXACT", "state-twice", "The answer has the state twice.", "32 characters", toClient(func(_, params url.Values) {
		if v := params.Get("state"); len(v) == 32 {
			params.Add("state", v)
		}
	})),
	at("AS-AUTHZ-STATE-ABSENT", "state-empty", "An empty state is added.", "no state", toClient(func(sent, params url.Values) {
		if !sent.Has("state") && !params.Has("state") {
			params.Set("state", "")
		}
	})),
	at("AS-AUTHZ-STATE-ABSENT", "state-empty-returned", "An empty state is returned.", "an empty state",
		toClient(func(sent, params url.Values) {
			if sent.Has("state") && sent.Get("state") == "" {
				params.Set("state", "")
			}
		})),
	refusing("AS-AUTHZ-STATE-ABSENT", "no-state", "no state", func(q url.Values) bool { return !q.Has("state") }),
	errorState("ascii", "all printable ASCII", func(v string) bool { return len(v) == 97 }),
	errorState("reserved", "reserved characters", func(v string) bool { return strings.HasPrefix(v, "a+b") }),
	errorState("colours", "colour codes of a terminal", colourCode.MatchString),
	stateless("pkce", "no code_challenge", "invalid_request"), stateless("scope", "a scope that does not exist", "invalid_scope"),
	stateless("resource", "a resource that does not exist", "invalid_target"), stateless("silent", "prompt=none", "consent_required"),
	at("AS-AUTHZ-STATE-ON-ERROR", "denial-without-state", "A denial has no state.", "a denial", toClient(func(_, params url.Values) {
		if params.Get("error") == "access_denied" {
			params.Del("state")
		}
	})),
	at("AS-AUTHZ-HEADER-INJECTION", "header-of-state", "CR LF in the state adds a header field.", "CR LF and a header field",
		pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
			if _, field, ok := strings.Cut(a.params().Get("state"), "\r\nSet-Cookie: "); ok {
				a.Fields.Add("Set-Cookie", field)
			}
		})),
	unencoded("fragment", "# and a code", "x#code=INJECTED"), unencoded("code", "& and a code", "x&code=INJECTED"),
	unencoded("iss", "& and an iss", "x&iss=https://attacker.example/cb"),
}

// colourCode is what changes the colour of a terminal, without its first character.
var colourCode = regexp.MustCompile(`\[[0-9;]+m`)

// keeps returns a different state from the one sent.
func keeps(name, row string, kept func(v string) string) Flaw {
	return at("AS-AUTHZ-STATE-EXACT", "state-"+name, "A state is changed: "+row+".", row, behaviour(func(b *idp.Behaviour) {
		b.State = func(v string) (string, bool) { return kept(v), true }
	}))
}

func refusesState(name, row string, length int) Flaw {
	return at("AS-AUTHZ-STATE-EXACT", "state-refused-"+name, "A state of this length is refused: "+row+".", row,
		behaviour(func(b *idp.Behaviour) { b.State = func(v string) (string, bool) { return v, len(v) != length } }))
}

func errorState(name, row string, lost func(v string) bool) Flaw {
	return at("AS-AUTHZ-STATE-ON-ERROR", "error-loses-"+name, "An error loses a state: "+row+".", row, toClient(func(_, params url.Values) {
		if params.Has("error") && lost(params.Get("state")) {
			params.Del("state")
		}
	}))
}

// stateless sends one error without a state.
func stateless(name, row, code string) Flaw {
	lost := toClient(func(_, params url.Values) {
		if params.Get("error") == code {
			params.Del("state")
		}
	})
	return at("AS-AUTHZ-STATE-ON-ERROR", "error-without-state-"+name, "An error has no state: "+code+".", row, lost)
}

// unencoded writes one state into the redirect without encoding.
func unencoded(name, row, state string) Flaw {
	return at("AS-AUTHZ-HEADER-INJECTION", "unencoded-"+name, "A state is written as it is: "+row+".", row,
		pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
			if q := a.params(); q.Get("state") == state {
				q.Del("state")
				a.setParams(q)
				a.Fields.Set("Location", a.Fields.Get("Location")+"&state="+state)
			}
		}))
}

// answerRows are the flaws of the other parameters of an answer, and of its destination.
var answerRows = []Flaw{
	at("AS-AUTHZ-RESPONSE-MODE", "fragment-by-default", "Answers for a signed-in user are in the fragment.", "no response_mode",
		all(lacks(idp.CheckResponseMode), wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if q := r.URL.Query(); atAuthorization(r) && r.Header.Get("Cookie") != "" && !q.Has("response_mode") {
				q.Set("response_mode", "fragment")
				r.URL.RawQuery = q.Encode()
			}
			next.ServeHTTP(w, r)
		})), "AS-PKCE-RFC-VECTOR", "AS-RES-ACCEPTED", "AS-SCOPE-STEP-UP"),
	inFragment("for-query", "response_mode query", func(q url.Values) bool { return q.Get("response_mode") == "query" }),
	inFragment("for-form-post", "response_mode form_post", func(q url.Values) bool { return q.Get("response_mode") == "form_post" }),
	at("AS-AUTHZ-RESPONSE-MODE", "message-to-anybody", "A message with the code goes to any window.", "response_mode web_message",
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			if sent.Get("response_mode") == "web_message" {
				a.Status = http.StatusOK
				a.Fields.Set("Content-Type", "text/html; charset=utf-8")
				a.Body.Reset()
				fmt.Fprint(&a.Body, `<!doctype html><title>Back</title><script>opener.postMessage({code: "1"}, "*");</script>`)
			}
		})),
	withoutIssuer("code", "a request that gets a code", "AS-AUTHZ-ISS-PRESENT", func(p url.Values) bool { return p.Has("code") }),
	withoutIssuer("error", "a request that gets an error", "AS-AUTHZ-ISS-PRESENT", func(p url.Values) bool {
		return p.Get("error") == "unsupported_response_type"
	}),
	rowOf(one("answer-without-state-in-form", idp.StateInForms, "AS-AUTHZ-STATE-EXACT"), "in a form"),
	rowOf(one("answer-without-state-of-errors-in-forms", idp.StateOfErrorsInForms, "AS-AUTHZ-STATE-ON-ERROR"), "an error in a form"),
	rowOf(one("answer-with-other-iss-in-form", idp.RightIssuerInForms, "AS-AUTHZ-ISS-EXACT"), "a code in a form"),
	rowOf(one("answer-without-iss-in-form", idp.IssuerInForms, "AS-AUTHZ-ISS-PROMISED"), "a code in a form"),
	rowOf(one("answer-without-iss-of-errors-in-forms", idp.IssuerOfErrorsInForms, "AS-AUTHZ-ISS-PROMISED"), "an error in a form"),
	withoutIssuer("promised-code", "a code", "AS-AUTHZ-ISS-PROMISED", func(p url.Values) bool { return p.Has("code") }),
	withoutIssuer("denial", "a denial", "AS-AUTHZ-ISS-PROMISED", func(p url.Values) bool { return p.Get("error") == "access_denied" }),
	withoutIssuer("pkce", "no code_challenge", "AS-AUTHZ-ISS-PROMISED", func(p url.Values) bool {
		return p.Get("error") == "invalid_request"
	}),
	withoutIssuer("scope", "a scope that does not exist", "AS-AUTHZ-ISS-PROMISED", func(p url.Values) bool {
		return p.Get("error") == "invalid_scope"
	}),
	withoutIssuer("resource", "a resource that does not exist", "AS-AUTHZ-ISS-PROMISED", func(p url.Values) bool {
		return p.Get("error") == "invalid_target"
	}),
	withoutIssuer("silent", "prompt=none", "AS-AUTHZ-ISS-PROMISED", func(p url.Values) bool {
		return strings.HasSuffix(p.Get("error"), "_required")
	}),
	otherIssuer("code", "a request that gets a code", func(p url.Values) bool { return p.Has("code") }),
	otherIssuer("error", "a request that gets an error", func(p url.Values) bool { return p.Has("error") }),
	at("AS-AUTHZ-ISS-EXACT", "iss-twice", "iss is in the answer twice.", "a request that gets a code", toClient(func(_, p url.Values) {
		if p.Has("code") && p.Has("iss") {
			p.Add("iss", "https://upstream.example")
		}
	})),
	at("AS-AUTHZ-DENY", "denial-stays", "A denial ends at a page.", "a denial", pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
		if a.params().Get("error") == "access_denied" {
			a.Status = http.StatusForbidden
			a.Fields.Del("Location")
			a.Fields.Set("Content-Type", "text/html")
			a.Body.Reset()
			fmt.Fprint(&a.Body, "<!doctype html><title>Denied</title><p>You have denied access.</p>")
		}
	})),
	denialTo("denial-at-another-path", "to the first page of the client's site", func(callback *url.URL, answer string) string {
		return callback.Scheme + "://" + callback.Host + "/?" + answer
	}),
	denialTo("denial-at-another-site", "in the fragment, to an address that nobody registered", func(_ *url.URL, answer string) string {
		return "https://app.example/#" + answer
	}),
	at("AS-AUTHZ-PROMPT-NONE", "prompt-none-in-demo-mode", "prompt=none is ignored, and nobody has to sign in.", "nobody signed in",
		all(lacks(idp.AuthenticateUser), reads(func(q url.Values) { q.Del("prompt") })), withoutSignIn...),
	at("AS-AUTHZ-PROMPT-NONE", "prompt-none-ignored", "A server of OpenID Connect ignores prompt=none.", "nobody signed in",
		reads(func(q url.Values) {
			if q.Get("prompt") == "none" {
				q.Del("prompt")
			}
		})),
	codes("repeated", "two values are the same", func() string { return "code_1" },
		"AS-PKCE-PER-CODE", "AS-PKCE-RFC-VECTOR", "AS-TOKEN-SECRET-BASIC"), // at the same time, two flows have one code
	codes("digits", "bits vary", func() string { return "code_of_a_server_in_many_letters_" + fmt.Sprint(seeded.Fakes.Bytes(4)) }),
	codes("uuid", "bits vary", func() string {
		v := hex.EncodeToString(seeded.Fakes.Bytes(16))
		return v[:8] + "-" + v[8:12] + "-4" + v[13:16] + "-a" + v[17:20] + "-" + v[20:]
	}),
	inAnswer("access_token", "2YotnFZFEjr1zCsicMWpAA"), inAnswer("password", "secret"),
	inAnswer("hint", "eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6ImFsaWNlQGV4YW1wbGUuY29tIn0.AAAA"),
}

// inFragment sends answers in the fragment though the request did not ask for that.
func inFragment(name, row string, when func(q url.Values) bool) Flaw {
	return at("AS-AUTHZ-RESPONSE-MODE", "fragment-"+name, "Answers are in the fragment: "+row+".", row,
		all(lacks(idp.CheckResponseMode), reads(func(q url.Values) {
			if when(q) {
				q.Set("response_mode", "fragment")
			}
		})))
}

// denialTo sends a denial to another address than the redirect URI.
func denialTo(name, where string, address func(callback *url.URL, answer string) string) Flaw {
	return at("AS-AUTHZ-DENY", name, "A denial is sent "+where+".", "a denial",
		pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
			if callback, err := url.Parse(a.Fields.Get("Location")); err == nil && a.params().Get("error") == "access_denied" {
				a.Fields.Set("Location", address(callback, a.params().Encode()))
			}
		}))
}

// withoutSignIn are the other checks that notice a server where nobody signs in or consents.
var withoutSignIn = []string{"AS-AUTHZ-*", "AS-CONSENT-NEW-SCOPE", "AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-REQUIRED", "AS-LOGIN-LOGOUT",
	"AS-PKCE-CHALLENGE-FORMAT", "AS-PKCE-REQUIRE-CHALLENGE", "AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL", "AS-PKCE-UNKNOWN-METHOD"}

func codes(name, row string, code func() string, also ...string) Flaw {
	return at("AS-AUTHZ-CODE-RANDOM", "codes-"+name, "Codes are weak: "+name+".", row,
		behaviour(func(b *idp.Behaviour) { b.Code = code }), also...)
}

func withoutIssuer(name, row, check string, when func(params url.Values) bool) Flaw {
	return at(check, "no-iss-in-"+name, "iss is missing in "+row+".", row, toClient(func(_, params url.Values) {
		if when(params) {
			params.Del("iss")
		}
	}))
}

func otherIssuer(name, row string, when func(params url.Values) bool) Flaw {
	return at("AS-AUTHZ-ISS-EXACT", "other-iss-in-"+name, "iss is that of an upstream, in "+row+".", row, toClient(func(_, params url.Values) {
		if when(params) {
			params.Set("iss", params.Get("iss")+"/")
		}
	}))
}

// inAnswer adds a credential to the redirect URI of the answer.
func inAnswer(name, value string) Flaw {
	return at("AS-AUTHZ-NO-TOKEN-FRONT-CHANNEL", "url-has-"+name, "The address of the answer has "+name+".", "a redirect",
		toClient(func(_, params url.Values) {
			if params.Has("code") {
				params.Set(name, value)
			}
		}))
}
