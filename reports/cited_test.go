package reports_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
)

// Exchanges that verdicts cite, or rest on otherwise, stay.
func TestCited(t *testing.T) {
	var run reports.Run
	run.Target.URL = "https://mcp.example.com/mcp"
	for n := 1; n <= 40; n++ {
		run.Exchanges = append(run.Exchanges, reports.Exchange{Number: n,
			Request: reports.Request{Method: "GET", URL: "https://mcp.example.com/other"}})
	}
	run.Exchanges[39].Request = reports.Request{Method: "POST", URL: run.Target.URL} // a step of the flow
	basis := &reports.Basis{}
	run.Results = []reports.Result{
		{ID: "A", Verdict: reports.Pass, Evidence: []int{1, 2, 3}, Controls: []int{1}},
		{ID: "B", Verdict: reports.Fail, Evidence: []int{4, 5, 6, 7, 8, 9, 10}, Controls: []int{5}, Findings: []reports.Finding{{Exchange: 4}}},
		{ID: "C", Verdict: reports.Inconclusive, Evidence: []int{11, 12, 13, 14, 15, 16}},
		{ID: "D", Verdict: reports.Pass, Evidence: []int{20, 21}, Basis: basis},
		{ID: "E", Verdict: reports.NotTested},
	}
	long := strings.Repeat("long ", 1000)
	run.Exchanges[2].Response, run.Exchanges[3].Response = &reports.Response{Body: long}, &reports.Response{Body: long}
	whole := reports.Redact(run, &reports.Secrets{})
	var kept []int
	for _, e := range reports.Cited(whole).Run().Exchanges {
		kept = append(kept, e.Number)
	}
	assert.Equal(t, []int{3, 4, 5, 7, 8, 9, 10, 13, 14, 15, 16, 20, 21, 40}, kept)
	passed, _ := reports.Cited(whole).Run().Exchange(3)
	assert.Less(t, len(passed.Response.Body), 1100, "the body of an exchange that only supports a PASS is not shortened")
	assert.True(t, passed.Response.Truncated)
	failed, _ := reports.Cited(whole).Run().Exchange(4)
	assert.Equal(t, long, failed.Response.Body)
	assert.Equal(t, long, whole.Run().Exchanges[2].Response.Body)
	assert.Len(t, whole.Run().Exchanges, 40, "the run itself has changed")

	early := *whole.Run()
	early.Exchanges = reports.CitedOf(whole.Run())
	late := reports.Cited(reports.Redact(early, &reports.Secrets{}))
	assert.Equal(t, reports.Cited(whole), late, "leaving the other exchanges out early gives another result")
	assert.Equal(t, long, early.Exchanges[0].Response.Body, "a secret is cut before it is removed")
}

// What is kept of each check, whichever ends first, is all that is kept of the run in the end.
func TestCiting(t *testing.T) {
	target := "https://mcp.example.com/mcp?tenant=1"
	exchange := func(n int, method, address, body string, status int) *reports.Exchange {
		return &reports.Exchange{Number: n, Request: reports.Request{Method: method, URL: address, Body: body},
			Response: &reports.Response{Status: status, Body: body}}
	}
	metadata := `{"authorization_endpoint":"https://as.example.com/a","token_endpoint":"https://as.example.com/t"}`
	code, refresh := "grant_type=authorization_code", "grant_type=refresh_token"
	all := []*reports.Exchange{
		exchange(1, "POST", "https://mcp.example.com/mcp", "{}", 401), exchange(2, "POST", target, "{}", 401),
		exchange(3, "GET", "https://as.example.com/.well-known/oauth-authorization-server", "{}", 200),
		exchange(4, "GET", "https://as.example.com/.well-known/oauth-authorization-server", metadata, 200),
		exchange(5, "GET", "https://as.example.com/a?state=1", "", 400), exchange(6, "GET", "https://as.example.com/a?state=2", "", 302),
		exchange(7, "POST", "https://as.example.com/t", code, 400), exchange(8, "POST", "https://as.example.com/t", code, 200),
		exchange(9, "POST", "https://as.example.com/t", refresh, 400), exchange(10, "POST", "https://as.example.com/t", refresh, 200),
		exchange(11, "POST", target, "{}", 401), exchange(12, "POST", target, "{}", 401), exchange(13, "POST", target, "{}", 401),
	}
	of := [][]*reports.Exchange{all[10:13], slices.Concat(all[6:10], all[:1]), slices.Concat(all[:6], all[7:11])} // the checks
	results := []reports.Result{{ID: "A", Verdict: reports.Pass}, {ID: "B", Verdict: reports.Fail, Controls: []int{7}}, {ID: "C"}}
	run := reports.Run{Target: reports.Target{URL: target}}
	for i := range results {
		for _, e := range of[i] {
			results[i].Evidence = append(results[i].Evidence, e.Number)
		}
	}
	run.Results = results
	for _, e := range all {
		run.Exchanges = append(run.Exchanges, *e)
	}
	want := reports.CitedOf(&run)
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		citing, kept := &reports.Citing{Target: target}, map[int]bool{}
		for _, i := range order {
			for _, e := range citing.Of(results[i:i+1], of[i]) {
				kept[e.Number] = true
			}
		}
		early := run
		early.Exchanges = slices.DeleteFunc(slices.Clone(run.Exchanges), func(e reports.Exchange) bool { return !kept[e.Number] })
		assert.Less(t, len(early.Exchanges), len(run.Exchanges))
		assert.Equal(t, want, reports.CitedOf(&early), order)
	}
}

// After a merge of shards, the numbers of omitted exchanges do not refer to others.
func TestMergedNumbersStayApart(t *testing.T) {
	part := func(i int, id string, evidence []int, kept int) reports.Redacted {
		run := reports.Run{Shard: &reports.Shard{Index: i, Count: 2}, Exchanges: []reports.Exchange{{Number: kept}},
			Results: []reports.Result{{ID: id, Evidence: evidence, Controls: evidence[:1]}}}
		return reports.Redact(run, &reports.Secrets{})
	}
	whole, err := reports.Merge([]reports.Redacted{part(1, "A", []int{2, 9}, 2), part(2, "B", []int{1, 3}, 3)}, []string{"A", "B"})
	require.NoError(t, err)
	assert.Equal(t, []int{2, 9}, whole.Run().Results[0].Evidence)
	assert.Equal(t, []int{10, 12}, whole.Run().Results[1].Evidence)
	assert.Equal(t, []int{10}, whole.Run().Results[1].Controls)
	_, ok := whole.Run().Exchange(12)
	assert.True(t, ok)
}

// Laid-out JSON has short objects and lists of numbers on one line, and the same value.
func TestJSONIsLaidOut(t *testing.T) {
	value := map[string]any{
		"short": map[string]any{"a": []any{1.0, "}],:{"}, "b": `\"\\`}, "empty": map[string]any{}, "none": nil, "text": strings.Repeat(`,"`, 150),
		"list":    []any{},
		"numbers": slices.Repeat([]any{1.0}, 300), "long": []any{strings.Repeat("x", 900), map[string]any{"y": strings.Repeat("[", 900)}},
	}
	var b bytes.Buffer
	require.NoError(t, reports.WriteJSON(&b, value, " "))
	var again map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &again))
	assert.Equal(t, value, again)
	assert.Contains(t, b.String(), "\n \"short\": {\"a\":[1,\"}],:{\"]")
	assert.Contains(t, b.String(), "\n \"numbers\": [1,1,1")
	assert.Contains(t, b.String(), "\n  {\n   \"y\": \"[[[")
}
