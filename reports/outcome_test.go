package reports_test

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/badge"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/reports/html"
	"github.com/mcpauth/conformance/reports/junit"
	"github.com/mcpauth/conformance/reports/markdown"
)

// outcomes are runs with their expected results.
var outcomes = map[string]struct {
	run      reports.Run
	code     int
	kind     reports.Kind
	headline string
	colour   string
}{
	"all passed": {run: of(at("MUST", reports.Pass)), kind: reports.Conformant, headline: "PASSED: 1 of 1 MUST that apply",
		colour: "brightgreen"},
	"a failure": {run: of(at("MUST", reports.Fail), at("MUST", reports.Inconclusive)), code: 1, kind: reports.Findings,
		headline: "FAILED: 1 MUST is not met", colour: "red"},
	"a failure with a head": {
		run:  of(at("MUST", reports.Fail), headed(at("MUST", reports.Fail), "No authorization: anyone can call 2 tools (a, b)")),
		code: 1, kind: reports.Findings, headline: "FAILED: No authorization: anyone can call 2 tools (a, b); 2 MUSTs are not met", colour: "red",
	},
	"a failure, tolerated": {run: held(of(at("MUST", reports.Fail)), reports.FailOnNone), kind: reports.Tolerated,
		headline: "TOLERATED: 1 MUST is not met", colour: "red"},
	"a warning": {run: of(at("MUST", reports.Pass), at("SHOULD", reports.Warn)), kind: reports.Conformant,
		headline: "with 1 warning", colour: "yellow"},
	"a warning counts": {run: held(of(at("SHOULD", reports.Warn)), reports.FailOnShould), code: 1, kind: reports.Findings,
		headline: "1 finding at or above", colour: "red"},
	"a practice counts": {run: held(of(at("BCP", reports.Warn)), reports.FailOnPractice), code: 1, kind: reports.Findings,
		headline: "FAILED", colour: "red"},
	"a practice below": {run: held(of(at("MUST", reports.Pass), at("BCP", reports.Warn)), reports.FailOnShould), kind: reports.Conformant,
		headline: "PASSED", colour: "yellow"},
	"undecided MUST": {run: of(at("MUST", reports.Pass), at("MUST", reports.Inconclusive)), code: 3, kind: reports.Undecided,
		headline: "1 MUST could not be decided", colour: "lightgrey"},
	"a MUST to look at": {run: of(at("MUST", reports.Pass), at("MUST", reports.Review)), code: 3, kind: reports.Undecided,
		headline: "a person must look", colour: "lightgrey"},
	"undecided SHOULD": {run: of(at("MUST", reports.Pass), at("SHOULD", reports.Inconclusive)), kind: reports.Conformant,
		headline: "PASSED", colour: "brightgreen"},
	"nothing tested": {run: of(without(at("MUST", reports.NotTested), "--token-env")), code: 3, kind: reports.Undecided,
		headline: "nothing that was selected could be judged; add --token-env to test 1 more", colour: "lightgrey"},
	"nothing applies": {run: of(at("MUST", reports.NotApplicable)), code: 3, kind: reports.Undecided,
		headline: "nothing that was selected could be judged", colour: "lightgrey"},
	"only a SHOULD passed": {run: of(at("SHOULD", reports.Pass), at("MUST", reports.NotTested)), code: 3, kind: reports.Undecided,
		headline: "could be judged", colour: "lightgrey"},
	"no MUST was selected": {run: of(at("SHOULD", reports.Pass)), kind: reports.Conformant, headline: "holds no MUST", colour: "brightgreen"},
	"some not tested": {
		run: of(at("MUST", reports.Pass), without(at("MUST", reports.NotTested), "--username"),
			without(at("MUST", reports.NotTested), "--token-env"), without(at("MUST", reports.NotTested), "--token-env")),
		kind: reports.PassedTested, headline: "PASSED what was tested: 1 of 4 MUSTs; add --token-env to test 2 more, --username to test 1",
		colour: "green",
	},
	"some not tested, all required": {run: complete(of(at("MUST", reports.Pass), at("MUST", reports.NotTested))), code: 3,
		kind: reports.Undecided, headline: "1 MUST not tested, and all are required", colour: "lightgrey"},
	"one asked for by name": {run: named(of(at("MUST", reports.Pass), at("MUST", reports.NotTested)), "RS-1"), code: 3,
		kind: reports.Undecided, headline: "you asked for RS-1, not tested", colour: "lightgrey"},
	"open to everybody": {run: reports.Run{Open: "No authorization: anyone can call 1 tool (a)",
		Results: of(at("MUST", reports.Pass)).Results}, code: 3, kind: reports.Undecided,
		headline: "UNDECIDED: No authorization: anyone can call 1 tool (a); if that is meant", colour: "lightgrey"},
	"open to everybody, and something failed": {run: reports.Run{Open: "No authorization: anyone can call 1 tool (a)",
		Results: of(at("MUST", reports.Fail)).Results}, code: 1, kind: reports.Findings,
		headline: "FAILED: No authorization: anyone can call 1 tool (a); 1 MUST is not met", colour: "red"},
	"a login that failed": {run: reports.Run{NotWorking: []string{"the login did not work"},
		Results: of(at("MUST", reports.Pass)).Results}, code: 3, kind: reports.Undecided, headline: "the login did not work",
		colour: "lightgrey"},
	"accepted by the baseline": {run: of(at("MUST", reports.Suppressed)), kind: reports.Conformant,
		headline: "1 of them unmet and accepted", colour: "yellow"},
	"a stale baseline": {run: reports.Run{Stale: []string{"X is met"}, Results: of(at("MUST", reports.Pass)).Results}, code: 1,
		kind: reports.Findings, headline: "no longer holds", colour: "red"},
	"an error of the tool": {run: of(at("MAY", reports.Errored), at("MUST", reports.Fail)), code: 4, kind: reports.Broken,
		headline: "THE TOOL FAILED", colour: "lightgrey"},
	"a doubt": {run: reports.Run{Doubt: "the clock moved", Results: of(at("MUST", reports.Pass)).Results}, code: 4,
		kind: reports.Broken, headline: "the clock moved", colour: "lightgrey"},
	"unreachable": {run: reports.Run{Unreachable: "down"}, code: 3, kind: reports.Undecided, headline: "down",
		colour: "lightgrey"},
	"nothing": {run: reports.Run{}, code: 2, kind: reports.Nothing, headline: "NOTHING WAS TESTED", colour: "lightgrey"},
	"interrupted with a fail": {run: reports.Run{Interrupted: true, Results: of(at("MUST", reports.Fail)).Results}, code: 130,
		kind: reports.Interrupted, headline: "INTERRUPTED", colour: "lightgrey"},
}

func TestOutcome(t *testing.T) {
	for name, c := range outcomes {
		t.Run(name, func(t *testing.T) {
			o := c.run.Outcome()
			assert.Equal(t, c.code, o.Code)
			assert.Equal(t, c.kind, o.Kind)
			assert.Contains(t, o.Headline, c.headline)
			assert.Equal(t, c.colour, o.Colour)
		})
	}
}

// flat returns a text without its line breaks.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

// All reports say the same: the headline is in each, and counts and colours are green only with exit code 0.
func TestNoReportIsGreenerThanTheExitCode(t *testing.T) {
	for name, c := range outcomes {
		t.Run(name, func(t *testing.T) {
			redacted, o := reports.Redact(c.run, &reports.Secrets{}), c.run.Outcome()
			var b bytes.Buffer
			require.NoError(t, console.Write(&b, redacted, console.Options{}))
			assert.True(t, strings.HasSuffix(flat(b.String()), flat(console.Conclusion(o))), b.String())
			b.Reset()
			require.NoError(t, markdown.Write(&b, redacted))
			assert.Contains(t, b.String(), markdown.Text(o.Headline))
			b.Reset()
			require.NoError(t, html.Write(&b, redacted))
			assert.Contains(t, b.String(), strings.NewReplacer("'", "&#39;").Replace(o.Headline))
			b.Reset()
			require.NoError(t, badge.Write(&b, redacted))
			assert.Contains(t, b.String(), `"color":"`+c.colour+`"`)
			assert.False(t, c.code != 0 && strings.Contains(b.String(), "green"), b.String())
			b.Reset()
			require.NoError(t, junit.Write(&b, redacted, junit.Options{}))
			var doc struct {
				Failures int `xml:"failures,attr"`
				Errors   int `xml:"errors,attr"`
			}
			require.NoError(t, xml.Unmarshal(b.Bytes(), &doc))
			if c.kind != reports.Tolerated {
				assert.Equal(t, c.code != 0, doc.Failures+doc.Errors > 0, b.String())
			}
		})
	}
}

// A requirement that is judged on two protocols counts once, with its worst verdict.
func TestOutcomeCountsRequirements(t *testing.T) {
	passed, untested := at("MUST", reports.Pass), without(at("MUST", reports.NotTested), "--token-env")
	run := of(passed, untested)
	run.Results[1].ID = run.Results[0].ID
	assert.Contains(t, run.Outcome().Headline, "PASSED what was tested: 0 of 1 MUST;")
}

// A failed run says what would test more, unless the server has no authorization at all.
func TestAFailedRunSaysWhatWouldTestMore(t *testing.T) {
	run := of(at("MUST", reports.Fail), without(at("MUST", reports.NotTested), "--token-env"))
	assert.Equal(t, "add --token-env to test 1 more", run.Advice())
	next := run.NextCommands()
	assert.Contains(t, next[len(next)-1].Command, "--token-env")

	run.Open = "anyone can call 1 tool"
	assert.Empty(t, run.Advice())
	for _, n := range run.NextCommands() {
		assert.NotContains(t, n.Command, "--token-env")
	}
	assert.Empty(t, new(of(at("MUST", reports.Fail))).Advice())
	passed := of(at("MUST", reports.Pass), without(at("MUST", reports.NotTested), "--token-env"))
	assert.Empty(t, passed.Advice(), "the headline says it")
}

func of(results ...reports.Result) reports.Run {
	for i := range results {
		results[i].ID = "RS-" + string(rune('0'+i))
	}
	return reports.Run{Results: results}
}

func at(level string, v reports.Verdict) reports.Result {
	r := reports.Result{Level: level, Verdict: v}
	if v != reports.Pass {
		r.Reason = "for the test"
	}
	return r
}

func without(r reports.Result, option string) reports.Result { r.Missing = option; return r }

func headed(r reports.Result, headline string) reports.Result { r.Headline = headline; return r }

func held(r reports.Run, on reports.FailOn) reports.Run { r.Rule.FailOn = on; return r }

func complete(r reports.Run) reports.Run { r.Rule.RequireComplete = true; return r }

func named(r reports.Run, ids ...string) reports.Run { r.Rule.Named = ids; return r }

// An interrupted run says how far it came.
func TestInterruptedAfterHowMany(t *testing.T) {
	left := judged("B", reports.Inconclusive)
	left.Reason = reports.NotReached
	run := reports.Run{Interrupted: true, Selected: 3,
		Results: []reports.Result{judged("A", reports.Pass), left, left, judged("C", reports.Inconclusive)}}
	assert.Equal(t, "INTERRUPTED after 2 of 3 checks: the report is partial", run.Outcome().Headline)
	assert.Equal(t, "INTERRUPTED: the report is partial", (&reports.Run{Interrupted: true}).Outcome().Headline)
}

// What an interrupted run did not judge was not tested.
func TestCoverageOfAnInterruptedRun(t *testing.T) {
	left := judged("B", reports.Inconclusive)
	left.Reason = reports.NotReached
	run := reports.Run{Interrupted: true, Selected: 2, Results: []reports.Result{judged("A", reports.Pass), left}}
	var b bytes.Buffer
	require.NoError(t, html.Write(&b, reports.Redact(run, &reports.Secrets{})))
	assert.Contains(t, b.String(), "Coverage: 50 % of what applies was tested")
}

// Findings that --fail-on none tolerates do not fail a job that reads JUnit, but are in the report.
func TestToleratedInJUnit(t *testing.T) {
	for on, want := range map[reports.FailOn][2]string{reports.FailOnNone: {`failures="0"`, "tolerated by --fail-on none: FAIL"},
		reports.FailOnMust: {`failures="1"`, "<failure"}} {
		var b bytes.Buffer
		require.NoError(t, junit.Write(&b, reports.Redact(held(of(at("MUST", reports.Fail)), on), &reports.Secrets{}), junit.Options{}))
		assert.Contains(t, b.String(), want[0])
		assert.Contains(t, b.String(), want[1])
	}
}

func TestWhatToFixFirst(t *testing.T) {
	failed := reports.Result{ID: "RS-TRANSPORT-COOKIES", Level: "SHOULD", Verdict: reports.Fail}
	anybody := reports.Result{ID: "RS-CHALLENGE-401-STATUS", Level: "MUST", Verdict: reports.Inconclusive, Wire: "stateful"}
	undecided := reports.Result{ID: "AS-PKCE-METHOD-DEFAULT", Level: "MUST", Verdict: reports.Inconclusive}
	ids := func(run reports.Run) []string {
		var out []string
		for _, g := range run.ToFix() {
			out = append(out, g.First().ID)
		}
		return out
	}
	run := reports.Run{Results: []reports.Result{failed, undecided, anybody}}
	assert.Equal(t, []string{failed.ID}, ids(run))
	run.Open = "No authorization: anyone can call 2 tools"
	assert.Equal(t, []string{anybody.ID, failed.ID}, ids(run), "the open server is not first")

	again := anybody
	again.Wire = "stateless"
	run.Results = append(run.Results, again)
	assert.Equal(t, map[reports.Verdict]int{reports.Fail: 1, reports.Inconclusive: 2}, run.Requirements(), "the protocols are counted twice")
	assert.Equal(t, 3, run.Counts()[reports.Inconclusive])
	var b bytes.Buffer
	require.NoError(t, markdown.Write(&b, reports.Redact(run, &reports.Secrets{})))
	assert.Equal(t, 1, strings.Count(b.String(), "**RS-CHALLENGE-401-STATUS**"), b.String())
	assert.Contains(t, b.String(), "(RS-CHALLENGE-401-STATUS, severity critical, undecided&#58; fix it, or declare target.public")
	b.Reset()
	require.NoError(t, console.Write(&b, reports.Redact(run, &reports.Secrets{}), console.Options{}))
	assert.Contains(t, b.String(), "  1. RS-CHALLENGE-401-STATUS: (undecided: fix it, or declare")
	assert.Contains(t, b.String(), "  2. RS-TRANSPORT-COOKIES:")
}
