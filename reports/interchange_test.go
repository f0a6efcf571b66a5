package reports_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/badge"
	"github.com/mcpauth/conformance/reports/har"
	"github.com/mcpauth/conformance/reports/sarif"
)

type sarifLog struct {
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct{ Rules []struct{ ID string } }
		}
		Invocations []struct {
			ExecutionSuccessful        bool
			ToolExecutionNotifications []struct{ Message struct{ Text string } }
		}
		Results []struct {
			RuleID    string
			RuleIndex int
			Level     string
			Message   struct{ Text string }
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           struct{ StartLine int }
				}
			}
			PartialFingerprints map[string]string
			Suppressions        []struct{ Kind, Justification string }
		}
	}
}

func sarifOf(t *testing.T, run reports.Redacted) sarifLog {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, sarif.Write(&b, run))
	var log sarifLog
	require.NoError(t, json.Unmarshal(b.Bytes(), &log))
	return log
}

// valid checks a document against a published schema: of OASIS for SARIF, and of the har-schema package for HAR.
func valid(t *testing.T, folder, root string, document []byte) {
	t.Helper()
	c := jsonschema.NewCompiler()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		b, err := os.Open(f)
		require.NoError(t, err)
		schema, err := jsonschema.UnmarshalJSON(b)
		require.NoError(t, err)
		require.NoError(t, b.Close())
		delete(schema.(map[string]any), "$id")
		require.NoError(t, c.AddResource("https://schema.test/"+filepath.Base(f), schema))
	}
	compiled, err := c.Compile("https://schema.test/" + root)
	require.NoError(t, err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	require.NoError(t, err)
	require.NoError(t, compiled.Validate(v))
}

func TestInterchangeFormatsAreValid(t *testing.T) {
	for _, p := range payloads {
		run := sample(p)
		run.Target.File, run.Target.Line = "target.yaml", 3
		run.Results = append(run.Results, reports.Result{ID: "S", Title: p, Verdict: reports.Suppressed, Reason: p,
			Sources: []reports.Source{{Doc: "RFC 6750", URL: "https://www.rfc-editor.org/rfc/rfc6750.html"}}})
		var b bytes.Buffer
		require.NoError(t, sarif.Write(&b, reports.Redact(run, &reports.Secrets{})))
		valid(t, "sarif", "sarif-2.1.0.schema.json", b.Bytes())
		b.Reset()
		require.NoError(t, har.Write(&b, reports.Redact(run, &reports.Secrets{})))
		valid(t, "har", "har.json", b.Bytes())
	}
}

// Code scanning pages show what a requirement demands, how to meet it, and its source.
func TestSARIFExplains(t *testing.T) {
	known, ok := requirements.Lookup("RS-CHALLENGE-401-STATUS")
	require.True(t, ok)
	run := reports.Run{Results: []reports.Result{{
		ID: known.ID, Level: "MUST", Verdict: reports.Fail, Reason: "x", Remediation: "Answer <401>.",
		Sources: []reports.Source{{Doc: "RFC 6750", Section: "3", URL: "https://www.rfc-editor.org/rfc/rfc6750.html"},
			{Doc: "x", URL: "javascript:alert(1)"}},
	}}}
	var b bytes.Buffer
	require.NoError(t, sarif.Write(&b, reports.Redact(run, &reports.Secrets{})))
	valid(t, "sarif", "sarif-2.1.0.schema.json", b.Bytes())
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						FullDescription struct{ Text string }
						Properties      map[string]any
						Help            struct{ Markdown string }
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(b.Bytes(), &log))
	rule := log.Runs[0].Tool.Driver.Rules[0]
	assert.Equal(t, known.Statement+" (MUST) "+known.Why, rule.FullDescription.Text)
	assert.Equal(t, "9.5", rule.Properties["security-severity"])
	assert.Equal(t, "**How to fix it:** Answer &lt;401&gt;.\n\n**Sources**\n\n"+
		"- [RFC 6750 3](https://www.rfc-editor.org/rfc/rfc6750.html)\n- x",
		rule.Help.Markdown)
}

func TestSARIFHoldsFindingsOnly(t *testing.T) {
	run := reports.Run{
		Target: reports.Target{URL: "https://mcp.example.com/mcp", File: "ci/target.yaml", Line: 4},
		Results: []reports.Result{
			{ID: "A", Level: "MUST", Verdict: reports.Fail, Reason: "no refusal"}, {ID: "B", Verdict: reports.Pass},
			{ID: "A", Level: "MUST", Verdict: reports.Fail, Wire: "stateless", Reason: "no refusal"},
			{ID: "C", Verdict: reports.Warn, Reason: "risky"}, {ID: "D", Verdict: reports.Suppressed, Reason: "accepted: known"},
			{ID: "E", Level: "MUST", Verdict: reports.Inconclusive, Reason: "no answer"},
		},
	}
	log := sarifOf(t, reports.Redact(run, &reports.Secrets{}))
	assert.Equal(t, "2.1.0", log.Version)
	r := log.Runs[0]
	require.Len(t, r.Results, 4)
	assert.Len(t, r.Tool.Driver.Rules, 3, "a rule is missing, or appears twice")
	for i, level := range []string{"error", "error", "warning", "note"} {
		got := r.Results[i]
		assert.Equal(t, level, got.Level)
		assert.Equal(t, got.RuleID, r.Tool.Driver.Rules[got.RuleIndex].ID)
		assert.Equal(t, "ci/target.yaml", got.Locations[0].PhysicalLocation.ArtifactLocation.URI)
		assert.Equal(t, 4, got.Locations[0].PhysicalLocation.Region.StartLine)
	}
	assert.NotEqual(t, r.Results[0].PartialFingerprints, r.Results[1].PartialFingerprints, "both protocols have one fingerprint")
	assert.Equal(t, "external", r.Results[3].Suppressions[0].Kind)
	assert.True(t, r.Invocations[0].ExecutionSuccessful)
	assert.Contains(t, r.Invocations[0].ToolExecutionNotifications[0].Message.Text, "E could not be decided")
	assert.False(t, sarifOf(t, reports.Redact(reports.Run{Unreachable: "down"},
		&reports.Secrets{})).Runs[0].Invocations[0].ExecutionSuccessful)
}

func TestInterchangeFormatsBearEverything(t *testing.T) {
	for _, p := range payloads {
		run := reports.Redact(sample(p), &reports.Secrets{})
		for _, r := range sarifOf(t, run).Runs[0].Results {
			assert.False(t, strings.ContainsFunc(r.Message.Text, func(c rune) bool { return unicode.IsControl(c) || c == '\u202e' }), "%q",
				r.Message.Text)
		}
		var b bytes.Buffer
		require.NoError(t, har.Write(&b, run))
		var archive struct {
			Log struct {
				Version string
				Entries []struct {
					Request  struct{ Method, URL string }
					Response struct{ Status int }
					CheckID  string `json:"_checkId"`
				}
			}
		}
		require.NoError(t, json.Unmarshal(b.Bytes(), &archive))
		assert.Len(t, archive.Log.Entries, len(run.Run().Exchanges))
	}
}

func TestHARKeepsWhatWasSent(t *testing.T) {
	run := reports.Run{Exchanges: []reports.Exchange{
		{Number: 1, Check: "A", Request: reports.Request{Method: "POST", URL: "https://a.example/mcp?x=a%20b&y", Body: "{}",
			Header: []reports.Field{{Name: "content-type", Value: "application/json"}}},
			Response: &reports.Response{Status: 302, Proto: "HTTP/2.0", Header: []reports.Field{{Name: "Location", Value: "/next"}}}},
		{Number: 2, Check: "B", Error: "no answer", Request: reports.Request{Method: "GET", URL: "https://a.example/", Raw: true}},
	}}
	var b bytes.Buffer
	require.NoError(t, har.Write(&b, reports.Redact(run, &reports.Secrets{})))
	var text bytes.Buffer
	require.NoError(t, json.Compact(&text, b.Bytes()))
	for _, want := range []string{`"queryString":[{"name":"x","value":"a b"},{"name":"y","value":""}]`,
		`"mimeType":"application/json"`, `"redirectURL":"/next"`, `"status":0`, `"_error":"no answer"`, `"comment":"written byte by byte"`} {
		assert.Contains(t, text.String(), want)
	}
}

func TestBadgeNeverClaimsMore(t *testing.T) {
	for want, run := range map[string]reports.Redacted{
		`"brightgreen"`: runOf(judged("A", reports.Pass)), `"red"`: runOf(judged("A", reports.Pass), judged("B", reports.Fail)),
		`"yellow"`:    runOf(judged("A", reports.Pass), judged("B", reports.Warn)),
		`"undecided"`: runOf(judged("A", reports.Pass), judged("B", reports.Inconclusive)), `"lightgrey"`: runOf(judged("A", reports.NotTested)),
	} {
		var b bytes.Buffer
		require.NoError(t, badge.Write(&b, run))
		assert.Contains(t, b.String(), want)
	}
}
