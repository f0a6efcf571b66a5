package reports_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/formats"
	reporthtml "github.com/mcpauth/conformance/reports/html"
	reportjson "github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/reports/markdown"
)

var markup = append([]string{
	`<img src=x onerror=alert(1)>`, `"><svg/onload=alert(1)>`, `</script><script>alert(1)</script>`, `javascript:alert(1)`,
	`' onmouseover='alert(1)`, `</style><style>*{background:url(//evil.example)}`,
	`[x](javascript:alert(1))`, "`<b>`", `![x](http://evil.example/x.png)`, `@everyone`, `| a | b |`, `<!-- -->`, `</details>`,
}, payloads...)

func page(t *testing.T, payload string) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, reporthtml.Write(&b, reports.Redact(sample(payload), &reports.Secrets{})))
	return b.String()
}

// Texts of a target are text on the page, whatever they contain.
func TestHTMLHoldsNothingForeign(t *testing.T) {
	clean := elements(t, page(t, "harmless"))
	for _, p := range markup {
		t.Run(p, func(t *testing.T) {
			assert.Equal(t, clean, elements(t, page(t, p)))
		})
	}
}

// Reports that show a few findings of a requirement show those that decide its verdict.
func TestWhatDecidesComesFirst(t *testing.T) {
	findings := []reports.Finding{}
	for _, row := range []string{"one", "two", "three", "four"} {
		findings = append(findings, reports.Finding{About: row, Observed: "HTTP 400", Expected: "HTTP 401", Advice: true})
	}
	findings = append(findings, reports.Finding{About: "five", Observed: "HTTP 401", Expected: "HTTP 403", Minor: true},
		reports.Finding{About: "six", Observed: "HTTP 200", Expected: "a refusal"})
	run := reports.Run{Results: []reports.Result{{ID: "RS-TOKEN-FOREIGN-KEY", Level: "MUST", Verdict: reports.Fail, Findings: findings}}}
	for _, name := range []string{"console", "markdown", "html", "junit"} {
		t.Run(name, func(t *testing.T) {
			f, ok := formats.Named(name)
			require.True(t, ok)
			var b bytes.Buffer
			require.NoError(t, f.Write(&b, reports.Redact(run, &reports.Secrets{}), formats.Options{}))
			assert.Regexp(t, `(?s)\bsix\b.*\bfive\b.*\bone\b`, b.String())
		})
	}
}

// The headline claims no more than the verdicts.
func TestHeadline(t *testing.T) {
	for want, results := range map[string][]reports.Result{
		`verdict good"`: {judged("A", reports.Pass)},
		`verdict bad"`:  {judged("A", reports.Fail), judged("B", reports.Suppressed)},
		`verdict open"`: {judged("A", reports.Inconclusive), judged("B", reports.Warn)},
	} {
		var b bytes.Buffer
		require.NoError(t, reporthtml.Write(&b, runOf(results...)))
		assert.Contains(t, b.String(), want)
	}
	var b bytes.Buffer
	require.NoError(t, reporthtml.Write(&b, reports.Redact(reports.Run{Results: []reports.Result{judged("A", reports.Pass)},
		Stale: []string{"baseline.yaml:3"}}, &reports.Secrets{})))
	assert.Contains(t, b.String(), `verdict bad"`)
	assert.NotContains(t, b.String(), "PASSED")
}

// elements counts the elements and attributes of a page, and rejects those that could act.
func elements(t *testing.T, source string) map[string]int {
	t.Helper()
	root, err := html.Parse(strings.NewReader(source))
	require.NoError(t, err)
	n := map[string]int{}
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		n[node.Data]++
		for _, a := range node.Attr {
			n[node.Data+" "+a.Key]++
			assert.False(t, strings.HasPrefix(a.Key, "on"), a.Key)
			if a.Key == "href" || a.Key == "src" {
				assert.Regexp(t, `^(#|https?://|data:image/(png|jpeg);base64,)`, a.Val)
			}
		}
	}
	assert.Equal(t, 1, n["script"])
	assert.LessOrEqual(t, n["svg"], 3, "there are more images than the coverage, the flow and the trend")
	assert.Zero(t, n["iframe"]+n["form"]+n["base"]+n["object"]+n["embed"]+n["foreignobject"])
	return n
}

// In a real browser the page runs only its own script, and sends no request.
func TestHTMLInABrowser(t *testing.T) {
	path := chromium(t)
	var asked atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer trap.Close()
	payload := `</script><script>document.title='pwned'</script><img src="` + trap.URL +
		`/x" onerror="document.title='pwned'"><link rel=stylesheet href="` + trap.URL + `/y">`
	file := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, os.WriteFile(file, []byte(page(t, payload)), 0o600))
	dom := dump(t, path, file, 1400, 900)
	assert.Contains(t, dom, "<title>mcpauth:")
	assert.NotContains(t, dom, "<title>pwned")
	assert.NotContains(t, dom, `class="tools" hidden`, "the script of the page did not run: its own policy forbids it")
	assert.Zero(t, asked.Load())
}

func TestHTMLStaysSmall(t *testing.T) {
	run := sample("x")
	for range 400 {
		run.Results = append(run.Results, run.Results[1])
	}
	run.Exchanges[0].Response.Body = strings.Repeat("<b>", 1<<18)
	var b bytes.Buffer
	require.NoError(t, reporthtml.Write(&b, reports.Redact(run, &reports.Secrets{})))
	assert.Less(t, b.Len(), 5<<20)
}

func TestCurlQuotes(t *testing.T) {
	e := &reports.Exchange{Request: reports.Request{Method: "POST", URL: "https://x.example/$(id)`id`",
		Header: []reports.Field{{Name: "A", Value: "it's"}}, Body: "';id;'"}}
	out, err := exec.Command("sh", "-c", strings.Replace(reporthtml.Curl(e), "curl ", "printf '%s|' ", 1)).Output()
	require.NoError(t, err)
	assert.Equal(t, "-i|-X|POST|https://x.example/$(id)`id`|-H|A: it's|--data-binary|';id;'|", string(out))
}

func TestMarkdownEscapes(t *testing.T) {
	for _, p := range markup {
		var b bytes.Buffer
		require.NoError(t, markdown.Write(&b, reports.Redact(sample(p), &reports.Secrets{})))
		for _, line := range strings.Split(b.String(), "\n") {
			outside := line
			for { // the content of code spans is inert
				i := strings.IndexByte(outside, '`')
				if i < 0 {
					break
				}
				fence := outside[i:]
				fence = fence[:len(fence)-len(strings.TrimLeft(fence, "`"))]
				j := strings.Index(outside[i+len(fence):], fence)
				require.GreaterOrEqual(t, j, 0, line)
				outside = outside[:i] + outside[i+2*len(fence)+j:]
			}
			outside = strings.NewReplacer("<details open>", "", "<details>", "", "</details>", "", "<summary>", "", "</summary>",
				"").Replace(outside)
			assert.NotContains(t, outside, "<", p)
			assert.NotContains(t, outside, "](", p)
			assert.NotContains(t, outside, "@everyone", p)
		}
	}
}

func TestJSONCanBeReadAgain(t *testing.T) {
	var first, second bytes.Buffer
	require.NoError(t, reportjson.Write(&first, reports.Redact(sample("x"), &reports.Secrets{})))
	run, err := reportjson.Read(bytes.NewReader(first.Bytes()))
	require.NoError(t, err)
	require.NoError(t, reportjson.Write(&second, run))
	assert.Equal(t, first.String(), second.String())
	for _, bad := range []string{"", "[]", "{}", `{"version":99}`} {
		_, err := reportjson.Read(strings.NewReader(bad))
		assert.Error(t, err, bad)
	}
}
