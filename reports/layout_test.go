package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	reporthtml "github.com/mcpauth/conformance/reports/html"
	"github.com/mcpauth/conformance/reports/matrix"
)

// chromium returns the path of the browser that renders the pages.
func chromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium-headless-shell")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("INCONCLUSIVE: there is no browser")
		}
		t.Skip("INCONCLUSIVE: there is no browser")
	}
	return path
}

// dump returns the document of a page after its scripts have run, in a window of a size.
func dump(t *testing.T, browser, file string, width, height int) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), browser, "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
		fmt.Sprintf("--window-size=%d,%d", width, height), "--virtual-time-budget=2000", "--dump-dom", "file://"+file)
	cmd.WaitDelay = 5 * time.Second
	dom, err := cmd.Output()
	require.NoError(t, err)
	return string(dom)
}

// layout has the positions of elements on a page.
type layout struct {
	Width, Scroll, Verdict, Fix, Finding, Next, Coverage float64
	Wide                                                 []string // elements that exceed the right edge
	Bar                                                  float64  // the top of the navigation after scrolling
	Shown, Filtered                                      int      // results, before and after a chip is pressed
	Copy                                                 bool
}

// measuring writes the layout into the page. The test inserts it, because the policy of the page would block it.
const measuring = `<script>(() => {
const bottom = (s) => { const e = document.querySelector(s); return e ? e.getBoundingClientRect().bottom : 0; };
const top_ = (s) => { const e = document.querySelector(s); return e ? e.getBoundingClientRect().top : 0; };
const visible = () => [...document.querySelectorAll('.card.result')].filter((e) => !e.hidden).length;
const out = {Width: innerWidth, Scroll: document.documentElement.scrollWidth, Verdict: bottom('#verdict'),
  Fix: bottom('a.fix'), Finding: top_('#findings .card'), Next: bottom('#coverage .command'),
  Coverage: bottom('svg.coverage'), Wide: [], Copy: !document.querySelector('button.copy')?.hidden};
for (const e of document.querySelectorAll('main *')) {
  if (e.closest('.wide') || e.closest('pre')) continue;
  if (e.getBoundingClientRect().right > innerWidth + 1) out.Wide.push(e.tagName + '.' + e.className);
}
out.Shown = visible();
document.querySelector('.chip[data-filter=warn]')?.click();
out.Filtered = visible();
document.querySelector('.chip[data-filter=warn]')?.click();
scrollTo(0, 2000);
out.Bar = document.querySelector('.bar').getBoundingClientRect().top;
document.title = JSON.stringify(out);
})()</script>`

var (
	policy = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`)
	titled = regexp.MustCompile(`<title>([^<]*)</title>`)
)

// measure measures the page of a run in a window of a size.
func measure(t *testing.T, browser string, run reports.Redacted, width, height int) layout {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, reporthtml.Write(&b, run))
	var l layout
	inspect(t, browser, b.String(), measuring, width, height, &l)
	return l
}

// inspect runs a script in a page, and reads the result from the title.
func inspect(t *testing.T, browser, page, script string, width, height int, into any) {
	t.Helper()
	text := strings.Replace(policy.ReplaceAllString(page, ""), "</body>", script+"</body>", 1)
	file := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	found := titled.FindStringSubmatch(dump(t, browser, file, width, height))
	require.NotNil(t, found)
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(found[1])), into), found[1])
}

// printing finds what would be missing on paper.
const printing = `<script>(() => {
const name = (e) => e.tagName + '.' + e.className;
const seen = (s) => [...document.querySelectorAll(s)].filter((e) => e.checkVisibility());
const out = {Details: document.querySelectorAll('main details:not([open])').length, Width: innerWidth,
  Scroll: document.documentElement.scrollWidth,
  Closed: [...document.querySelectorAll('main details:not([open]) > :not(summary):not(.copy)')]
    .filter((e) => !e.checkVisibility()).map(name),
  Cut: seen('main pre, main .wide').filter((e) => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1).map(name),
  Controls: seen('.bar, .tools, button').map(name)};
document.title = JSON.stringify(out);
})()</script>`

// On paper all details are open, nothing is cut off or wider than the sheet, and there are no buttons.
func TestPrint(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	sampled := whole.Sample(t, "many findings")
	for name, run := range situations() {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			var b bytes.Buffer
			require.NoError(t, reporthtml.Write(&b, run))
			page := strings.ReplaceAll(b.String(), "@media print", "@media all")
			require.NotEqual(t, b.String(), page)
			var paper struct {
				Details               int
				Width, Scroll         float64
				Closed, Cut, Controls []string
			}
			inspect(t, browser, page, printing, 718, 1047, &paper) // A4 at 96 dpi with margins of one centimetre
			assert.Equal(t, name != "no MCP endpoint", paper.Details > 0)
			assert.Empty(t, paper.Closed)
			assert.Empty(t, paper.Cut)
			assert.Empty(t, paper.Controls)
			assert.LessOrEqual(t, paper.Scroll, paper.Width)
		})
	}
}

// all returns a run that judges the whole catalogue, with the verdict and findings that judge sets.
func all(judge func(i int, r *requirements.Requirement, res *reports.Result)) reports.Redacted {
	run := reports.Run{
		Tool:    reports.Tool{Name: "mcpauth", Version: "test"},
		Target:  reports.Target{URL: "https://mcp.example.com/with/a/rather/long/path/to/the/mcp/endpoint", Tier: "T2"},
		Started: time.Unix(1_700_000_000, 0), Requests: 4321, Duration: 9876, Catalogue: requirements.Digest(),
		Command:      "mcpauth run https://mcp.example.com/with/a/rather/long/path/to/the/mcp/endpoint --username alice",
		AuthorizedBy: "Ada, ticket 42",
	}
	for _, revision := range requirements.Revisions {
		run.Revisions = append(run.Revisions, reports.RevisionStatus{Revision: revision, Wire: "stateful", Status: "spoken", Why: "it says so"})
	}
	run.Discovered = []reports.Fact{{Name: "server", Value: "example 1.0"}, {Name: "tools", Value: strings.Repeat("read_a_note, ", 20)}}
	long := strings.Repeat("a-long-word-without-a-break", 12)
	exchange := func(n int, check, token string, status int) reports.Exchange {
		return reports.Exchange{
			Number: n, Check: check, Started: time.Unix(1_700_000_000, 0),
			Request: reports.Request{Method: "POST", URL: "https://mcp.example.com/mcp", Body: `{"jsonrpc":"2.0","id":` + fmt.Sprint(n) +
				`,"method":"tools/list"}`, Header: []reports.Field{
				{Name: "Content-Type", Value: "application/json"}, {Name: "Authorization", Value: "Bearer " + token},
			}},
			Response: &reports.Response{Status: status, Proto: "HTTP/1.1", Header: []reports.Field{{Name: "Content-Type", Value: "application/json"},
				{Name: "X-Long", Value: long}}, Body: `{"result":{"tools":[]}}`},
		}
	}
	run.Exchanges = []reports.Exchange{exchange(1, "survey", "‹access_token#1›", 200),
		exchange(2, "RS-TOKEN-EXPIRED", "an.expired.one", 200)}
	for i := range requirements.All() {
		r := &requirements.All()[i]
		res := reports.Result{
			ID: r.ID, Title: r.Title, Area: r.Area, Role: string(r.Role), Level: string(r.Level), Tier: string(r.Tier), Revisions: r.Revisions,
			Verdict:     reports.Pass,
			Remediation: r.Remediation, Evidence: []int{1, 2}, Controls: []int{1},
		}
		for _, s := range r.Sources {
			res.Sources = append(res.Sources, reports.Source{Doc: s.Doc, Section: s.Section, URL: s.URL})
		}
		judge(i, r, &res)
		run.Results = append(run.Results, res)
	}
	return reports.Redact(run, &reports.Secrets{})
}

// situations returns typical runs of users.
func situations() map[string]reports.Redacted {
	out := map[string]reports.Redacted{
		"passed": all(func(int, *requirements.Requirement, *reports.Result) {}),
		"many findings": all(func(i int, r *requirements.Requirement, res *reports.Result) {
			switch i % 12 {
			case 0, 1:
				res.Verdict, res.Reason = reports.Fail, "served"
				if r.Level != requirements.Must {
					res.Verdict = reports.Warn
				}
				for _, about := range []string{"an expired token", "another", "a third", "a fourth", "a fifth"} {
					res.Findings = append(res.Findings, reports.Finding{About: about, Expected: "a refusal with HTTP 401",
						Observed: "HTTP 200 and a JSON-RPC result", Exchange: 2})
				}
			case 2, 4, 5, 6:
				res.Verdict, res.Reason, res.Missing = reports.NotTested, "it needs a valid access token; give one with --token-env", "--token-env"
			case 3, 7:
				res.Verdict, res.Reason = reports.NotApplicable, "the metadata names no such endpoint"
			}
		}),
		"open": all(func(_ int, r *requirements.Requirement, res *reports.Result) {
			res.Verdict, res.Reason = reports.NotTested, "nothing can be said about tokens while the target serves anybody (RS-CHALLENGE-401-STATUS)"
			if r.ID == "RS-CHALLENGE-401-STATUS" {
				res.Verdict, res.Reason, res.Headline = reports.Fail, "served", "No authorization: anyone can call 12 tools (whoami, list_notes)"
			}
		}),
	}
	lost := *out["passed"].Run()
	lost.Results, lost.Exchanges, lost.Discovered = nil, nil, nil
	lost.Unreachable = "POST https://mcp.example.com/mpc is answered with HTTP 404 and an HTML page. This does not look like an MCP endpoint."
	out["no MCP endpoint"] = reports.Redact(lost, &reports.Secrets{})
	return out
}

// The first screen has the main result, nothing is cut off on a telephone, and navigation and filters work.
func TestLayout(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	sampled := whole.Sample(t, "many findings")
	for name, run := range situations() {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			wide := measure(t, browser, run, 1400, 900)
			narrow := measure(t, browser, run, 390, 844)
			for _, l := range []layout{wide, narrow} {
				assert.Positive(t, l.Verdict)
				assert.Less(t, l.Verdict, 900.0, "the verdict is below the first screen")
				assert.Empty(t, l.Wide)
				assert.LessOrEqual(t, l.Scroll, l.Width, "the page scrolls sideways")
			}
			assert.Equal(t, 390.0, narrow.Width)
			switch name {
			case "many findings":
				assert.Equal(t, wide.Shown, narrow.Shown)
				assert.Less(t, wide.Filtered, wide.Shown, "a filter hides nothing")
				assert.Positive(t, wide.Filtered)
				fallthrough
			case "open":
				for _, l := range []layout{wide, narrow} {
					assert.Positive(t, l.Fix)
					assert.Less(t, l.Fix, 900.0, "the first fix is below the first screen")
					assert.Zero(t, l.Bar, "the navigation scrolls away")
				}
				assert.Positive(t, narrow.Finding)
				assert.Less(t, narrow.Finding, 2*844.0, "the first finding is below the second screen")
			default:
				assert.Zero(t, wide.Fix)
			}
			if name != "passed" {
				assert.Positive(t, wide.Next)
				assert.Less(t, wide.Next, 900.0, "the next command is below the first screen")
				assert.True(t, wide.Copy, "there is no button that copies a command")
			}
			if name != "no MCP endpoint" {
				assert.Positive(t, wide.Coverage)
				assert.Less(t, wide.Coverage, 900.0, "the coverage is below the first screen")
			}
		})
	}
}

// The page says each thing once, in the words of the catalogue, and marks the defect in an exchange.
func TestWhatThePageSays(t *testing.T) {
	text := func(run reports.Redacted) string {
		var b bytes.Buffer
		require.NoError(t, reporthtml.Write(&b, run))
		return b.String()
	}
	runs := situations()
	many := text(runs["many findings"])
	for _, want := range []string{
		`<span class="role control">control</span>`, `<span class="role attack">attack</span>`,
		"<mark>Authorization: Bearer an.expired.one\n</mark>", "<mark>HTTP/1.1 200\n</mark>",
		"&#34;method&#34;: &#34;tools/list&#34;", "<code>--token-env</code>", "TOKEN=… mcpauth run", "authorized by Ada, ticket 42",
		"catalogue <code>" + requirements.Digest()[:12], "and 1 more",
		"requirements, for 1 reason<",
	} {
		assert.Contains(t, many, want)
	}
	assert.Equal(t, 1, strings.Count(many, "the metadata names no such endpoint"), "the cause is not shown once")
	open := text(runs["open"])
	assert.Contains(t, open, `<span class="chip unmet">possible</span> Use the server without a token`)
	assert.Contains(t, open, "anyone can call 12 tools")
	lost := text(runs["no MCP endpoint"])
	assert.Contains(t, lost, "mcpauth doctor https://mcp.example.com/with")
	assert.NotContains(t, lost, "What an attacker can do")
}

// A page of several runs shows failures first, names each requirement, and links to its text.
func TestMatrix(t *testing.T) {
	runs := situations()
	columns := []matrix.Column{{Name: "good", Run: runs["passed"]}, {Name: "bad", Run: runs["many findings"], Report: "bad.html"}}
	var b bytes.Buffer
	require.NoError(t, matrix.Write(&b, columns))
	page := b.String()
	fails, untested := requirements.All()[0], requirements.All()[2] // the second one passes in one run, and is not tested in the other
	lastFailure := strings.LastIndex(page, `<td class="fail"`)
	require.Positive(t, lastFailure)
	assert.Less(t, lastFailure, strings.Index(page, `id="`+untested.ID+`"`), "the one that fails is not first")
	assert.Contains(t, page, html.EscapeString(fails.Title))
	assert.Contains(t, page, `<a href="bad.html#`+fails.ID+`">`)
	assert.Contains(t, page, `<a href="`+fails.Sources[0].URL+`"`)
	assert.Contains(t, page, "thead th{position:sticky")
	var twice reports.Run
	twice.Target.URL = "https://mcp.example.com/mcp"
	for _, revision := range []string{"2025-06-18", "2025-11-25"} {
		twice.Results = append(twice.Results, reports.Result{ID: fails.ID, Level: "MUST", Verdict: reports.Fail, Revisions: []string{revision}})
	}
	b.Reset()
	require.NoError(t, matrix.Write(&b, []matrix.Column{{Name: "twice", Run: reports.Redact(twice, &reports.Secrets{})}}))
	assert.Contains(t, b.String(), ">1 FAIL<", "the page does not count requirements, as the report of the target does")
}
