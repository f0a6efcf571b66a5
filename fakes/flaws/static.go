package flaws

import (
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// static are the flaws of static tokens and API keys.
var static = []Flaw{
	{"static-forgotten", "One of the tokens is not loaded.", policy(func(p *mcpserver.Policy) { p.StaticForgotten = "the reader token" }), []string{"RS-STATIC-TOKEN-ACCEPTED"}, nil},
	{"static-prefix", "A token's beginning is enough.", policy(func(p *mcpserver.Policy) { p.StaticPrefix = true }), []string{"RS-STATIC-TOKEN-NEAR-MISS"}, []string{"RS-APIKEY-REJECTED"}},
	{"static-all-rights", "A token's tools are only written down.", policy(func(p *mcpserver.Policy) { p.StaticAllRights = true }), []string{"RS-STATIC-TOKEN-PERMISSIONS"}, nil},
	{"static-guessable", "Tokens and keys are counted up.", func(o *reference.Options) {
		o.Static = []mcpserver.Static{
			{Name: "one", Value: "team-secret-100001", User: "one"}, {Name: "two", Value: "team-secret-100002", User: "two", Tools: []string{"whoami"}},
			{Name: "three", Value: "team-secret-100003", User: "three", Header: mcpserver.KeyHeader}, {Name: "four", Value: "team-secret-100004", User: "four", Header: mcpserver.KeyHeader, Tools: []string{"read_*"}},
		}
	}, []string{"RS-STATIC-ENTROPY"}, nil},
	{"static-for-ever", "A withdrawn token lives on.", policy(func(p *mcpserver.Policy) { p.WithdrawnLives = true }), []string{"RS-STATIC-EXPIRY-REVOCATION"}, nil},
	{"key-at-handshake", "A key counts at the first request only.", policy(func(p *mcpserver.Policy) { p.KeyAtHandshake = true }), []string{"RS-APIKEY-ACCEPTED"}, []string{"RS-APIKEY-TOOL-PERMISSIONS"}},
	{"key-in-query", "A key in the query counts.", policy(func(p *mcpserver.Policy) { p.KeyInQuery = true }), []string{"RS-APIKEY-REJECTED"}, nil},
	{"key-crash", "A key that is not ASCII crashes the comparison.", policy(func(p *mcpserver.Policy) { p.KeyCrash = true }), []string{"RS-APIKEY-REJECTED"}, nil},
	{"key-any-case", "Keys are compared without case.", policy(func(p *mcpserver.Policy) { p.KeyAnyCase = true }), []string{"RS-APIKEY-REJECTED"}, nil},
	{"key-as-bearer", "A key counts as a bearer token.", policy(func(p *mcpserver.Policy) { p.KeyAsBearer = true }), []string{"RS-APIKEY-REJECTED", "RS-MULTI-NO-FALLTHROUGH"}, nil},
	{"key-all-rights", "A key without a list may do everything, and the list is not found.", policy(func(p *mcpserver.Policy) { p.KeyAllRights = true }), []string{"RS-APIKEY-TOOL-PERMISSIONS"}, nil},
	{"key-names-are-paths", "A key's prefix is compared before the name is resolved.", policy(func(p *mcpserver.Policy) { p.NamesArePaths = true }), []string{"RS-APIKEY-WILDCARDS"}, nil},
	{"key-without-user", "The bearer of a key is taken for the last one who came with a token.", policy(func(p *mcpserver.Policy) { p.KeyWithoutUser = true }), []string{"RS-MULTI-EACH-ALONE"}, []string{"RS-APIKEY-ACCEPTED", "RS-APIKEY-TOOL-PERMISSIONS"}},
	{"token-as-key", "A token in the key's field counts.", policy(func(p *mcpserver.Policy) { p.TokenAsKey = true }), []string{"RS-MULTI-NO-FALLTHROUGH"}, nil},
	{"first-of-two", "Of a key and a token either may be good.", policy(func(p *mcpserver.Policy) { p.FirstOfTwo = true }), []string{"RS-MULTI-CONFLICT"}, nil},
	{"rights-are-added", "The rights of a key and a token are added.", policy(func(p *mcpserver.Policy) { p.AddsRights = true }), []string{"RS-MULTI-CONFLICT"}, nil},
}
