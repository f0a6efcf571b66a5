package flaws

import (
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// limits are the flaws of request limits.
var limits = []Flaw{
	{
		Name: "rate-unlimited", Says: "Each request gets a new limiter.",
		Bend: lacks(mcpserver.LimitRequests), Noticed: []string{"RS-RATE-ENFORCED"},
		Also: []string{"RS-RATE-PER-AUTH-TYPE", "RS-RATE-CONCURRENCY"},
	},
	{
		Name: "rate-of-another-kind", Says: "Every credential gets the limit of the first kind.",
		Bend: policy(func(p *mcpserver.Policy) { p.OneLimit = 50 }), Noticed: []string{"RS-RATE-PER-AUTH-TYPE"},
		Also: []string{"RS-RATE-ENFORCED", "RS-RATE-CONCURRENCY"},
	},
	{
		Name: "rate-as-result", Says: "The refusal is a JSON-RPC error in a 200.",
		Bend: policy(func(p *mcpserver.Policy) { p.LimitStatus = http.StatusOK }), Noticed: []string{"RS-RATE-429"},
	},
	{
		Name: "rate-as-401", Says: "The refusal is a 401, so that clients log in again.",
		Bend: policy(func(p *mcpserver.Policy) { p.LimitStatus = http.StatusUnauthorized }), Noticed: []string{"RS-RATE-429"},
		Also: []string{"RS-RATE-OTHER-OPERATIONS"},
	},
	{
		Name: "rate-as-500", Says: "The refusal is a crash.",
		Bend: policy(func(p *mcpserver.Policy) { p.LimitStatus = http.StatusInternalServerError }), Noticed: []string{"RS-RATE-429"},
		Also: []string{"RS-RATE-OTHER-OPERATIONS"},
	},
	{
		Name: "rate-retry-with-unit", Says: "Retry-After has a unit.",
		Bend: policy(func(p *mcpserver.Policy) { p.RetryAfter = "1s" }), Noticed: []string{"RS-RATE-RETRY-AFTER"},
	},
	{
		Name: "rate-no-retry", Says: "Retry-After is missing.",
		Bend: policy(func(p *mcpserver.Policy) { p.RetryAfter = "" }), Noticed: []string{"RS-RATE-RETRY-AFTER"},
	},
	{
		Name: "rate-for-ever", Says: "A caller who reaches the limit is refused for ever.",
		Bend: lacks(mcpserver.LimitEnds), Noticed: []string{"RS-RATE-RECOVERS"},
	},
	{
		Name: "rate-by-forwarded-address", Says: "Requests are counted by X-Forwarded-For.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.LimitKey = func(r *http.Request) string { return r.Header.Get("X-Forwarded-For") }
		}),
		Noticed: []string{"RS-RATE-SPOOFED-ADDRESS"},
	},
	{
		Name: "rate-by-agent", Says: "Each User-Agent has a quota of its own.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.LimitKey = func(r *http.Request) string { return r.UserAgent() }
		}),
		Noticed: []string{"RS-RATE-PER-PRINCIPAL"},
	},
	{
		Name: "rate-for-all", Says: "When one caller reaches the limit, all are refused.",
		Bend: lacks(mcpserver.LimitPerCaller), Noticed: []string{"RS-RATE-PER-PRINCIPAL"}, Also: []string{"RS-RATE-BELOW-LIMIT"},
	},
	{
		Name: "rate-races", Says: "The counter is read and written without a lock.",
		Bend: lacks(mcpserver.AtomicLimit), Noticed: []string{"RS-RATE-CONCURRENCY"},
		Also: []string{"RS-RATE-ENFORCED", "RS-RATE-PER-AUTH-TYPE"},
	},
	{
		Name: "rate-few-lists", Says: "The list of prompts reaches the limit.",
		Bend: lacks(mcpserver.ListsAreCheap), Noticed: []string{"RS-RATE-BELOW-LIMIT"},
	},
}

// introspections are the flaws of a server that introspects opaque tokens.
var introspections = []Flaw{
	{
		Name: "introspection-open", Says: "While the introspection endpoint does not answer, every token is accepted.",
		Bend: lacks(mcpserver.IntrospectFailClosed), Noticed: []string{"RS-TOKEN-INTROSPECTION-FAIL-CLOSED"},
	},
	{
		Name: "introspection-crash", Says: "Where introspection fails, the caller is answered HTTP 500.",
		Bend: func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.IntrospectNoCrash)
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() {
						if recover() != nil {
							w.WriteHeader(http.StatusInternalServerError)
						}
					}()
					next.ServeHTTP(w, r)
				})
			}
		},
		Noticed: []string{"RS-TOKEN-INTROSPECTION-FAIL-CLOSED"},
	},
	{
		Name: "introspection-stale", Says: "While introspection fails, the last good answer about a token counts.",
		Bend: lacks(mcpserver.IntrospectNoStale), Noticed: []string{"RS-TOKEN-INTROSPECTION-FAIL-CLOSED"},
		Row: "the connection is closed, about a token that was active and has ended",
	},
	{
		Name: "introspection-truthy", Says: "Every value of active but false is accepted.",
		Bend: lacks(mcpserver.ActiveIsTrue), Noticed: []string{"RS-TOKEN-INTROSPECTION-FAIL-CLOSED"},
	},
	{
		Name: "introspection-active-only", Says: "Of the introspection answer, only active is read.",
		Bend: lacks(mcpserver.IntrospectClaims), Noticed: []string{"RS-TOKEN-INTROSPECTION-CLAIMS", "RS-AUD-OPAQUE"},
	},
	introspected("audience-by-its-beginning", "aud is compared by its beginning", "RS-AUD-OPAQUE", func(c map[string]any) bool {
		aud, _ := c["aud"].(string)
		return strings.HasSuffix(aud, "/mcp.evil.example") || strings.HasSuffix(aud, "/mcp-sibling")
	}, "for a resource with more at the end", "for a path with the same beginning"),
	introspected("audience-as-beginning", "a beginning of this server's identifier is its audience", "RS-AUD-OPAQUE",
		func(c map[string]any) bool { aud, _ := c["aud"].(string); return strings.HasSuffix(aud, "/mc") },
		"for the resource without its last character"),
	introspected("audience-of-a-list", "in a list, aud is compared by its beginning", "RS-AUD-OPAQUE", func(c map[string]any) bool {
		list, _ := c["aud"].([]any)
		return len(list) == 1
	}, "for a list with more at the end"),
	introspected("issuer-by-its-beginning", "iss is compared by its beginning", "RS-TOKEN-INTROSPECTION-CLAIMS",
		func(c map[string]any) bool {
			iss, _ := c["iss"].(string)
			return strings.HasSuffix(iss, ".evil.example")
		},
		"of an issuer with more at the end"),
	{
		Name: "introspection-kept", Says: "An answer is kept for ever.",
		Bend: lacks(mcpserver.IntrospectAgain), Noticed: []string{"RS-TOKEN-INTROSPECTION-CACHE"},
	},
	{
		Name: "introspection-by-query", Says: "The introspection request has the token in the query.",
		Bend: lacks(mcpserver.IntrospectByPost), Noticed: []string{"RS-TOKEN-INTROSPECTION-REQUEST"},
	},
	{
		Name: "introspection-passes-on", Says: "The caller's cookies are passed on.",
		Bend: lacks(mcpserver.IntrospectAlone), Noticed: []string{"RS-TOKEN-INTROSPECTION-REQUEST"},
	},
	{
		Name: "rate-completions-unlimited", Says: "Completion has no limit.",
		Bend: lacks(mcpserver.LimitCompletion), Noticed: []string{"RS-RATE-OTHER-OPERATIONS"},
	},
	{
		Name: "rate-completions-crash", Says: "Too many completions crash.",
		Bend: lacks(mcpserver.SurviveCompletions, mcpserver.LimitCompletion), Noticed: []string{"RS-RATE-OTHER-OPERATIONS"},
	},
	{
		Name: "rate-completions-forbidden", Says: "At the limit, completions are answered HTTP 403.", Row: "after many completions",
		Bend:    policy(func(p *mcpserver.Policy) { p.LimitStatus = http.StatusForbidden }),
		Noticed: []string{"RS-RATE-OTHER-OPERATIONS"}, Also: []string{"RS-RATE-*"},
	},
	{
		Name: "rate-remaining-grows", Says: "The remaining quota in the answer is the used one.",
		Bend: policy(func(p *mcpserver.Policy) { p.RateHeaders = "growing" }), Noticed: []string{"RS-RATE-HEADERS"},
	},
	{
		Name: "rate-garbled", Says: "The remaining quota in the answer is not a number.",
		Bend: policy(func(p *mcpserver.Policy) { p.RateHeaders = "garbled" }), Noticed: []string{"RS-RATE-HEADERS"},
	},
	{
		Name: "rate-announced-as-of-old", Says: "The limit is announced in the X-RateLimit fields.",
		Bend: policy(func(p *mcpserver.Policy) { p.RateHeaders = "legacy" }), Noticed: []string{"RS-RATE-HEADERS"},
	},
}

// introspected accepts some introspection answers whatever their audience and issuer.
func introspected(name, says, noticed string, takes func(claims map[string]any) bool, rows ...string) Flaw {
	return Flaw{
		Name: "introspection-" + name, Says: "Of the introspection answer, " + says + ".", Rows: rows, Noticed: []string{noticed},
		Bend: policy(func(p *mcpserver.Policy) { p.TakesAnswer = takes }),
	}
}
