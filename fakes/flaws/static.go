package flaws

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// static are the flaws of static tokens and API keys.
var static = []Flaw{
	{
		Name: "static-forgotten", Says: "One of the tokens is not loaded.",
		Bend:    policy(func(p *mcpserver.Policy) { p.StaticForgotten = "the reader token" }),
		Noticed: []string{"RS-STATIC-TOKEN-ACCEPTED"},
	},
	{
		Name: "static-prefix", Says: "The beginning of a token is enough.",
		Bend: lacks(mcpserver.WholeStatic), Noticed: []string{"RS-STATIC-TOKEN-NEAR-MISS"}, Also: []string{"RS-APIKEY-REJECTED"},
	},
	{
		Name: "static-all-rights", Says: "The list of tools of a token is not enforced.",
		Bend: lacks(mcpserver.StaticTools), Noticed: []string{"RS-STATIC-TOKEN-PERMISSIONS"},
	},
	{
		Name: "static-guessable", Says: "Tokens and keys are consecutive numbers.",
		Bend: func(o *reference.Options) {
			o.Static = []mcpserver.Static{
				{Name: "the service token", Value: "team-secret-100001", User: "one"},
				{Name: "the reader token", Value: "team-secret-100002", User: "two", Tools: []string{"whoami"}},
				{Name: "the service key", Value: "team-secret-100003", User: "three", Header: mcpserver.KeyHeader},
				{Name: "the reader key", Value: "team-secret-100004", User: "four", Header: mcpserver.KeyHeader, Tools: []string{"read_*"}},
			}
		},
		Noticed: []string{"RS-STATIC-ENTROPY"},
	},
	{
		Name: "static-for-ever", Says: "A withdrawn token is still accepted.",
		Bend: lacks(mcpserver.WithdrawnDies), Noticed: []string{"RS-STATIC-EXPIRY-REVOCATION"}, Also: []string{"RS-CHALLENGE-EXISTING-TOOLS"},
	},
	{
		Name: "key-at-handshake", Says: "A key is accepted at the first request only.",
		Bend: lacks(mcpserver.KeyPerRequest), Noticed: []string{"RS-APIKEY-ACCEPTED"}, Also: []string{"RS-APIKEY-TOOL-PERMISSIONS"},
	},
	{
		Name: "key-in-query", Says: "A key in the query is accepted.",
		Bend: lacks(mcpserver.NoQueryKey), Noticed: []string{"RS-APIKEY-REJECTED"},
	},
	{
		Name: "key-crash", Says: "A key that is not ASCII crashes the comparison.",
		Bend: lacks(mcpserver.SurviveOddKeys), Noticed: []string{"RS-APIKEY-REJECTED"},
	},
	{
		Name: "key-any-case", Says: "The comparison of keys ignores letter case.",
		Bend: lacks(mcpserver.KeyCase), Noticed: []string{"RS-APIKEY-REJECTED"},
	},
	{
		Name: "key-as-bearer", Says: "A key is accepted as a bearer token.",
		Bend: lacks(mcpserver.KeyIsNoBearer), Noticed: []string{"RS-APIKEY-REJECTED", "RS-MULTI-NO-FALLTHROUGH"},
	},
	{
		Name: "key-all-rights", Says: "A key without a list may call every tool, and its list is not found.",
		Bend: lacks(mcpserver.KeyTools), Noticed: []string{"RS-APIKEY-TOOL-PERMISSIONS"},
	},
	{
		Name: "key-names-are-paths", Says: "A key's prefix is compared before the name is resolved.",
		Bend: lacks(mcpserver.ToolNames), Noticed: []string{"RS-APIKEY-WILDCARDS"},
	},
	{
		Name: "key-without-user", Says: "The caller with a key is treated as the last caller with a token.",
		Bend: lacks(mcpserver.KeyUser), Noticed: []string{"RS-MULTI-EACH-ALONE"},
		Also: []string{"RS-APIKEY-ACCEPTED", "RS-APIKEY-TOOL-PERMISSIONS"},
	},
	{
		Name: "token-as-key", Says: "A token in the field of the key is accepted.",
		Bend: lacks(mcpserver.TokenIsNoKey), Noticed: []string{"RS-MULTI-NO-FALLTHROUGH"},
	},
	{
		Name: "first-of-two", Says: "Of a key and a token, one good one is enough.",
		Bend: lacks(mcpserver.BothCredentials), Noticed: []string{"RS-MULTI-CONFLICT"},
	},
	{
		Name: "rights-are-added", Says: "The rights of a key and a token are added.",
		Bend: lacks(mcpserver.NoAddedRights), Noticed: []string{"RS-MULTI-CONFLICT"},
	},
	{
		Name: "sample-key", Says: "A key from a tutorial is accepted.",
		Bend: func(o *reference.Options) {
			sample := mcpserver.Static{Name: "sample", Value: "key-123", User: "sample", Header: mcpserver.KeyHeader}
			o.Static = append(reference.Credentials(), sample)
		},
		Noticed: []string{"RS-STATIC-DEFAULT-CREDENTIALS"}, Row: "in X-API-Key", Also: []string{"RS-STATIC-ENTROPY"},
	},
	falls("token", "garbage as the bearer token, alone", func(h http.Header) bool {
		return h.Get("Authorization") == "Bearer garbage" && h.Get(mcpserver.KeyHeader) == "" && h.Get("X-Auth-Type") == ""
	}),
	falls("key", "garbage as the key, alone", func(h http.Header) bool {
		return h.Get(mcpserver.KeyHeader) == "garbage" && h.Get("Authorization") == ""
	}),
	falls("unsigned", "an unsigned token that names the key", func(h http.Header) bool {
		_, token, _ := strings.Cut(h.Get("Authorization"), " ")
		return strings.HasPrefix(token, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none`))) && strings.HasSuffix(token, ".")
	}),
	falls("both", "garbage in both", func(h http.Header) bool {
		return h.Get(mcpserver.KeyHeader) == "garbage" && h.Get("Authorization") == "Bearer garbage"
	}),
	falls("access-token", "the access token with its end changed, alone", func(h http.Header) bool {
		token := h.Get("Authorization")
		return strings.HasPrefix(token, "Bearer eyJ") && strings.HasSuffix(token, "AAAAAAAAAAAA") && h.Get(mcpserver.KeyHeader) == ""
	}),
	falls("access-token-as-key", "the access token as the key", func(h http.Header) bool {
		return strings.HasPrefix(h.Get(mcpserver.KeyHeader), "eyJ")
	}),
	falls("type", "garbage, with the type said to be api_key", func(h http.Header) bool { return h.Get("X-Auth-Type") != "" }),
}

// falls returns the flaw of a server that treats the bearer of some bad credentials as another user.
func falls(name, row string, bad func(h http.Header) bool) Flaw {
	return Flaw{
		Name: "falls-through-" + name, Says: "A bad credential is accepted as another user: " + row + ".",
		Bend: func(o *reference.Options) {
			o.Static = reference.Credentials()
			other := o.Static[0]
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if bad(r.Header) {
					r.Header.Del(mcpserver.KeyHeader)
					r.Header.Set("Authorization", "Bearer "+other.Value)
				}
				return false
			})
		},
		Noticed: []string{"RS-MULTI-NO-FALLTHROUGH"}, Row: row,
		Also: []string{"RS-TOKEN-*", "RS-CHALLENGE-*", "RS-APIKEY-*", "RS-MULTI-*", "RS-DPOP-PROOF", "RS-EXT-*"},
	}
}
