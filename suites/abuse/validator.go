package abuse

import (
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Bounds for a target whose validator hangs: how long other callers may wait, and how long the caller itself.
const (
	others = time.Second
	itself = 12 * time.Second
)

// hanging is how many requests wait for the validator at once.
const hanging = 4

func validator() { Practice("RS-ABUSE-VALIDATION-LATENCY", staysResponsive) }

func staysResponsive(t *T) {
	t.Mint.OpaqueControl()
	var slow []wire.Request
	for range hanging {
		a := t.Mint.ActiveAnswer(nil)
		a.Delay = itself + 2*time.Second
		slow = append(slow, t.MCP.Call().With(mcp.Bearer(t.Mint.OpaqueToken(a).Value)).Request())
	}
	rows := Cases[wire.Request]{{"a request without a token", t.MCP.Call().Request()}}
	if d := t.Survey.Resource(); d != nil {
		get := wire.Request{Method: "GET", URL: d.URL, Header: []reports.Field{mcp.Field("Accept", "application/json")}}
		rows = rows.And("the protected resource metadata", get)
	}
	soon := beSoon(AtItsPace(t, others))
	answers := t.Meanwhile(slow, func() {
		Each(t, rows, func(t *T, r wire.Request) { t.Expect(t.IgnoringLimits(r), "while introspection hangs").To(soon) })
	})
	for _, ex := range answers {
		if t.Expect(ex, "a token about which introspection says nothing").To(notBeServed(t)) {
			t.Expect(ex, "a token about which introspection says nothing").Ideally(answerInTime(AtItsPace(t, itself)))
		}
	}
}

var notBeServed = expect.Family("notBeServed", func(t *T) expect.Matcher {
	return expect.That("a refusal", func(ex *reports.Exchange) string {
		if t.MCP.Served(ex) {
			return "the request is served"
		}
		return ""
	})
})

var answerInTime = expect.Family("answerInTime", func(within time.Duration) expect.Matcher {
	expected := "HTTP 4xx or 503 within " + within.Round(time.Second).String() + " where introspection hangs"
	return expect.That(expected, func(ex *reports.Exchange) string {
		switch s := expect.Status(ex); {
		case s == 0, s >= 500 && s != 503:
			return expect.Describe(ex)
		case took(ex) > within:
			return expect.Describe(ex) + " after " + took(ex).Round(time.Second).String()
		}
		return ""
	})
})

func took(ex *reports.Exchange) time.Duration {
	return time.Duration(float64(ex.Duration) * float64(time.Millisecond))
}
