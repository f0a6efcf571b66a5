package flaws

import (
	"net/http"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// limits are the flaws of limits of requests.
var limits = []Flaw{
	{"rate-unlimited", "The limiter is made anew for each request.", policy(func(p *mcpserver.Policy) { p.Unlimited = true }), []string{"RS-RATE-ENFORCED"}, []string{"RS-RATE-PER-AUTH-TYPE", "RS-RATE-CONCURRENCY"}},
	{"rate-of-another-kind", "Every credential gets the limit of the first kind.", policy(func(p *mcpserver.Policy) { p.OneLimit = 50 }), []string{"RS-RATE-PER-AUTH-TYPE"}, []string{"RS-RATE-ENFORCED", "RS-RATE-CONCURRENCY"}},
	{"rate-as-result", "The refusal is a JSON-RPC error in a 200.", policy(func(p *mcpserver.Policy) { p.LimitStatus = http.StatusOK }), []string{"RS-RATE-429"}, nil},
	{"rate-as-401", "The refusal is a 401, so that clients log in anew.", policy(func(p *mcpserver.Policy) { p.LimitStatus = http.StatusUnauthorized }), []string{"RS-RATE-429"}, []string{"RS-RATE-OTHER-OPERATIONS"}},
	{"rate-as-500", "The refusal is a crash.", policy(func(p *mcpserver.Policy) { p.LimitStatus = http.StatusInternalServerError }), []string{"RS-RATE-429"}, []string{"RS-RATE-OTHER-OPERATIONS"}},
	{"rate-retry-with-unit", "Retry-After has a unit.", policy(func(p *mcpserver.Policy) { p.RetryAfter = "1s" }), []string{"RS-RATE-RETRY-AFTER"}, nil},
	{"rate-no-retry", "Retry-After is missing.", policy(func(p *mcpserver.Policy) { p.RetryAfter = "" }), []string{"RS-RATE-RETRY-AFTER"}, nil},
	{"rate-for-ever", "Who reaches the limit is locked out for good.", policy(func(p *mcpserver.Policy) { p.LimitForEver = true }), []string{"RS-RATE-RECOVERS"}, nil},
	{"rate-by-forwarded-address", "X-Forwarded-For is what is counted by.", policy(func(p *mcpserver.Policy) {
		p.LimitKey = func(r *http.Request) string { return r.Header.Get("X-Forwarded-For") }
	}), []string{"RS-RATE-SPOOFED-ADDRESS"}, nil},
	{"rate-by-agent", "Each User-Agent has a quota of its own.", policy(func(p *mcpserver.Policy) {
		p.LimitKey = func(r *http.Request) string { return r.UserAgent() }
	}), []string{"RS-RATE-PER-PRINCIPAL"}, nil},
	{"rate-for-all", "Where one reaches the limit, all are refused.", policy(func(p *mcpserver.Policy) { p.LimitForAll = true }), []string{"RS-RATE-PER-PRINCIPAL"}, []string{"RS-RATE-BELOW-LIMIT"}},
	{"rate-races", "Counting reads first and writes later.", policy(func(p *mcpserver.Policy) { p.RacyLimit = true }), []string{"RS-RATE-CONCURRENCY"}, []string{"RS-RATE-ENFORCED", "RS-RATE-PER-AUTH-TYPE"}},
	{"rate-few-lists", "The list of prompts is too much.", policy(func(p *mcpserver.Policy) { p.FewLists = true }), []string{"RS-RATE-BELOW-LIMIT"}, nil},
}

// introspections are the flaws of a server that asks about opaque tokens.
var introspections = []Flaw{
	{"introspection-open", "Where nobody answers, everybody gets in.", policy(func(p *mcpserver.Policy) { p.IntrospectOpen = true }), []string{"RS-TOKEN-INTROSPECTION-FAIL-CLOSED"}, nil},
	{"introspection-truthy", "active may be anything but false.", policy(func(p *mcpserver.Policy) { p.IntrospectTruthy = true }), []string{"RS-TOKEN-INTROSPECTION-FAIL-CLOSED"}, nil},
	{"introspection-active-only", "Nothing but active is read.", policy(func(p *mcpserver.Policy) { p.IntrospectActiveOnly = true }), []string{"RS-TOKEN-INTROSPECTION-CLAIMS", "RS-AUD-OPAQUE"}, nil},
	{"introspection-kept", "An answer is kept for ever.", policy(func(p *mcpserver.Policy) { p.IntrospectCache = true }), []string{"RS-TOKEN-INTROSPECTION-CACHE"}, nil},
	{"introspection-by-query", "The token is asked about in the query.", policy(func(p *mcpserver.Policy) { p.IntrospectByQuery = true }), []string{"RS-TOKEN-INTROSPECTION-REQUEST"}, nil},
	{"introspection-passes-on", "The caller's cookies are passed on.", policy(func(p *mcpserver.Policy) { p.IntrospectPassesOn = true }), []string{"RS-TOKEN-INTROSPECTION-REQUEST"}, nil},
	{"rate-completions-unlimited", "Completion has no limit.", policy(func(p *mcpserver.Policy) { p.UnlimitedCompletion = true }), []string{"RS-RATE-OTHER-OPERATIONS"}, nil},
	{"rate-completions-crash", "Too many completions crash.", policy(func(p *mcpserver.Policy) { p.CompletionCrashes, p.UnlimitedCompletion = true, true }), []string{"RS-RATE-OTHER-OPERATIONS"}, nil},
	{"rate-remaining-grows", "What is announced as left is what was used.", policy(func(p *mcpserver.Policy) { p.RateHeaders = "growing" }), []string{"RS-RATE-HEADERS"}, nil},
	{"rate-garbled", "What is announced as left is no number.", policy(func(p *mcpserver.Policy) { p.RateHeaders = "garbled" }), []string{"RS-RATE-HEADERS"}, nil},
	{"rate-announced-as-of-old", "The limit is announced in the fields of old.", policy(func(p *mcpserver.Policy) { p.RateHeaders = "legacy" }), []string{"RS-RATE-HEADERS"}, nil},
}
