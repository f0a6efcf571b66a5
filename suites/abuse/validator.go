package abuse

import (
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Bounds for a target whose validator hangs: how long it may keep others waiting, and the caller itself.
const (
	others = time.Second
	itself = 12 * time.Second
)

// hanging is how many requests wait for the validator at once.
const hanging = 4

func validator() {
	Practice("RS-ABUSE-VALIDATION-LATENCY", func(t *T) {
		t.Mint.OpaqueControl()
		var slow []wire.Request
		for range hanging {
			a := t.Mint.ActiveAnswer(nil)
			a.Delay = itself + 2*time.Second
			slow = append(slow, t.MCP.Call().With(mcp.Bearer(t.Mint.OpaqueToken(a).Value)).Request())
		}
		quick := map[string]wire.Request{"a request without a token": t.MCP.Call().Request()}
		if d := t.Survey.Resource(); d != nil {
			quick["the protected resource metadata"] = wire.Request{Method: "GET", URL: d.URL, Header: []reports.Field{mcp.Field("Accept", "application/json")}}
		}
		for _, ex := range t.Meanwhile(slow, func() {
			for about, r := range Sorted(quick) {
				if ex := t.IgnoringLimits(r); took(ex) > others {
					t.Finding(ex, about+", while introspection hangs", "an answer within "+others.String(), "it took "+took(ex).Round(time.Millisecond).String())
				}
			}
		}) {
			switch {
			case t.MCP.Served(ex):
				t.Finding(ex, "a token of which nobody says anything", "a refusal", "it is served")
			case ex.Response == nil:
				t.Advise(ex, "HTTP 401 or 503 within "+itself.String()+" where introspection hangs", "no answer")
			default:
				t.Refused()
			}
		}
	})
}

func took(ex *reports.Exchange) time.Duration {
	return time.Duration(float64(ex.Duration) * float64(time.Millisecond))
}
