package check

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// doubt is an execution whose findings must be seen again before they are reported.
type doubt struct {
	check   *Check
	job     job
	results []reports.Result
	lost    bool                                                          // perhaps undecided because requests overlapped
	failed  bool                                                          // undecided after a server error, perhaps a short one
	settle  func(results []reports.Result, exchanges []*reports.Exchange) // accepts the final results
}

// doubtful reports whether a result needs confirmation: every FAIL, every WARN of a MUST or SHOULD, and results with a failure as evidence.
// A check that measures times or counts repeats often enough itself.
func doubtful(r *requirements.Requirement, res reports.Result) bool {
	if r.Statistical {
		return false
	}
	level := requirements.Level(res.Level)
	binding := level == requirements.Must || level == requirements.Should
	return res.Verdict == reports.Fail || res.Verdict == reports.Warn && (binding || len(r.Evidence) > 0)
}

// secondLook repeats executions with findings one by one, without other checks at the target, and with new clients, tokens and metadata.
func (e *Engine) secondLook(ctx context.Context) {
	if len(e.doubts) == 0 {
		return
	}
	again := &Engine{Registry: e.Registry, Timeout: e.Timeout, repeated: e.repeated}
	defer func() { e.doubts, e.repeated = nil, again.repeated }()
	// In the order of the catalogue, so that two runs agree; checks that disturb others come last.
	slices.SortStableFunc(e.doubts, func(a, b *doubt) int {
		if n := last(a.check) - last(b.check); n != 0 {
			return n
		}
		return strings.Compare(a.check.Requirement.ID+string(a.job.wire)+a.job.revisions[0],
			b.check.Requirement.ID+string(b.job.wire)+b.job.revisions[0])
	})
	if e.World.Stopped() == "" && ctx.Err() == nil {
		again.World = e.World.renewed(ctx)
	}
	for _, d := range e.doubts {
		results, exchanges := again.confirm(ctx, d)
		if again.World != nil && opened(e.World, again.World, d.job.wire) {
			stillOpen(d.results, results)
		}
		d.settle(results, exchanges)
	}
}

// opened reports whether a target that refused anonymous callers in the first look serves them in the second, where it must still refuse
// them.
func opened(first, second *World, wire mcp.Wire) bool {
	wires := []mcp.Wire{wire}
	if wire == "" {
		wires = []mcp.Wire{mcp.Stateful, mcp.Stateless}
	}
	return slices.ContainsFunc(wires, func(w mcp.Wire) bool {
		before, after := first.Survey.Refused[w], second.Survey.Refused[w]
		return before != nil && after != nil && expect.Status(before) == 401 && expect.Accepted(after)
	})
}

// stillOpen keeps the failures of a first attempt if the second was not possible because the target now serves everybody: it protects
// itself only for a number of requests.
func stillOpen(first, final []reports.Result) {
	for i, r := range first {
		if r.Verdict == reports.Fail && final[i].Verdict == reports.Inconclusive {
			final[i].Verdict, final[i].Findings = reports.Fail, r.Findings
			final[i].Reason = r.Reason + "; by the second try the target serves anybody"
		}
	}
}

// Lasts says that the target stays as a finding says, such as out of order: the check has looked twice itself, and cannot be repeated.
func Lasts(t *T) { t.lasting = true }

// last returns 1 for a check that must run alone because it disturbs others, and 2 for one that comes last.
func last(c *Check) int {
	switch c.Requirement.Alone {
	case "":
		return 0
	case requirements.Last:
		return 2
	}
	return 1
}

// confirm repeats an execution, and compares.
func (e *Engine) confirm(ctx context.Context, d *doubt) ([]reports.Result, []*reports.Exchange) {
	if d.lost = d.lost && len(e.World.overlapping()) > 0; !d.lost && !e.repeats(d) && !d.doubtful() {
		return d.results, nil
	}
	var second []reports.Result
	var exchanges []*reports.Exchange
	if e.World != nil && e.World.Stopped() == "" && ctx.Err() == nil {
		second, exchanges = e.execute(ctx, d.check, d.job)
	}
	r, out := d.check.Requirement, slices.Clone(d.results)
	for i, first := range d.results {
		switch {
		case i < len(second) && d.decidedBy(first, second[i]):
			result, more := e.decided(ctx, d, second[i], i)
			out[i], exchanges = result, append(exchanges, more...)
		case !doubtful(r, first):
		case i >= len(second):
			out[i] = once(first, "the run ended before the second try")
		default:
			out[i] = both(first, second[i])
		}
	}
	return out, exchanges
}

// mostRepeated bounds the executions of a run that are repeated because of a server error: a target may always fail at some requests.
const mostRepeated = 12

// repeats reports whether an execution is repeated because it is undecided after a server error.
func (e *Engine) repeats(d *doubt) bool {
	if d.failed = d.failed && e.repeated < mostRepeated; d.failed {
		e.repeated++
	}
	return d.failed
}

// decidedBy reports whether a second attempt decides a result that a failure may have left undecided.
func (d *doubt) decidedBy(first, second reports.Result) bool {
	if d.lost && mayBeLost(d.check.Requirement, first) {
		return true
	}
	decides := []reports.Verdict{reports.Pass, reports.Fail, reports.Warn, reports.NotApplicable}
	return d.failed && first.Verdict == reports.Inconclusive && slices.Contains(decides, second.Verdict)
}

// both returns what two attempts of the same check show together: the findings of both.
func both(first, second reports.Result) reports.Result {
	out, common := first, seenTwice(first.Findings, second.Findings)
	switch {
	case len(common) == 0:
		why := "the second try ended " + string(second.Verdict)
		if second.Reason != "" {
			why += ": " + second.Reason
		}
		out = once(first, why)
	default:
		out.Findings = common
		out.Verdict, out.Reason = grade(requirements.Level(first.Level), common, nil)
	}
	out.Basis = nil // two attempts were judged together
	out.Controls = slices.Concat(first.Controls, second.Controls)
	out.Evidence, out.Duration = slices.Concat(first.Evidence, second.Evidence), first.Duration+second.Duration
	return out
}

// seenTwice returns the findings of a first attempt that a second one has too. What a finding is about may contain generated values.
func seenTwice(first, second []reports.Finding) []reports.Finding {
	itself := func(about string) string { return about }
	if common := seenTwiceBy(itself, first, second); len(common) > 0 {
		return common
	}
	return seenTwiceBy(withoutValues, first, second)
}

func seenTwiceBy(about func(string) string, first, second []reports.Finding) []reports.Finding {
	return slices.DeleteFunc(slices.Clone(first), func(f reports.Finding) bool {
		return !slices.ContainsFunc(second, func(g reports.Finding) bool {
			return about(g.About) == about(f.About) && withoutValues(g.Expected) == withoutValues(f.Expected) && g.Advice == f.Advice
		})
	})
}

// madeUp matches words that an attempt may have generated: identifiers, states and tokens, which have digits or are long.
var madeUp = regexp.MustCompile(`[\w.~+/=-]*\d[\w.~+/=-]*|[\w.~+/=-]{16,}`)

// withoutValues returns the expectation of a finding without generated values.
func withoutValues(expected string) string { return madeUp.ReplaceAllString(expected, "#") }

// once returns a result whose findings were not seen again.
func once(r reports.Result, why string) reports.Result {
	r.Reason = "seen once in two tries: " + r.Reason + "; " + why
	r.Verdict, r.Findings, r.Basis = reports.Inconclusive, nil, nil
	return r
}

// renewed returns the world for the second look: with nothing that the first look learned, and with its own survey and login.
func (w *World) renewed(ctx context.Context) *World {
	again := *w
	again.learned = &learned{}
	if w.Again != nil {
		again.Survey, again.Session = w.Again(ctx)
	}
	return &again
}

// doubtful reports whether a result of the execution needs confirmation.
func (d *doubt) doubtful() bool {
	return slices.ContainsFunc(d.results, func(r reports.Result) bool { return doubtful(d.check.Requirement, r) })
}

// overlapping returns what was seen at servers that fail requests that overlap.
func (w *World) overlapping() []string {
	if w == nil || w.Client == nil {
		return nil
	}
	return w.Client.Overlapping()
}

// lostToOverlap reports whether an execution is undecided after a failure at a server that, as it seems, fails requests that overlap. It is
// repeated when requests are sent one at a time.
func (e *Engine) lostToOverlap(ctx context.Context, r *requirements.Requirement, o *outcome) bool {
	if !slices.ContainsFunc(o.results, func(res reports.Result) bool { return mayBeLost(r, res) }) {
		return false
	}
	return slices.ContainsFunc(o.exchanges, func(ex *reports.Exchange) bool {
		if f := failure(ex); f != requirements.ServerError && f != requirements.NoAnswer {
			return false
		}
		u, err := document.ParseURL(ex.Request.URL)
		if err != nil {
			return false
		}
		_, alone := e.World.Client.OneAtATime(ctx, u)
		return alone
	})
}

// failedShortly reports whether an execution is undecided after a server error that may have been a short one. A target that fails at each
// bad token or each unknown code is not asked again, and a check that strains accounts or servers is not repeated for that.
func failedShortly(r *requirements.Requirement, o *outcome) bool {
	undecided := slices.ContainsFunc(o.results, func(res reports.Result) bool {
		return res.Verdict == reports.Inconclusive && !strings.Contains(res.Reason, first)
	})
	timed := slices.ContainsFunc(r.Needs, func(n string) bool { return n == "time" || n == "time-in-part" || n == "clock" })
	return undecided && !timed && !r.Statistical && !r.Intrusive && slices.ContainsFunc(o.exchanges, func(ex *reports.Exchange) bool {
		return failure(ex) == requirements.ServerError && !notImplemented(ex) && ex.Check == r.ID
	})
}

// mayBeLost reports whether a failure by overlap may be the reason of a result: it is undecided, or failures are its evidence.
func mayBeLost(r *requirements.Requirement, res reports.Result) bool {
	return res.Verdict == reports.Inconclusive || len(r.Evidence) > 0 && doubtful(r, res)
}

// decided returns the result of a second execution that replaces the first one. A finding of it must be seen in a third one, too.
func (e *Engine) decided(ctx context.Context, d *doubt, second reports.Result, i int) (reports.Result, []*reports.Exchange) {
	if d.failed && d.results[i].Verdict == reports.Inconclusive {
		second.Notes = append(slices.Clone(second.Notes), "undecided in a first try: "+d.results[i].Reason)
	}
	if !doubtful(d.check.Requirement, second) {
		return second, nil
	}
	third, exchanges := e.execute(ctx, d.check, d.job)
	if i >= len(third) {
		return once(second, "the run ended before the next try"), exchanges
	}
	return both(second, third[i]), exchanges
}
