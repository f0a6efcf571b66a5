package reports_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	joshdk "github.com/joshdk/go-junit"
	jstemmer "github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/badge"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/reports/github"
	"github.com/mcpauth/conformance/reports/har"
	reporthtml "github.com/mcpauth/conformance/reports/html"
	reportjson "github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/reports/junit"
	"github.com/mcpauth/conformance/reports/markdown"
	"github.com/mcpauth/conformance/reports/matrix"
	"github.com/mcpauth/conformance/reports/ndjson"
	"github.com/mcpauth/conformance/reports/rendered"
	"github.com/mcpauth/conformance/reports/sarif"
)

const secret = "s3cr3t-Value+with/odd=chars\"and\\more"

// sample has every verdict, and a payload in every place for untrusted text.
func sample(payload string) reports.Run {
	run := reports.Run{
		Tool: reports.Tool{Name: "mcpauth", Version: "test"}, Target: reports.Target{URL: "https://mcp.example.com/mcp", Tier: "T1"},
		Started: time.Unix(1_700_000_000, 0), Duration: 12.3456, Catalogue: strings.Repeat("a", 64),
		Revisions:  []reports.RevisionStatus{{Revision: "2025-11-25", Wire: "stateful", Status: "spoken", Why: payload}},
		Discovered: []reports.Fact{{Name: "tools", Value: payload}},
	}
	for i, v := range reports.Verdicts {
		r := reports.Result{
			ID: "RS-SAMPLE-" + string(rune('A'+i)), Title: "Sample", Area: "discovery", Role: "resource-server", Level: "MUST", Tier: "T1",
			Revisions: []string{"2025-11-25"}, Verdict: v, Remediation: "Fix it.", Sources: []reports.Source{{Doc: "RFC 9728", Section: "§2"}},
			Evidence: []int{1}, Duration: 0.00002,
		}
		if v != reports.Pass {
			r.Reason = "because " + payload
		}
		if v == reports.Fail || v == reports.Warn {
			r.Findings = []reports.Finding{{Expected: "x", Observed: payload, About: payload, Exchange: 1}}
		}
		run.Results = append(run.Results, r)
	}
	run.Exchanges = []reports.Exchange{{
		Number: 1, Check: "survey", Started: time.Unix(1_700_000_000, 0),
		Request: reports.Request{Method: "POST", URL: "https://mcp.example.com/mcp",
			Header: []reports.Field{{Name: "Authorization", Value: "Bearer " + payload}}, Body: payload},
		Response: &reports.Response{Status: 401, Proto: "HTTP/1.1",
			Header: []reports.Field{{Name: "Set-Cookie", Value: "sid=abcdef123456; HttpOnly"}}, Body: payload},
	}}
	run.Tokens = []reports.Token{{Name: "‹access_token#1›", Header: payload, Claims: payload}}
	run.Exchanges[0].Request.Header = append(run.Exchanges[0].Request.Header, reports.Field{Name: "X-Token", Value: "‹access_token#1›"})
	run.Screenshots = []reports.Screenshot{{Title: payload, URL: payload, Type: "image/png", Image: []byte("an image")}}
	return run
}

// everything returns a run in every format.
func everything(t *testing.T, r reports.Redacted) string {
	t.Helper()
	texts, err := rendered.Texts(r)
	require.NoError(t, err)
	return strings.Join(slices.Collect(maps.Values(texts)), "\n")
}

func TestRedaction(t *testing.T) {
	quoted, err := json.Marshal(secret)
	require.NoError(t, err)
	for name, spelled := range map[string]string{
		"raw": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "json": strings.Trim(string(quoted), `"`),
		"hex": hex.EncodeToString([]byte(secret)), "base64": base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)), "basic": base64.StdEncoding.EncodeToString([]byte("client:" + secret)),
		"basic, escaped": base64.StdEncoding.EncodeToString([]byte("client:" + url.QueryEscape(secret))),
		"basic, shifted": base64.StdEncoding.EncodeToString([]byte("a:" + secret + ":b")),
	} {
		t.Run(name, func(t *testing.T) {
			var s reports.Secrets
			assert.Equal(t, "‹token#1›", s.Add("token", secret))
			out := everything(t, reports.Redact(sample("before "+spelled+" after"), &s))
			for _, leak := range []string{secret, "s3cr3t", spelled, base64.StdEncoding.EncodeToString([]byte(secret))[4:24],
				hex.EncodeToString([]byte(secret))} {
				assert.NotContains(t, out, leak)
			}
			assert.NotContains(t, out, "abcdef123456", "a cookie value is in the report")
		})
	}
}

// Only the signature of a JWT is secret, in every encoding.
func TestRedactionOfAJWT(t *testing.T) {
	const signature = "c2lnbmF0dXJlLWJ5dGVzLW9mLWEtdG9rZW4tMTIzNDU2Nzg5MA"
	token := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0." + signature
	var s reports.Secrets
	s.Add("access_token", token)
	for _, spelled := range []string{token, base64.StdEncoding.EncodeToString([]byte("a:" + token)), hex.EncodeToString([]byte(token)),
		`{"signature_is":"` + signature + `"}`} {
		out := everything(t, reports.Redact(sample("before "+spelled+" after"), &s))
		for _, leak := range []string{signature, base64.StdEncoding.EncodeToString([]byte(signature))[4:40],
			base64.StdEncoding.EncodeToString([]byte("a" + signature))[4:40], base64.StdEncoding.EncodeToString([]byte("ab" + signature))[4:40],
			hex.EncodeToString([]byte(signature))} {
			assert.NotContains(t, out, leak)
		}
	}
}

// A target may send more secrets than can be remembered, and longer ones: then texts that look like secrets are removed.
func TestMoreSecretsThanCanBeRemembered(t *testing.T) {
	var s reports.Secrets
	giant := strings.Repeat("g1", 300<<10)
	s.Add("access_token", giant)
	out := everything(t, reports.Redact(sample("before "+giant+" after"), &s))
	assert.NotContains(t, out, "g1g1g1g1")
	assert.Contains(t, out, "‹a word of 614400 bytes›")
	for i := range 60_000 {
		s.Add("cookie", fmt.Sprintf("%08d-%s", i, strings.Repeat("k", 100)))
	}
	for _, forgotten := range []string{"00059999-" + strings.Repeat("k", 100), "4a7d1ed414474e4033ac29ccb8653d9b"} {
		out = everything(t, reports.Redact(sample("before "+forgotten+" after, as in 2025-11-25 at https://mcp.example.com/mcp"), &s))
		assert.NotContains(t, out, forgotten)
		assert.NotContains(t, out, strings.Repeat("k", 50))
		assert.Contains(t, out, "after, as in 2025-11-25 at https://mcp.example.com/mcp")
	}
}

func TestStructuralRedaction(t *testing.T) {
	out := everything(t, reports.Redact(sample(`{"access_token":"never-seen-before","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAA"} `+
		`eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLWJ5dGVz {"payload":"e30","signature":"c2lnbmF0dXJlLWluLUpTT04"}
-----BEGIN RSA PRIVATE KEY-----
MIIB
-----END RSA PRIVATE KEY-----`), &reports.Secrets{}))
	for _, leak := range []string{"never-seen-before", "AAAAAAAAAAAAAAAA", "c2lnbmF0dXJlLWJ5dGVz", "c2lnbmF0dXJlLWluLUpTT04", "MIIB"} {
		assert.NotContains(t, out, leak)
	}
	assert.Contains(t, out, "eyJzdWIiOiJhIn0", "the claims of a token are missing")
}

var payloads = []string{"\x1b[31mred\x1b[0m", "]]>", "\x00\x01\x7f", "\xff\xfe", "\u202eevil\u200b", "::error::x\n::set-output name=a::b",
	"<script>alert(1)</script>", "&amp;", "\ufffe", "{{red}}"}

func TestPrintable(t *testing.T) {
	for _, p := range payloads {
		out := reports.Printable(p)
		for _, bad := range []string{"\x1b", "\x00", "\x7f", "\u202e", "\u200b", "\xff", "\ufffe"} {
			assert.NotContains(t, out, bad)
		}
	}
	assert.Equal(t, "plain\n\ttext é", reports.Printable("plain\n\ttext é"))
}

func TestTranscriptPrefixesEveryLine(t *testing.T) {
	run := sample("::error::x\n##vso[task]\n##teamcity[x]")
	for _, line := range strings.Split(strings.TrimSpace(reports.Transcript(&run.Exchanges[0])), "\n")[1:] {
		assert.Regexp(t, `^[<>!] `, line)
	}
}

func TestJUnitIsStrictXML(t *testing.T) {
	for _, p := range payloads {
		var b bytes.Buffer
		require.NoError(t, junit.Write(&b, reports.Redact(sample(p), &reports.Secrets{}), junit.Options{Properties: true}))
		dec := xml.NewDecoder(&b)
		for {
			_, err := dec.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err, "%q", p)
		}
	}
}

func TestJUnitMapsVerdicts(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, junit.Write(&b, reports.Redact(sample("x"), &reports.Secrets{}), junit.Options{}))
	var doc struct {
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string    `xml:"name,attr"`
				Time    string    `xml:"time,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
				Out     string    `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(b.Bytes(), &doc))
	assert.Equal(t, 1, doc.Failures)
	assert.Equal(t, 2, doc.Errors)
	require.Len(t, doc.Suites, 1)
	for i, c := range doc.Suites[0].Cases {
		v := reports.Verdicts[i]
		assert.True(t, strings.HasPrefix(c.Name, "RS-SAMPLE-"), c.Name)
		assert.Regexp(t, `^\d+\.\d{3}$`, c.Time)
		assert.Equal(t, v == reports.Fail, c.Failure != nil, v)
		assert.Equal(t, v == reports.Inconclusive || v == reports.Errored, c.Error != nil, v)
		assert.Equal(t, v == reports.NotApplicable || v == reports.NotTested || v == reports.Review || v == reports.Suppressed, c.Skipped != nil,
			v)
		assert.Equal(t, v == reports.Warn || v == reports.Flaky, c.Out != "", v)
	}
	b.Reset()
	require.NoError(t, junit.Write(&b, reports.Redact(sample("x"), &reports.Secrets{}), junit.Options{Strict: true}))
	require.NoError(t, xml.Unmarshal(b.Bytes(), &doc))
	assert.Equal(t, 3, doc.Failures, "with strict, a warning is not a failure")
}

// A JUnit file follows the schema of Jenkins' xunit plugin. The test reads the XML Schema as rules, because Go has no validator for it.
func TestJUnitKeepsToTheSchema(t *testing.T) {
	attributes := map[string]string{
		"testsuites": "name tests failures errors time", "testsuite": "name tests failures errors skipped time timestamp",
		"testcase": "name classname time", "failure": "message type", "error": "message type", "skipped": "message type",
		"property": "name value", "properties": "", "system-out": "",
	}
	children := map[string]string{
		"": "testsuites", "testsuites": "testsuite", "testsuite": "properties testcase", "testcase": "failure error skipped system-out",
		"properties": "property", "property": "", "failure": "", "error": "", "skipped": "", "system-out": "",
	}
	var b bytes.Buffer
	require.NoError(t, junit.Write(&b, reports.Redact(sample("x"), &reports.Secrets{}), junit.Options{}))
	dec := xml.NewDecoder(&b)
	stack := []string{""}
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		switch e := tok.(type) {
		case xml.StartElement:
			assert.Contains(t, strings.Fields(children[stack[len(stack)-1]]), e.Name.Local)
			for _, a := range e.Attr {
				assert.Contains(t, strings.Fields(attributes[e.Name.Local]), a.Name.Local, e.Name.Local)
			}
			stack = append(stack, e.Name.Local)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}

func TestJSONKeepsToItsSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(reportjson.Schema))
	require.NoError(t, err)
	require.NoError(t, c.AddResource("report.json", schema))
	compiled, err := c.Compile("report.json")
	require.NoError(t, err)
	for _, p := range payloads {
		var b bytes.Buffer
		require.NoError(t, reportjson.Write(&b, reports.Redact(sample(p), &reports.Secrets{})))
		doc, err := jsonschema.UnmarshalJSON(&b)
		require.NoError(t, err)
		assert.NoError(t, compiled.Validate(doc), "%q", p)
	}
	assert.Error(t, compiled.Validate(map[string]any{"version": 1}))
}

func TestConsoleIsSafe(t *testing.T) {
	for _, p := range payloads {
		var b bytes.Buffer
		require.NoError(t, console.Write(&b, reports.Redact(sample(p), &reports.Secrets{}), console.Options{Verbose: true}))
		assert.NotContains(t, b.String(), "\x1b")
		for _, line := range strings.Split(b.String(), "\n") {
			assert.False(t, strings.HasPrefix(line, "::") || strings.HasPrefix(line, "##"), line)
		}
	}
}

// The query of an authorization request is longer than a line.
func TestConsoleFitsATerminal(t *testing.T) {
	long := "http://127.0.0.1:9300/authorize?response_type=code&client_id=demo&scope=" + strings.Repeat("notes+", 30)
	run := reports.Run{
		Results: []reports.Result{{ID: "AS-AUTHZ-CSP", Level: "SHOULD", Verdict: reports.Warn,
			Findings: []reports.Finding{{Exchange: 7, Observed: "no policy", Expected: "a policy"}}}},
		Exchanges: []reports.Exchange{{Number: 7, Request: reports.Request{Method: "GET", URL: long}, Response: &reports.Response{Status: 200}}},
	}
	var b bytes.Buffer
	require.NoError(t, console.Write(&b, reports.Redact(run, &reports.Secrets{}), console.Options{}))
	assert.Contains(t, b.String(), "#7 GET http://127.0.0.1:9300/authorize?… -> 200")
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 80, line)
	}
}

func FuzzWriters(f *testing.F) {
	for _, p := range payloads {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		r := reports.Redact(sample(payload), &reports.Secrets{})
		var b bytes.Buffer
		if err := junit.Write(&b, r, junit.Options{Properties: true}); err != nil {
			t.Fatal(err)
		}
		for dec := xml.NewDecoder(&b); ; {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		b.Reset()
		if err := reportjson.Write(&b, r); err != nil || !json.Valid(b.Bytes()) {
			t.Fatal("invalid JSON", err)
		}
		b.Reset()
		if err := console.Write(&b, r, console.Options{}); err != nil || bytes.ContainsAny(b.Bytes(), "\x1b\x00") {
			t.Fatal("the text contains control characters", err)
		}
		b.Reset()
		if err := reporthtml.Write(&b, r); err != nil || bytes.ContainsAny(b.Bytes(), "\x1b\x00") ||
			bytes.Count(b.Bytes(), []byte("<script")) != 1 {
			t.Fatal("the page contains foreign markup or control characters", err)
		}
		b.Reset()
		if err := ndjson.Write(&b, r); err != nil {
			t.Fatal(err)
		}
		for _, write := range []func(io.Writer, reports.Redacted) error{
			markdown.Write, github.Write,
			badge.Write,
			func(w io.Writer, r reports.Redacted) error {
				return matrix.WriteMarkdown(w, []matrix.Column{{Name: payload, Run: r}})
			},
			func(w io.Writer, r reports.Redacted) error {
				return matrix.Write(w, []matrix.Column{{Name: payload, Run: r}})
			},
		} {
			var text bytes.Buffer
			if err := write(&text, r); err != nil || bytes.ContainsAny(text.Bytes(), "\x1b\x00") || !utf8.Valid(text.Bytes()) ||
				bytes.HasPrefix(text.Bytes(), []byte("<!doctype")) && bytes.Contains(text.Bytes(), []byte("<script")) {
				t.Fatal("a text of the target is active in the report", err)
			}
		}
		lines := bytes.Split(bytes.TrimSuffix(b.Bytes(), []byte("\n")), []byte("\n"))
		if len(lines) != len(r.Run().Results)+2 || !json.Valid(lines[0]) || !json.Valid(lines[len(lines)-1]) {
			t.Fatal("a line is not an event")
		}
		for _, write := range []func(io.Writer, reports.Redacted) error{sarif.Write, har.Write} {
			b.Reset()
			if err := write(&b, r); err != nil || !json.Valid(b.Bytes()) {
				t.Fatal("invalid JSON", err)
			}
		}
	})
}

func TestSchemaIsValidJSON(t *testing.T) {
	b, err := os.ReadFile("json/schema.json")
	require.NoError(t, err)
	assert.True(t, json.Valid(b))
}

// BenchmarkEveryFormat writes a run of 400 checks with 2,000 exchanges in every format.
func BenchmarkEveryFormat(b *testing.B) {
	run := sample("an ordinary answer")
	for i := range 400 {
		r := run.Results[i%len(reports.Verdicts)]
		r.Evidence = []int{5*i + 1, 5*i + 2, 5*i + 3, 5*i + 4, 5*i + 5}
		run.Results = append(run.Results, r)
	}
	for i := range 2000 {
		e := run.Exchanges[0]
		e.Number = i + 2
		response := *e.Response
		response.Body = strings.Repeat(`{"jsonrpc":"2.0","id":1,"result":{}}`, 20)
		e.Response = &response
		run.Exchanges = append(run.Exchanges, e)
	}
	redacted := reports.Redact(run, &reports.Secrets{})
	for b.Loop() {
		for _, write := range []func(io.Writer, reports.Redacted) error{
			reportjson.Write, reporthtml.Write, markdown.Write, github.Write, sarif.Write, har.Write, ndjson.Write,
			func(w io.Writer, r reports.Redacted) error {
				return junit.Write(w, r, junit.Options{Properties: true})
			},
			func(w io.Writer, r reports.Redacted) error {
				return console.Write(w, r, console.Options{Verbose: true})
			},
		} {
			if err := write(io.Discard, redacted); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// Two independent readers find the same counts and the same texts.
func TestJUnitIsReadByOthers(t *testing.T) {
	for _, p := range payloads {
		var b bytes.Buffer
		require.NoError(t, junit.Write(&b, reports.Redact(sample(p), &reports.Secrets{}), junit.Options{Properties: true}))
		suites, err := joshdk.Ingest(b.Bytes())
		require.NoError(t, err)
		require.Len(t, suites, 1)
		assert.Equal(t, 10, suites[0].Totals.Tests)
		assert.Equal(t, 1, suites[0].Totals.Failed)
		assert.Equal(t, 2, suites[0].Totals.Error)
		assert.Equal(t, 4, suites[0].Totals.Skipped)
		var read jstemmer.Testsuites
		require.NoError(t, xml.Unmarshal(b.Bytes(), &read))
		require.Len(t, read.Suites, 1)
		assert.Equal(t, suites[0].Totals.Tests, len(read.Suites[0].Testcases))
		for i, c := range read.Suites[0].Testcases {
			assert.Equal(t, suites[0].Tests[i].Name, c.Name)
			assert.Equal(t, c.Failure != nil, suites[0].Tests[i].Status == joshdk.StatusFailed, c.Name)
		}
	}
}

// net/url does not find the password in an invalid URL; an error with the URL must not show it.
func TestWithoutUserinfo(t *testing.T) {
	for address, want := range map[string]string{
		"https://a.example/mcp":              "https://a.example/mcp",
		"https://ann:secret@a.example/mcp":   "https://…@a.example/mcp",
		"https://ann:sec/ret@a.example/mcp":  "https://…@a.example/mcp",
		"https://ann:a@secret@a.example":     "https://…@a.example",
		"https:///ann:secret@a.example":      "https://…@a.example",
		"https:ann:secret@a.example":         "…@a.example",
		"ann:secret@a.example/mcp":           "…@a.example/mcp",
		"https:ann:secret@a.example/http://": "…@a.example/http://",
		"secret://@a.example":                "secret://…@a.example",
	} {
		assert.Equal(t, want, reports.WithoutUserinfo(address))
	}
}
