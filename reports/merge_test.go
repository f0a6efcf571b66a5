package reports_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
)

func part(index, count int, secret string) reports.Redacted {
	secrets := &reports.Secrets{}
	secrets.Add("access_token", secret)
	return reports.Redact(reports.Run{
		Tool: reports.Tool{Name: "mcpauth", Version: "1"}, Target: reports.Target{URL: "https://mcp.example.com/mcp"}, Catalogue: "c",
		Requests: 5, Duration: 10,
		Started: time.Unix(int64(1000-index), 0), Shard: &reports.Shard{Index: index, Count: count},
		Discovered: []reports.Fact{{Name: "tools", Value: "a"}},
		Results: []reports.Result{{ID: string(rune('A' + index)), Verdict: reports.Fail, Reason: "it shows " + secret, Evidence: []int{7},
			Headline: "begin with " + secret, Observation: "exchange 7: GET https://x/ is answered with HTTP 404",
			Findings: []reports.Finding{{Exchange: 7, Observed: secret}}}},
		Exchanges: []reports.Exchange{{Number: 7, Request: reports.Request{URL: "https://x/?t=" + secret},
			Response: &reports.Response{Body: secret}}},
	}, secrets)
}

func TestMergeKeepsShardsApart(t *testing.T) {
	merged, err := reports.Merge([]reports.Redacted{part(2, 2, "secret-of-the-second"), part(1, 2, "secret-of-the-first")}, []string{"B", "C"})
	require.NoError(t, err)
	run := merged.Run()
	require.Len(t, run.Results, 2)
	assert.Equal(t, "B", run.Results[0].ID, "the results are not in the order of the catalogue")
	assert.Equal(t, 10, run.Requests)
	assert.Equal(t, time.Unix(998, 0), run.Started)
	assert.Len(t, run.Discovered, 1)
	assert.Equal(t, []int{14}, run.Results[0].Evidence)
	assert.Equal(t, 14, run.Results[0].Findings[0].Exchange)
	assert.Equal(t, 14, run.Exchanges[1].Number)
	assert.Equal(t, "it shows ‹access_token#2›", run.Results[0].Reason, "the secret does not have its label in the merged run")
	assert.Equal(t, "begin with ‹access_token#2›", run.Results[0].Headline)
	assert.Equal(t, "exchange 14: GET https://x/ is answered with HTTP 404", run.Results[0].Observation)
	assert.Equal(t, "‹access_token#2›", run.Exchanges[1].Response.Body)
	assert.Equal(t, "‹access_token#1›", run.Exchanges[0].Response.Body)
}

func TestMergeRefusesWhatDoesNotBelongTogether(t *testing.T) {
	whole := reports.Redact(reports.Run{}, &reports.Secrets{})
	for want, parts := range map[string][]reports.Redacted{
		"nothing to merge":       nil,
		"that of a whole run":    {whole},
		"shard 2/3 is missing":   {part(1, 3, "aaaaaaaa"), part(3, 3, "bbbbbbbb")},
		"shard 1/2 appears twic": {part(1, 2, "aaaaaaaa"), part(1, 2, "bbbbbbbb")},
		"one of 3 shards":        {part(1, 2, "aaaaaaaa"), part(2, 3, "bbbbbbbb")},
		"report 2 is that of a ": {part(1, 2, "aaaaaaaa"), whole},
	} {
		_, err := reports.Merge(parts, nil)
		assert.ErrorContains(t, err, want)
	}
}

func TestShards(t *testing.T) {
	s, err := reports.ParseShard("2/3")
	require.NoError(t, err)
	n := 0
	for i := range 9 {
		if s.Has(i) {
			n++
		}
	}
	assert.Equal(t, 3, n)
	assert.True(t, reports.Shard{}.Has(4), "a run without shards leaves a check out")
	for _, bad := range []string{"", "1", "0/3", "4/3", "a/b", "1/0", "1/2000", "1/2/3"} {
		_, err := reports.ParseShard(bad)
		assert.Error(t, err, bad)
	}
}
