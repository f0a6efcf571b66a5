package flaws

import "github.com/mcpauth/conformance/fakes/mcpserver"

// passing are flaws of what a server hands on to the APIs that its tools call, and from them.
var passing = []Flaw{
	{"passes-token", "The caller's token goes to the API.", policy(func(p *mcpserver.Policy) { p.PassesToken = true }), []string{"RS-PASS-NO-TRANSIT"}, []string{"RS-PASS-URL-TOOL-NO-LEAK"}},
	{"passes-headers", "The caller's header fields go to the API.", policy(func(p *mcpserver.Policy) { p.PassesHeaders = true }), []string{"RS-PASS-NO-HEADER-FORWARDING"}, nil},
	{"key-for-any-url", "The key for the API goes to whatever address a caller names.", policy(func(p *mcpserver.Policy) { p.KeyForAnyURL = true }), []string{"RS-PASS-URL-TOOL-NO-LEAK"}, nil},
	{"relays-status", "What the API refuses is refused to the caller in the same words.", policy(func(p *mcpserver.Policy) { p.RelaysStatus = true }), []string{"RS-PASS-UPSTREAM-401-NOT-RELAYED"}, nil},
	{"shows-request", "An error shows the request to the API, with its key.", policy(func(p *mcpserver.Policy) { p.ShowsRequest = true }), []string{"RS-PASS-UPSTREAM-SECRET-HIDDEN"}, nil},
	{"takes-foreign-tokens", "Who has a token of the API gets in.", policy(func(p *mcpserver.Policy) { p.TakesForeign = true }), []string{"RS-PASS-FOREIGN-TOKEN-REFUSED"}, []string{"RS-TOKEN-*", "RS-CHALLENGE-*", "RS-AUD-*", "RS-STATIC-*", "RS-APIKEY-*", "RS-MULTI-*", "RS-SESSION-*", "RS-ABUSE-*", "RS-SCOPE-*", "RS-TRANSPORT-*"}},
}
