package reports_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

func TestAFindingSaysFirstWhatWasSent(t *testing.T) {
	const document = "https://mcp.example/.well-known/oauth-protected-resource/mcp"
	run := &reports.Run{Exchanges: []reports.Exchange{
		{Number: 1, Request: reports.Request{Method: "POST", URL: "https://mcp.example/a%2Fb?token=x"}},
		{Number: 2, Request: reports.Request{Method: "GET", URL: document}},
		{Number: 3, Request: reports.Request{Method: "GET", URL: "https://mcp.example?a=b"}},
	}}
	for _, c := range []struct {
		about    string
		exchange int
		want     string
	}{
		{"no token", 1, "sent: no token; came: HTTP 200; should be: a refusal"},
		{"", 1, "sent: POST /a%2Fb; came: HTTP 200; should be: a refusal"},
		{"", 3, "sent: GET https://mcp.example; came: HTTP 200; should be: a refusal"},
		{document, 2, "sent: GET " + document + "; came: HTTP 200; should be: a refusal"},
		{document, 1, "sent: " + document + "; came: HTTP 200; should be: a refusal"},
		{"", 0, "came: HTTP 200; should be: a refusal"},
		{"ten requests at once", 0, "sent: ten requests at once; came: HTTP 200; should be: a refusal"},
	} {
		f := reports.Finding{About: c.about, Observed: "HTTP 200", Expected: "a refusal", Exchange: c.exchange}
		assert.Equal(t, c.want, run.Said(&f).String())
	}
}

func TestAFindingAboutWhatWasLookedAtSaysWhatWasFound(t *testing.T) {
	run := &reports.Run{Exchanges: []reports.Exchange{{Number: 1, Request: reports.Request{Method: "GET", URL: "https://mcp.example/jwks"}}}}
	for about, want := range map[string]string{
		"the first key": "about: the first key; found: 512 bits; should be: 2048 bits",
		"":              "about: GET /jwks; found: 512 bits; should be: 2048 bits",
	} {
		f := reports.Finding{About: about, Looked: true, Observed: "512 bits", Expected: "2048 bits", Exchange: 1}
		assert.Equal(t, want, run.Said(&f).String())
	}
}

func TestAReasonSaysWhatWasSent(t *testing.T) {
	run := &reports.Run{Exchanges: []reports.Exchange{{Number: 1, Request: reports.Request{Method: "POST", URL: "https://mcp.example/mcp"}}}}
	res := &reports.Result{Findings: []reports.Finding{{Observed: "HTTP 200", Expected: "a refusal", Exchange: 1}}}
	for reason, want := range map[string]string{
		"came: HTTP 200; should be: a refusal; 2 findings in all": "sent: POST /mcp; came: HTTP 200; should be: a refusal; 2 findings in all",
		"it was not reached": "it was not reached",
	} {
		res.Reason = reason
		assert.Equal(t, want, run.Reason(res))
	}
}
