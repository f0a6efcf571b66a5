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
	assert.Less(t, len(passed.Response.Body), 1100, "of what only shows that something passed the beginning is enough")
	assert.True(t, passed.Response.Truncated)
	failed, _ := reports.Cited(whole).Run().Exchange(4)
	assert.Equal(t, long, failed.Response.Body)
	assert.Equal(t, long, whole.Run().Exchanges[2].Response.Body)
	assert.Len(t, whole.Run().Exchanges, 40, "the run itself is as it was")

	early := *whole.Run()
	early.Exchanges = reports.CitedOf(whole.Run())
	late := reports.Cited(reports.Redact(early, &reports.Secrets{}))
	assert.Equal(t, reports.Cited(whole), late, "leaving the others out early changes nothing")
	assert.Equal(t, long, early.Exchanges[0].Response.Body, "a secret is whole until it is removed")
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
