package flaws

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// nearCredentials are comparisons of tokens and keys that are too weak: those of every other value, and some more.
var nearCredentials = slices.Concat(weakComparisons, []weak{
	{"slash", "a slash more at the end", func(good, sent string) bool { return sent == good+"/" }},
	{"encoding", "a character percent-encoded", func(good, sent string) bool {
		return strings.Count(sent, "%") == 1 && unescaped(sent) == good
	}},
	{"look-alike", "a look-alike letter", inOneRune(0x400, 0x4ff)},
	{"full-width", "a full-width character", inOneRune(0xff00, 0xff5f)},
	{"zero-width-space", "a zero-width space at the end", func(good, sent string) bool { return sent == good+"\u200b" }},
	{"twice", "the value twice", func(good, sent string) bool { return sent == good+good }},
	{"comma", "the value twice, with a comma", func(good, sent string) bool { return sent == good+","+good }},
	{"space", "the value twice, with a space", func(good, sent string) bool { return sent == good+" "+good }},
	{"star", "* for its second half", func(good, sent string) bool { return sent == good[:len(good)/2]+"*" }},
	{"percent", "% for its second half", func(good, sent string) bool { return sent == good[:len(good)/2]+"%" }},
	{"star-alone", "* alone", func(_, sent string) bool { return sent == "*" }},
	{"half", "its first half", func(good, sent string) bool { return sent == good[:len(good)/2] }},
	{"quotes", "in quotes", func(good, sent string) bool { return sent == `"`+good+`"` }},
	{"base64", "in base64", func(good, sent string) bool { return sent == base64.StdEncoding.EncodeToString([]byte(good)) }},
	{"every-character-encoded", "URL-encoded, all of it", func(good, sent string) bool {
		return strings.Count(sent, "%") == len(good) && unescaped(sent) == good
	}},
})

// inOneRune compares values and ignores one character of a range.
func inOneRune(from, to rune) func(good, sent string) bool {
	return func(good, sent string) bool {
		i := strings.IndexFunc(sent, func(r rune) bool { return r >= from && r <= to })
		return i >= 0 && i < len(good) && good[:i] == sent[:i] && strings.HasSuffix(sent, good[i+1:])
	}
}

func unescaped(v string) string {
	out, _ := url.PathUnescape(v)
	return out
}

// credentialRows has one flaw for each row of the tables of static tokens and API keys.
var credentialRows = slices.Concat(keysElsewhere, comparedNearly(nearCredentials))

var keysElsewhere = []Flaw{
	keyTaken("unknown", "the key: unknown", func(sent string) bool { return sent == "invalid-key" }),
	keyTaken("default", "the name default", func(sent string) bool { return sent == "default" }),
	keyTaken("production", "the name production", func(sent string) bool { return sent == "production" }),
	inRows(keyTaken("inherited", "a member of every JavaScript object", inherited), ofEveryObject...),
	keyTaken("query", "a query for any", func(sent string) bool { return strings.Contains(sent, "$ne") }),
	standsFor("bearer-of-nothing", "RS-STATIC-TOKEN-NEAR-MISS", "an empty value", func(credential string) bool {
		return strings.TrimSpace(credential) == "Bearer"
	}),
	credentialTaken("samples-taken", "in Authorization", "RS-STATIC-DEFAULT-CREDENTIALS", func(_, sent string, _ bool) bool {
		return slices.Contains(samples, sent)
	}),
	keyTaken("empty", "an empty value", func(sent string) bool { return sent == "" }),
	keyElsewhere("query-apikey", "in the query, as apikey", func(r *http.Request) string { return r.URL.Query().Get("apikey") }),
	keyElsewhere("query-key", "in the query, as key", func(r *http.Request) string { return r.URL.Query().Get("key") }),
	keyElsewhere("query-by-name", "in the query, under the name of its field", func(r *http.Request) string {
		return r.URL.Query().Get(mcpserver.KeyHeader)
	}),
	keyElsewhere("second-field", "two X-API-Key fields", func(r *http.Request) string {
		return strings.Join(r.Header.Values(mcpserver.KeyHeader)[min(1, len(r.Header.Values(mcpserver.KeyHeader))):], "")
	}),
	credentialTaken("static-matches-user", "the name of its user", "RS-STATIC-TOKEN-NEAR-MISS",
		func(_, sent string, key bool) bool { return sent == "service" && !key }),
	falls("spoiled", "the bearer token with its end changed, alone", func(h http.Header) bool {
		return strings.HasSuffix(h.Get("Authorization"), "AAAAAAAAAAAA") && h.Get(mcpserver.KeyHeader) == ""
	}),
	falls("expired", "an expired token, alone", func(h http.Header) bool {
		_, token, _ := strings.Cut(h.Get("Authorization"), " ")
		return strings.Count(token, ".") == 2 && expired(token)
	}),
}

func comparedNearly(all []weak) (out []Flaw) {
	for _, w := range all {
		out = append(out,
			credentialTaken("key-matches-"+w.name, w.row, "RS-APIKEY-REJECTED", func(right, sent string, key bool) bool {
				return key && sent != right && w.same(right, sent)
			}),
			credentialTaken("static-matches-"+w.name, w.row, "RS-STATIC-TOKEN-NEAR-MISS", func(right, sent string, key bool) bool {
				return !key && sent != right && w.same(right, sent)
			}))
	}
	return out
}

func credentialTaken(name, row, noticed string, takes func(right, sent string, key bool) bool) Flaw {
	return Flaw{
		Name: name, Says: "Something that is not a credential is accepted: " + row + ".", Row: row, Noticed: []string{noticed},
		Bend: policy(func(p *mcpserver.Policy) { p.TakesStatic = takes }),
		Also: []string{"RS-STATIC-*", "RS-APIKEY-*", "RS-MULTI-*", "RS-TOKEN-*", "RS-CHALLENGE-*"},
	}
}

func keyTaken(name, row string, takes func(sent string) bool) Flaw {
	return credentialTaken("key-taken-"+name, row, "RS-APIKEY-REJECTED", func(_, sent string, key bool) bool { return key && takes(sent) })
}

// keyElsewhere returns the flaw of a server that also reads keys from another place.
func keyElsewhere(name, row string, found func(r *http.Request) string) Flaw {
	f := keyTaken(name, row, nil)
	f.Bend = func(o *reference.Options) {
		o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
			if key := found(r); key != "" {
				r.Header.Set(mcpserver.KeyHeader, key)
			}
			return false
		})
	}
	return f
}

// samples are example credentials of guides that people copy into production.
var samples = []string{
	"admin-token-123", "user-token-456", "readonly-token-789", "user123", "user456", "key-123", "sk-prod-1234567890abcdef",
	"sk-dev-abcdef1234567890", "sk-ro-fedcba0987654321", "your-secure-api-key-here", "your-bearer-token", "your-token-here",
	"test", "secret", "changeme",
}
