package flaws

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// wholeTables are servers without one defence, each of which turns one row of a table. No finding names a row whose request has a second
// fault: TestEveryFlawIsNoticed reports that.
var wholeTables = []Flaw{
	follows(overlooked(mcpserver.Signature, "RS-TOKEN-SIG-STRIPPED", "RS-TOKEN-KEY-CONFUSION", "RS-TOKEN-UNKNOWN-KID",
		"RS-TOKEN-KID-INJECTION", "RS-TOKEN-EMBEDDED-JWK", "RS-TOKEN-JKU-X5U", "RS-TOKEN-CRIT-UNKNOWN", "RS-TOKEN-WEAK-SECRET",
		"RS-TOKEN-ECDSA-EDGE", "RS-TOKEN-HMAC-MODE", "RS-TOKEN-ISS-KEY-BINDING"),
		"RS-CHALLENGE-EXISTING-TOOLS", "RS-CHALLENGE-MALFORMED-400", "RS-EXT-EMA-IDJAG-REFUSED", "RS-TOKEN-*"),
	overlooked(mcpserver.Issuer, "RS-TOKEN-WRONG-ISS", "RS-EXT-CC-TOKEN", "RS-TOKEN-TENANT-CONFUSION", "RS-TOKEN-HMAC-MODE"),
	follows(overlooked(mcpserver.Audience, "RS-AUD-LOOKALIKE", "RS-AUD-ARRAY", "RS-AUD-MISSING", "RS-TOKEN-HMAC-MODE"),
		"RS-AUD-NORMALISATION", "RS-AUD-OTHER-CLAIM", "RS-AUD-SIBLING", "RS-AUD-WRONG", "RS-EXT-CC-TOKEN", "RS-EXT-EMA-IDJAG-REFUSED"),
	follows(overlooked(mcpserver.Expiry, "RS-TOKEN-NUMERIC-DATES", "RS-EXT-CC-TOKEN", "RS-TOKEN-HMAC-MODE"),
		"RS-CHALLENGE-EXISTING-TOOLS", "RS-DPOP-PROOF", "RS-MULTI-NO-FALLTHROUGH", "RS-TOKEN-CLOCK-SKEW", "RS-TOKEN-EXP-MISSING",
		"RS-TOKEN-EXPIRED", "RS-TOKEN-NBF"),

	tokenAnywhere("query", func(r *http.Request) string { return r.URL.RawQuery },
		"RS-TOKEN-QUERY-IGNORED", "RS-TOKEN-DUPLICATE-CREDENTIALS"),
	tokenAnywhere("body", func(r *http.Request) string { return string(answer.Peek(r)) }, "RS-TOKEN-BODY-IGNORED"),
	tokenAnywhere("cookie", func(r *http.Request) string { return r.Header.Get("Cookie") },
		"RS-TOKEN-COOKIE-IGNORED", "RS-TOKEN-DUPLICATE-CREDENTIALS"),
	follows(tokenAnywhere("field", func(r *http.Request) string {
		return strings.Join(slices.Concat(r.Header["Authorization"], r.Header["X-Authorization"], r.Header["Proxy-Authorization"]), " ")
	}, "RS-TOKEN-WRONG-SCHEME", "RS-TOKEN-DUPLICATE-CREDENTIALS", "RS-TOKEN-SYNTAX-BYTES"),
		"RS-CHALLENGE-MALFORMED-400", "RS-TOKEN-GARBAGE", "RS-TOKEN-NONCANONICAL-ENCODING"),

	{
		Name: "scope-of-first-word", Says: "Of the scope, only the name before the first space is used.",
		Bend: scopesOf(func(claim any) []string {
			text, _ := claim.(string)
			return strings.Split(text, " ")[:1]
		}),
		Noticed: []string{"RS-SCOPE-STRING-OR-ARRAY"}, Row: "among others", Also: []string{"RS-SCOPE-*", "RS-EXT-*"},
	},
	scopeOfAnyPrefix("slash", "/", func(scope string) string { return scope[strings.LastIndex(scope, "/")+1:] }),
	scopeOfAnyPrefix("colon", ":", func(scope string) string { return scope[strings.Index(scope, ":")+1:] }),
	{
		Name: "scope-of-any-words", Says: "Scopes are searched for in the claim as text, whatever its type is.",
		Bend: scopesOf(func(claim any) []string {
			text := fmt.Sprint(claim)
			decoded, err := url.QueryUnescape(text)
			if err != nil {
				decoded = text
			}
			return scopeWords.FindAllString(decoded, -1)
		}),
		Noticed: []string{"RS-SCOPE-STRING-OR-ARRAY"}, Row: "a semicolon", Also: []string{"RS-SCOPE-*"},
	},
	{
		Name: "scope-of-any-tool", Says: "A scope for one tool is enough for all.", Bend: scopesOf(func(claim any) []string {
			text, _ := claim.(string)
			words := strings.Fields(text)
			if lower := strings.ToLower(text); strings.Contains(lower, "mcp:tool") || strings.Contains(lower, "mcp:*") {
				words = append(words, "mcp:tool:*")
			}
			return words
		}),
		Noticed: []string{"RS-SCOPE-TOOL-NAMING"}, Row: "mcp:tool:", Also: []string{"RS-SCOPE-*"},
	},

	tablesFlaw("session-found-nearly", "A session is found by an id that resembles its own.", "RS-SESSION-UNKNOWN-ID",
		func(p *mcpserver.Policy) { p.TakesSession = resembles }),
	inRows(tablesFlaw("events-of-everybody", "A stream that is resumed brings the events of everybody.", "RS-SESSION-EVENT-ISOLATION",
		func(p *mcpserver.Policy) { p.ReplaysAll = func(string) bool { return true } }),
		"another user, with the id of an event", "another user, with the id before that of an event",
		"another user, with the id after that of an event", "another user, with Last-Event-ID *"),
	follows(tablesFlaw("user-found-nearly", "The owner of a name that resembles another name, or is a pattern of it, is treated as its user.",
		"RS-SCOPE-OBJECT-OWNERSHIP", func(p *mcpserver.Policy) { p.UserOf = resembling("alice") }),
		"RS-SCOPE-OTHER-PRIMITIVES", "RS-SESSION-BOUND-TO-USER"),
	follows(tablesFlaw("user-of-profile-claims", "The user is the name in a claim of the profile, if there is one.",
		"RS-SCOPE-OBJECT-OWNERSHIP",
		func(p *mcpserver.Policy) {
			p.UserClaims = []string{"email", "preferred_username", "name", "nickname", "upn", "unique_name", "act"}
		}), "RS-SCOPE-OTHER-PRIMITIVES", "RS-SESSION-BOUND-TO-USER"),
	tablesFlaw("handle-nearly", "A handle is found by one that resembles it.", "RS-SESSION-HANDLE-OWNERSHIP",
		func(p *mcpserver.Policy) { p.TakesHandle = resembles }),
	tablesFlaw("task-nearly", "A task is found by an id that resembles its own.", "RS-SESSION-TASK-OWNERSHIP",
		func(p *mcpserver.Policy) { p.TakesTask = resembles }),
	tablesFlaw("state-seal-any", "The signature of a request state is not verified.", "RS-SESSION-REQUESTSTATE-INTEGRITY",
		func(p *mcpserver.Policy) { p.TakesSeal = func(_, _ string) bool { return true } }),
	follows(tablesFlaw("state-of-any-content", "A request state of the usual length is good.", "RS-SESSION-REQUESTSTATE-INTEGRITY",
		func(p *mcpserver.Policy) { p.TakesState = func(sent string) bool { return len(sent) > 60 } }), "RS-SESSION-REQUESTSTATE-BINDING"),
	{
		Name: "body-read-loosely", Says: "A message that can be read in two ways runs a tool without a check of its scope.",
		Noticed: []string{"RS-SCOPE-BODY-AMBIGUITY"}, Also: []string{"RS-APIKEY-TOOL-PERMISSIONS", "RS-APIKEY-WILDCARDS",
			"RS-STATIC-TOKEN-PERMISSIONS", "RS-TRANSPORT-HEADER-MISMATCH"},
		Bend: func(o *reference.Options) {
			lacks(mcpserver.CheckHeaders)(o)
			o.Policy.ForgetsScope = func(r *http.Request, _ map[string]any) bool { return r.Header.Get("X-Read-Loosely") != "" }
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if body, odd := readLoosely(string(answer.Peek(r))); odd {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
					r.Header.Set("X-Read-Loosely", "yes")
				}
				return false
			})
		},
	},
	follows(tablesFlaw("introspection-inactive", "A token is accepted whatever introspection answers.", "RS-TOKEN-INTROSPECTION-FAIL-CLOSED",
		func(p *mcpserver.Policy) { p.Lacks = append(p.Lacks, mcpserver.LookAtActive) }),
		"RS-APIKEY-REJECTED", "RS-CHALLENGE-*", "RS-MULTI-NO-FALLTHROUGH", "RS-PASS-FOREIGN-TOKEN-REFUSED", "RS-SESSION-HANDLE-OWNERSHIP",
		"RS-SESSION-HEADER-IGNORED", "RS-SESSION-NOT-AUTHENTICATION", "RS-SESSION-STREAM-NEEDS-TOKEN", "RS-STATIC-DEFAULT-CREDENTIALS",
		"RS-STATIC-EXPIRY-REVOCATION", "RS-STATIC-TOKEN-NEAR-MISS", "RS-TOKEN-DUPLICATE-CREDENTIALS", "RS-TOKEN-FORMAT-CONFUSION",
		"RS-TOKEN-GARBAGE", "RS-TOKEN-INTROSPECTION-CACHE", "RS-TOKEN-OVERSIZED", "RS-TOKEN-SYNTAX-BYTES", "RS-TOKEN-WRONG-SCHEME",
		"RS-TRANSPORT-CONNECTION-IDENTITY"),
	tablesFlaw("verify-fails-open", "While the verification endpoint fails, every token is accepted.", "RS-TOKEN-REMOTE-VERIFY",
		func(p *mcpserver.Policy) { p.Lacks = append(p.Lacks, mcpserver.VerifyFailClosed) }),
	{
		Name: "claims-in-fields", Says: "Claims are written into header fields as they are.", Row: "line breaks in sub",
		Noticed: []string{"RS-ABUSE-HEADER-INJECTION"}, Also: []string{"RS-TOKEN-CLAIM-ROBUSTNESS"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				v := r.Header.Get("Authorization")
				if _, field, ok := strings.Cut(claimOf(v, "sub"), "\r\n"); ok {
					name, value, _ := strings.Cut(field, ":")
					w.Header().Set(name, strings.TrimSpace(value))
				}
				scope := claimOf(v, "scope")
				if strings.Contains(scope, `"`) {
					w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+scope+`"`)
					w.WriteHeader(http.StatusForbidden)
				}
				return strings.Contains(scope, `"`)
			})
		},
	},
	crashingOn("claims-crash", "A claim of an odd form crashes the server.", "RS-TOKEN-CLAIM-ROBUSTNESS",
		func(fields []string) bool {
			return len(fields) == 1 && oddClaims(strings.TrimPrefix(fields[0], "Bearer "))
		}),

	standsFor("serialization-flattened", "RS-TOKEN-FORMAT-CONFUSION", "a flattened JSON serialization", func(v string) bool {
		return decodesTo(`"protected"`)(v) && !decodesTo(`"signatures"`)(v)
	}),
	standsFor("serialization-general", "RS-TOKEN-FORMAT-CONFUSION", "a general JSON serialization", decodesTo(`"signatures"`)),
	standsFor("payload-detached", "RS-TOKEN-FORMAT-CONFUSION", "a detached payload", func(v string) bool {
		return strings.HasPrefix(v, "Bearer eyJ") && strings.Count(v, ".") == 2 && strings.Contains(v, "..")
	}),
	standsFor("around-unsigned", "RS-TOKEN-FORMAT-CONFUSION", "a JWS around an unsigned JWT", func(v string) bool {
		parts := strings.Split(v, ".")
		b, _ := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
		return strings.HasPrefix(string(b), `{"jwt":`)
	}),
	standsFor("paseto", "RS-TOKEN-FORMAT-CONFUSION", "a PASETO", func(v string) bool {
		return regexp.MustCompile(`^Bearer v\d\.(public|local)\.`).MatchString(v)
	}),
	standsFor("dot-in-front", "RS-TOKEN-NONCANONICAL-ENCODING", "a dot in front", func(v string) bool {
		return strings.HasPrefix(v, "Bearer .")
	}),
	{
		Name: "typ-exact", Says: "typ of a token must be spelled at+jwt.", Row: "typ AT+JWT",
		Noticed: []string{"RS-TOKEN-TYP"}, Also: []string{"RS-TOKEN-*"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				head, _, _ := strings.Cut(token, ".")
				b, _ := base64.RawURLEncoding.DecodeString(head)
				if text := string(b); strings.Contains(text, `"AT+JWT"`) || strings.Contains(text, `"application/at+jwt"`) {
					r.Header.Set("Authorization", "Bearer garbage")
				}
				return false
			})
		},
	},
	standsFor("two-segments", "RS-TOKEN-SIG-STRIPPED", "the third segment left out", func(v string) bool {
		return strings.HasPrefix(v, "Bearer eyJ") && strings.Count(v, ".") == 1
	}),
	{
		Name: "keys-of-any-issuer", Says: "A token is verified with the keys of whatever issuer it names.", Row: "iss",
		Noticed: []string{"RS-TOKEN-JKU-X5U"},
		Also:    []string{"RS-CHALLENGE-EXISTING-TOOLS", "RS-CHALLENGE-MALFORMED-400", "RS-EXT-EMA-IDJAG-REFUSED", "RS-TOKEN-*"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(_ *http.Request, of string, claims map[string]any) bool {
				iss, _ := claims["iss"].(string)
				return (of == mcpserver.Issuer || of == mcpserver.Signature) && strings.HasPrefix(iss, "http://127.0.0.1:")
			}
		}),
	},
	{
		Name: "tenant-of-any-path", Says: "Of issuer and audience, only the host is compared.",
		Row:     "another tenant by its path, and its audience",
		Noticed: []string{"RS-TOKEN-TENANT-CONFUSION"},
		Also:    []string{"RS-AUD-*", "RS-EXT-CC-TOKEN", "RS-EXT-EMA-IDJAG-REFUSED", "RS-TOKEN-HMAC-MODE", "RS-TOKEN-WRONG-ISS"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(_ *http.Request, of string, claims map[string]any) bool {
				iss, _ := claims["iss"].(string)
				return (of == mcpserver.Issuer || of == mcpserver.Audience) && strings.HasPrefix(iss, "http://127.0.0.1:")
			}
		}),
	},
	{
		Name: "audience-before-expiry", Says: "An expired token for another audience is answered 403.", Row: "expired, and for another audience",
		Noticed: []string{"RS-TOKEN-EXPIRED"}, Also: []string{"RS-TOKEN-FORMAT-CONFUSION"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				v := r.Header.Get("Authorization")
				userinfo := strings.HasSuffix(r.URL.Path, "/userinfo")
				refused := !userinfo && strings.Count(v, ".") == 2 && expired(v) && !strings.Contains(claimOf(v, "aud"), r.Host)
				if refused {
					w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
					w.WriteHeader(http.StatusForbidden)
				}
				return refused
			})
		},
	},
	standsFor("bytes-beyond-ascii", "RS-TOKEN-SYNTAX-BYTES", "ü in UTF-8", func(v string) bool {
		return strings.ContainsFunc(v, func(r rune) bool { return r > 0x7f })
	}),
	{
		Name: "handle-without-token", Says: "A caller with a handle needs no good token.", Row: "a handle with a bad token",
		Noticed: []string{"RS-SESSION-HANDLE-OWNERSHIP"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.Lacks = append(p.Lacks, mcpserver.HandleOwner)
			p.Opens = holds(`"cart_`)
		}),
	},
	large("body-large-crashes", func(body []byte) bool { return len(body) > 200<<10 }),
	{
		Name: "screens-too-much", Says: "Words and signs of ordinary texts are refused in arguments.", Row: "a less-than sign",
		Bend:    policy(func(p *mcpserver.Policy) { p.Screens = []string{"eval", "<"} }),
		Noticed: []string{"RS-ABUSE-INPUT-SCREENING"}, Also: []string{"RS-ABUSE-*"},
	},
	unversioned(opensFor("versions", "RS-TRANSPORT-VERSION-HEADER", "2025-11-25, without credentials",
		func(r *http.Request, _ []byte) bool { return len(r.Header.Values("MCP-Protocol-Version")) > 0 })),
	tablesFlaw("rate-by-fields", "Requests are counted by other header fields.", "RS-RATE-SPOOFED-ADDRESS", func(p *mcpserver.Policy) {
		p.LimitKey = func(r *http.Request) string {
			return r.Header.Get("Forwarded") + r.Header.Get("X-Real-IP") + r.Header.Get("CF-Connecting-IP") + r.Header.Get("True-Client-IP") +
				r.Header.Get("X-Client-IP")
		}
	}),
	tablesFlaw("rate-by-name", "The limit counts for each name that a client gives itself.",
		"RS-RATE-PER-PRINCIPAL", func(p *mcpserver.Policy) {
			p.LimitKey = func(r *http.Request) string {
				return r.Header.Get("X-Client-Id") + r.Header.Get("X-User-Id")
			}
		}),
	{
		Name: "metadata-for-no-agent", Says: "A bot rule refuses the metadata to most clients, and to every caller with a bad token.",
		Noticed: []string{"RS-DISC-UNAUTHENTICATED"}, Row: "User-Agent: curl/8",
		Bend: func(o *reference.Options) {
			o.Wrap = forNoAgent(func(path string) bool { return strings.HasPrefix(path, wellKnownResource) })
		},
	},
	{
		Name: "host-followed", Says: "Discovery data follows any Host.", Row: "Host, the document at ",
		Bend: lacks(mcpserver.FixedHost, mcpserver.CheckHost), Noticed: []string{"RS-DISC-HOST-HEADER"},
		Also: []string{"RS-TRANSPORT-HOST-REBINDING"},
	},
	scopeChallenged("bare", "RS-CHALLENGE-BEARER-PARAMS", "Bearer"),
	scopeChallenged("repeated", "RS-CHALLENGE-UNIQUE-PARAMS", `Bearer scope="notes:write", scope="notes:write"`),
	scopeChallenged("beyond-ascii", "RS-CHALLENGE-PARAM-CHARSETS", `Bearer error="insufficient_scope", error_description="a\"b"`),
	scopeChallenged("mixed-up", "RS-CHALLENGE-MULTI-SCHEME",
		`Basic realm="mcp", resource_metadata="https://mcp.example.com/", Bearer error="insufficient_scope"`),
	challenged("bare-for-bad", "RS-CHALLENGE-BEARER-PARAMS", "a garbage token", "invalid", "Bearer"),
	challenged("without-error-for-bad", "RS-CHALLENGE-INVALID-TOKEN-ERROR", "the old token", "invalid", `Bearer realm="mcp"`),
	challenged("unquoted-for-bad", "RS-CHALLENGE-GRAMMAR", "a garbage token", "invalid", `Bearer error_description=not good`),
	follows(crashingOn("malformed-crashes", "A malformed Authorization field crashes the server.", "RS-CHALLENGE-MALFORMED-400",
		func(fields []string) bool {
			return len(fields) > 0 && len(strings.Fields(strings.Join(fields, " "))) != 2
		}), "RS-CHALLENGE-NO-5XX"),
	refusalsWith("internals", "Every refusal shows where in the program it happened.", "RS-CHALLENGE-BODY-HYGIENE",
		func(w http.ResponseWriter) { fmt.Fprint(w, "Traceback (most recent call last)") }, "RS-TRANSPORT-HEADER-MISMATCH"),
	crashShowing("Traceback (most recent call last)"),
	refusalsWith("nothing", "No refusal has a challenge.", "RS-CHALLENGE-401-WWW-AUTHENTICATE", nil,
		"RS-CHALLENGE-RESOURCE-METADATA", "RS-CHALLENGE-STEP-UP-AUTHN", "RS-SCOPE-403-CHALLENGE", "RS-SCOPE-403-SCOPES"),
}

var (
	firstOfTwoNames = regexp.MustCompile(`"name":("[^"]*"),"name":"[^"]*"`)
	nameInCapitals  = regexp.MustCompile(`"name":"[^"]*","Name":("[^"]*")`)
	lastOfNames     = regexp.MustCompile(`"name":\["[^"]*",("[^"]*")\]`)
	looseName       = regexp.MustCompile(`"name":"([A-Za-z_]+) ?"`)
)

// readLoosely returns the message that a lenient parser finds in a body, and whether the body is malformed.
func readLoosely(body string) (message string, odd bool) {
	if !strings.Contains(body, `"tools/call"`) {
		return body, false
	}
	message = strings.TrimPrefix(body, "\ufeff")
	if strings.Count(message, `"jsonrpc"`) == 1 {
		message = strings.Trim(message, "[]")
	}
	if _, second, found := strings.Cut(message, "}{"); found {
		message = "{" + second
	}
	for _, name := range []*regexp.Regexp{firstOfTwoNames, nameInCapitals, lastOfNames} {
		message = name.ReplaceAllString(message, `"name":$1`)
	}
	message = looseName.ReplaceAllStringFunc(message, func(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "") })
	return message, message != body || strings.Contains(body, `"tools/list","method"`)
}

// large crashes on long bodies sent without a token.
func large(name string, when func(body []byte) bool) Flaw {
	f := crash("large", "bytes without a token", func(_ *http.Request, body []byte) bool { return when(body) })
	f.Name, f.Noticed = name, []string{"RS-ABUSE-BODY-LIMIT"}
	f.Also = append(f.Also, "RS-CHALLENGE-*")
	return f
}

// claimOf returns a string claim of the JWT in an Authorization field.
func claimOf(field, name string) string {
	parts := strings.Split(field, ".")
	b, _ := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	var claims map[string]any
	_ = json.Unmarshal(b, &claims) // nothing for another kind of token
	text, _ := claims[name].(string)
	return text
}

// crashingOn returns the flaw of a server that answers 500 to some Authorization fields.
func crashingOn(name, says, noticed string, on func(fields []string) bool) Flaw {
	return Flaw{
		Name: name, Says: says, Noticed: []string{noticed},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				crashes := on(r.Header.Values("Authorization"))
				if crashes {
					http.Error(w, "internal error", http.StatusInternalServerError)
				}
				return crashes
			})
		},
	}
}

// crashShowing returns the flaw of a server error that shows a text to everyone with a token that is not a JWT.
func crashShowing(text string) Flaw {
	opaque := func(v string) bool { return strings.HasPrefix(v, "Bearer ") && !strings.Contains(v, ".") }
	return Flaw{
		Name: "refusal-crash-shows-internals", Says: "A garbage token is answered 500, with where in the program it happened.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				crashes := credential(opaque)(r)
				if crashes {
					http.Error(w, text, http.StatusInternalServerError)
				}
				return crashes
			})
		},
		Noticed: []string{"RS-CHALLENGE-BODY-HYGIENE", "RS-CHALLENGE-NO-5XX"}, Also: []string{"RS-APIKEY-REJECTED", "RS-TOKEN-OVERSIZED"},
	}
}

// unversioned changes a flaw so that the server does not compare versions either.
func unversioned(f Flaw) Flaw {
	// every client names a version
	f.Also = append(f.Also, "RS-ABUSE-INPUT-SCREENING", "RS-AUD-*", "RS-CHALLENGE-*", "RS-DPOP-*", "RS-ELICIT-*", "RS-MULTI-*", "RS-SESSION-*",
		"RS-TOKEN-*", "RS-TRANSPORT-*")
	f.Bend = all(f.Bend, lacks(mcpserver.CheckVersion))
	return f
}

// decodesTo matches credentials that are JSON in base64url and contain a text.
func decodesTo(text string) func(credential string) bool {
	return func(v string) bool {
		b, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(v, "Bearer "))
		return strings.HasPrefix(string(b), "{") && strings.Contains(string(b), text)
	}
}

// scopeChallenged sends another challenge with refusals for a missing scope.
func scopeChallenged(name, noticed, field string) Flaw {
	return Flaw{
		Name: "scope-challenge-" + name, Says: "The challenge for a missing scope is not as others are: " + name + ".",
		Noticed: []string{noticed}, Row: "a token without the scope", Also: []string{"RS-SCOPE-*", "RS-CHALLENGE-*"},
		Bend: policy(func(p *mcpserver.Policy) { p.ScopeChallenge = func(_, _ string) string { return field } }),
	}
}

// challenged sends another challenge for one cause of a refusal.
func challenged(name, noticed, row, cause, field string) Flaw {
	return Flaw{
		Name: "challenge-" + name, Says: "The challenge for a bad token is not as the first one: " + name + ".",
		Noticed: []string{noticed}, Row: row,
		Also: []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-CHALLENGE-RESOURCE-METADATA"},
		Bend: challenge(func(of, url string) []string {
			if of == cause {
				return []string{field}
			}
			return always(`Bearer resource_metadata="{url}", scope="notes:read"`)(of, url)
		}),
	}
}

// scopeOfAnyPrefix accepts a scope with any prefix, as if that were the server's own.
func scopeOfAnyPrefix(name, mark string, without func(scope string) string) Flaw {
	return Flaw{
		Name: "scope-of-any-prefix-" + name, Says: "A scope also counts without its prefix, whatever that is: up to " + mark + ".",
		Row: "after another prefix and a " + name, Noticed: []string{"RS-SCOPE-NO-SUBSTRING"}, Also: []string{"RS-SCOPE-*"},
		Bend: scopesOf(func(claim any) []string {
			text, _ := claim.(string)
			words := strings.Fields(text)
			for _, word := range words {
				words = append(words, without(word))
			}
			return words
		}),
	}
}

// scopesOf reads the scopes of a token from its claim in another way.
func scopesOf(read func(claim any) []string) func(o *reference.Options) {
	return policy(func(p *mcpserver.Policy) {
		p.ScopesOf = func(claims map[string]any) []string { return read(claims["scope"]) }
	})
}

var scopeWords = regexp.MustCompile(`[a-z]+(:[a-z_]+)+`)

func tablesFlaw(name, says, noticed string, bend func(p *mcpserver.Policy)) Flaw {
	return Flaw{Name: name, Says: says, Bend: policy(bend), Noticed: []string{noticed}}
}

// overlooked returns the flaw of a server that does not check one part of a token.
func overlooked(part string, noticed ...string) Flaw {
	return Flaw{
		Name: "overlooked-" + part, Says: "This of a token is not verified: " + part + ".", Noticed: noticed,
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(_ *http.Request, of string, _ map[string]any) bool { return of == part }
		}),
	}
}

// tokenAnywhere returns the flaw of a server that accepts a JWT from a place that is not for tokens.
func tokenAnywhere(place string, in func(r *http.Request) string, noticed ...string) Flaw {
	return Flaw{
		Name: "token-anywhere-in-" + place, Says: "A token is found anywhere in the " + place + ".", Noticed: noticed,
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if token := aJWT.FindString(in(r)); token != "" && ofServer(r) {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				return false
			})
		},
	}
}

// ofServer reports whether a request is for the MCP server, and not for the authorization server beside it.
func ofServer(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/mcp") }

var aJWT = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)

// resembles reports whether one of two values is a near miss of the other.
func resembles(right, sent string) bool {
	if len(right) < 2 {
		return false
	}
	beginning, wild := strings.CutSuffix(strings.TrimSuffix(sent, "%")+strings.Repeat("*", strings.Count(sent, "%")), "*")
	differ := 0
	for i := range min(len(right), len(sent)) {
		if right[i] != sent[i] {
			differ++
		}
	}
	return wild && strings.HasPrefix(right, beginning) || len(sent) == len(right) && differ <= 1 ||
		sent != "" && (right[1:] == sent || sent[1:] == right || right[:len(right)-1] == sent || sent[:len(sent)-1] == right) ||
		swapCase(right) == sent
}

// oddClaims reports whether the claims of a token have a form that no ordinary token has.
func oddClaims(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if json.Unmarshal(b, &claims) != nil {
		return false
	}
	text := func(name string) string { s, _ := claims[name].(string); return s }
	_, isNumber := claims["scope"].(float64)
	return isNumber || len(claims) > 100 || strings.ContainsAny(text("sub"), "/\\<>{}\x00\r\n$") ||
		strings.ContainsAny(text("client_id"), "\r\n") ||
		claims["__proto__"] != nil || claims["constructor"] != nil || strings.Contains(string(b), "[[[[")
}

// refusalsWith changes every refusal: it writes a text into the body, or removes the challenge.
func refusalsWith(name, says, noticed string, body func(w http.ResponseWriter), also ...string) Flaw {
	return Flaw{
		Name: "refusals-with-" + name, Says: says, Noticed: []string{noticed}, Also: also,
		Bend: func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if ofServer(r) {
						w = &spoiling{ResponseWriter: w, body: body}
					}
					next.ServeHTTP(w, r)
				})
			}
		},
	}
}

type spoiling struct {
	http.ResponseWriter
	body func(w http.ResponseWriter)
}

// Unwrap gives access to the Flusher.
func (w *spoiling) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *spoiling) WriteHeader(status int) {
	refused := status >= 400 && status < 500
	if refused && w.body == nil {
		w.Header().Del("WWW-Authenticate")
	}
	w.ResponseWriter.WriteHeader(status)
	if refused && w.body != nil {
		w.body(w.ResponseWriter)
	}
}

// forNoAgent refuses what is at a path to most clients, and to every caller with a token.
func forNoAgent(at func(path string) bool) func(http.Handler) http.Handler {
	return before(func(w http.ResponseWriter, r *http.Request) bool {
		agent := r.UserAgent()
		refused := at(r.URL.Path) && (r.Header.Get("Authorization") != "" ||
			agent == "" || slices.ContainsFunc([]string{"curl/", "Mozilla/", "python-httpx/", "Claude-User/"},
			func(beginning string) bool { return strings.HasPrefix(agent, beginning) }))
		if refused {
			http.Error(w, "forbidden", http.StatusForbidden)
		}
		return refused
	})
}

// resembling reads a subject that resembles a name, is a part of it or a pattern of it as that name.
func resembling(name string) func(subject string) string {
	return func(subject string) string {
		text := strings.NewReplacer("\u0435", "e", "*", "", "%", "").Replace(strings.ToLower(halfWidth(subject)))
		if strings.Contains(name, text) {
			return name
		}
		return subject
	}
}

// halfWidth returns a text with ordinary characters for full-width ones.
func halfWidth(text string) string {
	return strings.Map(func(c rune) rune {
		if c > 0xff00 && c < 0xff5f {
			return c - 0xfee0
		}
		return c
	}, text)
}
