package flaws

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// weak is a comparison that is too weak, for one row of the tables of near misses.
type weak struct {
	name, row string
	same      func(good, sent string) bool
}

var weakComparisons = []weak{
	{"first-character", "the first character changed", allBut(func(string) int { return 0 })},
	{"middle-character", "the middle character changed", allBut(func(v string) int { return len(v) / 2 })},
	{"last-character", "the last character changed", allBut(func(v string) int { return len(v) - 1 })},
	{"beginning", "the last character left out", func(good, sent string) bool { return len(sent) > 8 && strings.HasPrefix(good, sent) }},
	{"end", "the first character left out", func(good, sent string) bool { return len(sent) > 8 && strings.HasSuffix(good, sent) }},
	{"continued", "one character more", func(good, sent string) bool { return strings.HasPrefix(sent, good) }},
	{"preceded", "one character before it", func(good, sent string) bool { return strings.HasSuffix(sent, good) }},
	{"letter-case", "upper and lower case swapped", strings.EqualFold},
}

// allBut compares values of the same length and ignores one character.
func allBut(at func(good string) int) func(good, sent string) bool {
	return func(good, sent string) bool {
		i := at(good)
		return i >= 0 && len(good) == len(sent) && good[:i] == sent[:i] && good[i+1:] == sent[i+1:]
	}
}

// refreshMatch returns a flaw of the comparison of refresh tokens.
func refreshMatch(name, row string, same func(issued, sent string) bool) Flaw {
	return Flaw{
		Name: "refresh-matches-" + name, Says: "A refresh token is accepted that nearly equals one: " + row + ".", Row: row,
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesRefresh = same }), Noticed: []string{"AS-REFRESH-INVALID"},
		Also: []string{"AS-TOKEN-ERROR-SHAPE", "AS-TOKEN-ERROR-NO-LEAK"},
	}
}

// secretMatch returns a flaw of the comparison of client secrets, which shows in every grant.
func secretMatch(name, row string, same func(right, sent, method string) bool) Flaw {
	return Flaw{
		Name: "secret-matches-" + name, Says: "A client secret is accepted that is not the client's: " + row + ".", Row: row,
		Bend:    behaviour(func(b *idp.Behaviour) { b.TakesSecret = same }),
		Noticed: []string{"AS-TOKEN-WRONG-SECRET", "AS-REFRESH-CONFIDENTIAL-AUTH"},
		Also: []string{
			"AS-CC-SECRET-FLOW", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-INTROSPECT-*", "AS-PAR-*", "AS-RATE-CLIENT-SECRET", "AS-REVOKE-*",
			"AS-TOKEN-*", "AS-TX-VALIDATION",
			"AS-LOGIN-NO-DEFAULT-CREDENTIALS", "AS-DCR-SECRET-WORKS",
		},
	}
}

// withJWTs makes refresh tokens JWTs. The flaw accepts forged ones.
func withJWTs(f Flaw) Flaw {
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		o.Behaviour.RefreshToken = func() string {
			payload := fmt.Sprintf(`{"jti":%q,"exp":%d}`, mcpserver.RandomID(), time.Now().Add(30*24*time.Hour).Unix())
			return encoded(`{"alg":"HS256","typ":"JWT"}`) + "." + encoded(payload) + "." + encoded(mcpserver.RandomID()+mcpserver.RandomID())
		}
	}
	return f
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// withoutSeal accepts the payload of a JWT under alg none.
func withoutSeal(issued, sent string) bool {
	a, b := strings.Split(issued, "."), strings.Split(sent, ".")
	return len(a) == 3 && len(b) == 3 && a[1] == b[1] && b[0] == encoded(`{"alg":"none"}`)
}

// withOldSeal accepts a JWT with a changed payload.
func withOldSeal(issued, sent string) bool {
	a, b := strings.Split(issued, "."), strings.Split(sent, ".")
	return len(a) == 3 && len(b) == 3 && a[0] == b[0] && a[2] == b[2] && jti(a[1]) != "" && jti(a[1]) == jti(b[1])
}

func jti(segment string) string {
	var claims struct {
		ID string `json:"jti"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.ID
}

// rowed returns the flaw of a missing defence that shows in one row.
func rowed(name, row string, d idp.Defence, noticed string, also ...string) Flaw {
	f := one(name, d, noticed, also...)
	f.Row = row
	return f
}

// widens returns the flaw of a refresh that adds scopes.
func widens(name, row string, adds func(granted, requested []string) bool) Flaw {
	return Flaw{
		Name: "refresh-widens-" + name, Says: "A refresh adds scope: " + row + ".", Row: row, Noticed: []string{"AS-REFRESH-SCOPE-WIDEN"},
		Bend: behaviour(func(b *idp.Behaviour) { b.Widens = adds }),
	}
}

// retargets returns the flaw of a refresh that yields a token for another resource.
func retargets(name, row string, takes func(resource string) bool) Flaw {
	return Flaw{
		Name: "refresh-retargets-" + name, Says: "A refresh brings a token for a resource that was not granted: " + row + ".", Row: row,
		Noticed: []string{"AS-REFRESH-RESOURCE"}, Bend: behaviour(func(b *idp.Behaviour) { b.Retargets = takes }), Also: []string{"AS-RES-*"},
	}
}

// derived makes refresh tokens that follow from the access token issued with them.
func derived(name, row string, from func(access string) string, also ...string) Flaw {
	return Flaw{
		Name: "refresh-token-" + name, Says: "The refresh token follows from the access token: " + row + ".", Row: row,
		Noticed: []string{"AS-REFRESH-RANDOM"}, Bend: behaviour(func(b *idp.Behaviour) { b.RefreshFrom = from }), Also: also,
	}
}

// sideDoor adds a second refresh endpoint that lacks a rule of the token endpoint.
func sideDoor(name, row string, lacking idp.Defence) Flaw {
	return Flaw{
		Name: "refresh-side-door-" + name, Says: "There is a second refresh endpoint, at which this does not hold: " + string(lacking) + ".",
		Row: row, Noticed: []string{"AS-REFRESH-SIDE-ENDPOINTS"}, Bend: lacks(idp.NoSideDoor, lacking),
	}
}

func matches(flaw func(name, row string, same func(good, sent string) bool) Flaw) (out []Flaw) {
	for _, w := range weakComparisons {
		out = append(out, flaw(w.name, w.row, w.same))
	}
	return out
}

// made accepts one value, whatever the server issued.
func made(is func(sent string) bool) func(issued, sent string) bool {
	return func(_, sent string) bool { return is(sent) }
}

// inherited is a flaw: values are looked up in a plain JavaScript object, which finds a member that every object has.
func inherited(sent string) bool {
	return sent == "constructor" || sent == "__proto__" || sent == "toString"
}

// ofEveryObject are the rows with such names.
var ofEveryObject = []string{"constructor, a member of every JavaScript object", "__proto__, a member of every JavaScript object",
	"toString, a member of every JavaScript object"}

// operated is a flaw: a parser makes an object of name[$regex], and the database evaluates it.
func operated(f Flaw, name string) Flaw {
	f.Bend = all(f.Bend, atEndpoint("/token", func(form url.Values, _ *http.Request) {
		if pattern := form.Get(name + "[$regex]"); pattern != "" {
			form.Set(name, pattern)
		}
	}))
	return f
}

// evaluated compares a value with a pattern.
func evaluated(good, sent string) bool {
	beginning, is := strings.CutPrefix(sent, "^")
	return is && strings.HasPrefix(good, strings.ReplaceAll(beginning, `\`, ""))
}

func never(sent string) bool { return strings.HasPrefix(sent, "mcpauth-") }

func adds(scope string) func(granted, requested []string) bool {
	return func(_, requested []string) bool { return slices.Contains(requested, scope) }
}

var bySecret = matches(func(name, row string, same func(good, sent string) bool) Flaw {
	return secretMatch(name, row, func(right, sent, _ string) bool { return same(right, sent) })
})

// refreshRows has one flaw for each row of the tables of token requests, refresh tokens and client secrets.
var refreshRows = slices.Concat(
	tokenRows,
	grantRows,
	matches(refreshMatch),
	[]Flaw{
		refreshMatch("made-up", "a refresh token that was never issued", made(never)),
		{
			Name: "refresh-unknown-error", Says: "A refresh token that was never issued gets the error invalid_request.",
			Row: "a refresh token that was never issued", Noticed: []string{"AS-REFRESH-INVALID"},
			Bend: tokenRefusing("invalid_request", func(r *tokenRequest) bool { return never(r.form.Get("refresh_token")) }),
		},
		refreshMatch("empty", "an empty refresh_token", made(func(sent string) bool { return sent == "" })),
		refreshMatch("absent", "no refresh_token", made(func(sent string) bool { return sent == idp.NotSent })),
		inRows(refreshMatch("inherited", "a member of every JavaScript object", made(inherited)), ofEveryObject...),
		operated(refreshMatch("operated", "refresh_token[$regex]", evaluated), "refresh_token"),
		withJWTs(refreshMatch("unsigned", "a JWT refresh token without a signature, alg none", withoutSeal)),
		withJWTs(refreshMatch("prolonged", "a JWT refresh token with a later exp", withOldSeal)),
	},
	bySecret,
	[]Flaw{
		secretMatch("absent", "client_id alone", func(_, _, method string) bool { return method == "none" }),
		secretMatch("empty-by-basic", "an empty secret by Basic", func(_, sent, method string) bool {
			return method == "client_secret_basic" && sent == ""
		}),
		operated(Flaw{
			Name: "secret-matches-operated", Says: "A client secret may be an operator of the database.", Row: "client_secret[$regex]",
			Bend: behaviour(func(b *idp.Behaviour) {
				b.TakesSecret = func(right, sent, _ string) bool { return evaluated(right, sent) }
			}),
			Noticed: []string{"AS-TOKEN-WRONG-SECRET"},
		}, "client_secret"),
		secretMatch("any-in-body", "a wrong secret in the body", func(_, sent, method string) bool {
			return method == "client_secret_post" && strings.HasPrefix(sent, "mcpauth-wrong-")
		}),
		secretMatch("any-by-basic", "a wrong secret by Basic", func(_, sent, method string) bool {
			return method == "client_secret_basic" && strings.HasPrefix(sent, "mcpauth-wrong-")
		}),
	},
	[]Flaw{
		{
			Name: "secret-of-any-client", Says: "The secret of any client is accepted.", Row: "another client's secret",
			Bend: lacks(idp.OwnSecret), Noticed: []string{"AS-TOKEN-WRONG-SECRET", "AS-REFRESH-CONFIDENTIAL-AUTH"},
			Also: []string{"AS-TOKEN-*", "AS-PAR-*", "AS-REVOKE-*", "AS-INTROSPECT-*", "AS-META-AUTH-METHODS-TRUE", "AS-CC-SECRET-FLOW",
				"AS-TX-VALIDATION"},
		},
		rowed("refresh-of-any-public-client", "used by another public client", idp.RefreshPublic, "AS-REFRESH-BOUND-CLIENT"),
		rowed("refresh-of-any-confidential-client", "used by a confidential client", idp.RefreshConfidential, "AS-REFRESH-BOUND-CLIENT"),
		rowed("refresh-names-no-client", "used without client_id", idp.RefreshNamed, "AS-REFRESH-BOUND-CLIENT",
			"AS-TOKEN-ERROR-SHAPE", "AS-REFRESH-CONFIDENTIAL-AUTH"),
		rowed("refresh-ended-by-anybody", "after an attempt of another", idp.RefreshUnharmed, "AS-REFRESH-BOUND-CLIENT"),
		rowed("refresh-for-another-client", "the client of a refreshed token", idp.SameClientOnRefresh, "AS-REFRESH-SAME-USER",
			"AS-REFRESH-*", "AS-INTROSPECT-*", "AS-REVOKE-*"),
		rowed("refresh-drops-resource", "no resource at refresh", idp.RefreshNoResource, "AS-REFRESH-RESOURCE", "AS-RES-*"),
		rowed("refresh-spreads-resource", "the same resource at refresh", idp.RefreshSameResource, "AS-REFRESH-RESOURCE", "AS-RES-*"),
		{
			Name: "refreshed-for-a-minute", Says: "expires_in of a refreshed access token is one minute.", Row: "a refresh",
			Bend:    behaviour(func(b *idp.Behaviour) { b.RefreshedSeconds = 60 }),
			Noticed: []string{"AS-REFRESH-NEW-ACCESS-TOKEN"},
		},
		{
			Name: "offline-access-refused", Says: "offline_access is advertised, and refused.", Row: "offline_access, which is advertised",
			Bend: lacks(idp.ObtainableScopes), Noticed: []string{"AS-REFRESH-CLIENT-CAPABILITY"},
			Also: []string{"AS-SCOPE-*", "RS-SCOPE-*", "AS-META-*", "RS-CHALLENGE-*", "AS-CONSENT-*"},
		},
		widens("by-some", "the granted scope and another", func(granted, requested []string) bool {
			return len(requested) > 1 && slices.ContainsFunc(requested, func(s string) bool { return slices.Contains(granted, s) })
		}),
		widens("by-known", "another scope", func(_, requested []string) bool {
			return len(requested) == 1 && strings.HasPrefix(requested[0], "notes:")
		}),
		widens("by-admin", "scope admin", adds("admin")),
		widens("by-unknown", "an unknown scope", adds("mcpauth:unknown")),
		retargets("sibling", "another resource at refresh", func(resource string) bool { return strings.HasPrefix(resource, "http://127.") }),
		alsoNoticed(retargets("anywhere", "a foreign resource at refresh", func(resource string) bool {
			return strings.Contains(resource, "attacker")
		}), "AS-RES-UNKNOWN-TARGET"),
		derived("is-a-hash", "the SHA-256 of the access token", func(access string) string {
			sum := sha256.Sum256([]byte(access))
			return hex.EncodeToString(sum[:])
		}),
		derived("is-the-access-token", "the refresh token equals the access token", func(access string) string { return access },
			"AS-INTROSPECT-REFRESH-TOKEN", "AS-TOKEN-TYPE-CONFUSION", "AS-TX-VALIDATION", "AS-USERINFO-TOKEN-STATE",
			"RS-TOKEN-REFRESH-OR-CODE"),
		sideDoor("mints", "with a made-up refresh token", idp.SideDoorKnows),
		sideDoor("for-anybody", "without a client", idp.SideDoorClient),
		sideDoor("for-ever", "with a used refresh token", idp.SideDoorRotates),
	},
)
