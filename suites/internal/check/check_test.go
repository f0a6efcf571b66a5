package check

import (
	"context"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

func nothing(*T) {}

func TestRegistrationMistakesAreAllReportedWithFileAndLine(t *testing.T) {
	_, err := Collect([]Area{{"discovery", func() {
		Describe("section", func() {
			Must("RS-NO-SUCH-REQUIREMENT", nothing)
			Should("RS-DISC-RESOURCE-PRESENT", nothing)
			Must("RS-DISC-RESOURCE-FORM", nothing)
			Must("RS-DISC-RESOURCE-FORM", nothing)
			Must("RS-CHALLENGE-401-STATUS", nothing)
		})
	}}})
	require.Error(t, err)
	for _, want := range []string{
		"check/check_test.go:24: RS-NO-SUCH-REQUIREMENT is not in the catalogue",
		"RS-DISC-RESOURCE-PRESENT is registered as SHOULD, but discovery.yaml says MUST",
		"RS-DISC-RESOURCE-FORM has a check already at check_test.go:26",
		"RS-CHALLENGE-401-STATUS belongs to area challenge, not discovery",
		"RS-DISC-AS-PRESENT is not pending, but has no check",
	} {
		assert.ErrorContains(t, err, want)
	}
}

// engine makes an engine with one check, and a survey in which no request was served.
func engine(t *testing.T, id string, body func(*T)) *Engine {
	t.Helper()
	r, ok := requirements.Lookup(id)
	require.True(t, ok)
	c := &Check{Requirement: r, Level: r.Level, Body: body}
	s := &survey.Survey{
		URL:       &url.URL{Scheme: "http", Host: "127.0.0.1:1"},
		Status:    []reports.RevisionStatus{{Revision: "2025-11-25", Wire: "stateful", Status: "spoken"}},
		Anonymous: map[mcp.Wire]*reports.Exchange{}, WithToken: map[mcp.Wire]*reports.Exchange{},
		Refused: map[mcp.Wire]*reports.Exchange{mcp.Stateful: {Number: 1, Response: &reports.Response{Status: 401}}},
		Bogus:   map[mcp.Wire]*reports.Exchange{mcp.Stateful: {Number: 2, Response: &reports.Response{Status: 401}}},
	}
	return &Engine{
		Registry: &Registry{Areas: []string{r.Area}, ByArea: map[string][]*Check{r.Area: {c}}, byID: map[string]*Check{id: c}},
		World:    &World{Survey: s, Secrets: &reports.Secrets{}, Client: wire.New(wire.Options{})},
	}
}

func verdict(t *testing.T, body func(*T)) reports.Result {
	t.Helper()
	e := engine(t, "RS-TOKEN-GARBAGE", body)
	e.Start(context.Background(), []string{"RS-TOKEN-GARBAGE"})
	results := e.Wait("RS-TOKEN-GARBAGE")
	require.Len(t, results, 1)
	return results[0]
}

func TestARefusalWithoutAControlIsNoPass(t *testing.T) {
	r := verdict(t, func(t *T) { t.Expect(t.MCP.Anonymous()).To(expect.Refuse(401)) })
	assert.Equal(t, reports.Inconclusive, r.Verdict)
	assert.Contains(t, r.Reason, "prove nothing")
}

// Whatever a check cannot decide in an interrupted run has one cause.
func TestAnInterruptedCheckNamesTheInterruption(t *testing.T) {
	const id = "RS-TOKEN-GARBAGE"
	ctx, interrupt := context.WithCancel(context.Background())
	e := engine(t, id, func(t *T) {
		interrupt()
		t.Inconclusive("the subscription is not acknowledged in time")
	})
	e.Start(ctx, []string{id})
	results := e.Wait(id)
	require.Len(t, results, 1)
	assert.Equal(t, reports.Inconclusive, results[0].Verdict)
	assert.Equal(t, reports.NotReached, results[0].Reason)
}

func TestAPanicIsAnErrorOfTheTool(t *testing.T) {
	r := verdict(t, func(*T) { panic("boom") })
	assert.Equal(t, reports.Errored, r.Verdict)
	assert.Contains(t, r.Reason, "boom")
}

func TestAPanicTellsNoSecret(t *testing.T) {
	const token = "canary-7Hq2xZ9vLm4KpW8sTfBd"
	e := engine(t, "RS-TOKEN-GARBAGE", func(t *T) { panic("no header in " + t.Hide(token)) })
	e.Start(context.Background(), []string{"RS-TOKEN-GARBAGE"})
	results, _ := e.Collect()
	require.Len(t, results, 1)
	require.Contains(t, results[0].Reason, token)
	r := reports.Redact(reports.Run{Results: results}, e.World.Secrets).Run().Results[0]
	assert.Contains(t, r.Reason, "no header in ‹derived#1›")
	assert.NotContains(t, r.Reason, token)
	assert.NotContains(t, r.Reason, token[:14])
}

// never rejects every number.
var never = expect.That("x", func(int) string { return "y" })

func TestAFindingOutweighsAnAbstention(t *testing.T) {
	r := verdict(t, func(t *T) {
		t.Expect(1).To(never)
		t.Inconclusive("later")
	})
	assert.Equal(t, reports.Fail, r.Verdict)
}

func TestAdviceIsNeverMoreThanAWarning(t *testing.T) {
	assert.Equal(t, reports.Warn, verdict(t, func(t *T) { t.Expect(1).Ideally(never) }).Verdict)
	assert.Equal(t, reports.Pass, verdict(t, func(*T) {}).Verdict)
	assert.Equal(t, reports.NotApplicable, verdict(t, func(t *T) { t.NotApplicable("absent") }).Verdict)
}

func TestATIsNotUsedAfterItsBodyHasReturned(t *testing.T) {
	var kept *T
	verdict(t, func(t *T) { kept = t })
	assert.Panics(t, func() { kept.Get("http://127.0.0.1:1/") })
}

// An execution gives a separate verdict for each level that the judged revisions give the requirement.
func TestLevelsThatDifferByRevisionAreGradedApart(t *testing.T) {
	const id = "RS-DISC-WELL-KNOWN-LOCATION" // MUST at 2025-06-18, SHOULD later
	e := engine(t, id, func(t *T) { t.Expect(1).To(never) })
	e.World.Survey.Status = append(e.World.Survey.Status, reports.RevisionStatus{Revision: "2025-06-18", Wire: "stateful", Status: "spoken"})
	c, _ := e.Registry.Lookup(id)
	free := *c.Requirement
	free.Needs = nil
	c.Requirement = &free
	e.Start(context.Background(), []string{id})
	byLevel := map[string]reports.Verdict{}
	for _, r := range e.Wait(id) {
		byLevel[r.Level] = r.Verdict
	}
	assert.Equal(t, map[string]reports.Verdict{"MUST": reports.Fail, "SHOULD": reports.Warn}, byLevel)
}

func TestOutcome(t *testing.T) {
	r := func(v reports.Verdict) reports.Result { return reports.Result{Verdict: v, Reason: "why"} }
	for _, c := range []struct {
		results    []reports.Result
		skip, fail bool
	}{
		{[]reports.Result{r(reports.Pass)}, false, false},
		{[]reports.Result{r(reports.Warn)}, false, false},
		{[]reports.Result{r(reports.Fail), r(reports.Pass)}, false, true},
		{[]reports.Result{r(reports.Inconclusive)}, false, true},
		{[]reports.Result{r(reports.NotApplicable)}, true, false},
		{[]reports.Result{r(reports.NotApplicable), r(reports.Pass)}, false, false},
	} {
		skip, fail := Outcome(c.results)
		assert.Equal(t, c.skip, skip != "")
		assert.Equal(t, c.fail, fail != "")
	}
}
